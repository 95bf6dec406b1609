"""Register, sign in, sign out: the pages."""

from collections.abc import Awaitable, Callable

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import authentication
from apps.accounts.forms import RegisterForm, SignInForm
from apps.accounts.services import Credentials, register_creator
from shared.exceptions import HubError
from shared.security.addresses import client_address
from shared.security.rate_limiter import limiter
from shared.tenancy.run import run_global


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
async def register(request: HttpRequest) -> HttpResponse:
    """Make an account with a creator of its own, and go straight to its documents."""
    return await _serve_form(request, RegisterForm, "accounts/register.html", _register)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
async def sign_in(request: HttpRequest) -> HttpResponse:
    """Begin a session, and go where the visitor was heading. An unknown address and a wrong password look alike."""
    return await _serve_form(request, SignInForm, "accounts/sign_in.html", _sign_in)


@require_POST
async def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    await authentication.sign_out(request)
    return redirect("accounts:sign_in")


async def _register(request: HttpRequest, values: dict[str, str]) -> None:
    password_hash = await authentication.hash_new_password(
        values["password"], email=values["email"], display_name=values["display_name"]
    )
    new = await run_global(
        register_creator,
        email=values["email"],
        password_hash=password_hash,
        display_name=values["display_name"],
    )
    await authentication.sign_in(request, Credentials(new.user.id, password_hash))


async def _sign_in(request: HttpRequest, values: dict[str, str]) -> None:
    await limiter.check_login(client_address(request), values["email"])
    credentials = await authentication.verify_credentials(values["email"], values["password"])
    await authentication.sign_in(request, credentials)


async def _serve_form(
    request: HttpRequest,
    form_class: type[forms.Form],
    template: str,
    act: Callable[[HttpRequest, dict[str, str]], Awaitable[None]],
) -> HttpResponse:
    """Show a form, or act on it. What the service refuses is said in the form, with the status it has in the API."""
    target = _path_to_return_to(request)
    if request.method == "GET" and getattr(request, "actor", None) is not None:
        return HttpResponseRedirect(target)
    form = form_class(request.POST if request.method == "POST" else None)
    status, headers = 200, {}
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                await act(request, form.cleaned_data)
                return HttpResponseRedirect(target)
            except HubError as error:
                if error.status >= 500:
                    raise
                _show_error(form, error)
                status, headers = error.status, error.headers
    response = render(request, template, {"form": form, "next": target if target != "/" else ""}, status=status)
    if "Retry-After" in headers:
        response.headers["Retry-After"] = headers["Retry-After"]
    return response


def _show_error(form: forms.Form, error: HubError) -> None:
    """Put a service's refusal where the visitor can act on it."""
    if error.code == "email_taken":
        form.add_error("email", error.detail)
        return
    for item in error.errors:
        form.add_error(item["field"] if item["field"] in form.fields else None, item["message"])
    if not error.errors:
        form.add_error(None, error.detail)


def _path_to_return_to(request: HttpRequest) -> str:
    """`next`, if it is a path of this very hub; otherwise the front door. Never another site."""
    target = request.POST.get("next") or request.GET.get("next") or "/"
    own = url_has_allowed_host_and_scheme(target, allowed_hosts=None, require_https=request.is_secure())
    return target if own and target.startswith("/") else "/"
