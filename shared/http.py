"""What the doors for HTTP share: the answer to an error, and middleware that only pages pay for."""

import asyncio
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoAuthentication
from django.contrib.messages.middleware import MessageMiddleware as DjangoMessages
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessions
from django.contrib.staticfiles import finders
from django.core.handlers.asgi import ASGIHandler
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware as DjangoFrameOptions
from django.middleware.csp import ContentSecurityPolicyMiddleware as DjangoContentPolicy
from django.middleware.csrf import CsrfViewMiddleware as DjangoCsrf
from django.middleware.security import SecurityMiddleware as DjangoSecurity
from django_htmx.middleware import HtmxMiddleware as DjangoHtmx

from shared.exceptions import BadRequest, PayloadTooLarge, from_exception, from_status, page_response, problem_response

type Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def is_api(request: HttpRequest) -> bool:
    """Whether a machine asks, which wants JSON, or a person, who wants a page."""
    return request.path.startswith(settings.MACHINE_PATHS)


def answer_error(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Render any exception for the door it reached: problem+json for the API, a page for people."""
    hub_error = from_exception(error)
    return problem_response(request, hub_error) if is_api(request) else page_response(request, hub_error)


async def uncollected_file(request: HttpRequest, path: str) -> HttpResponse:
    """A static file straight from where it was written, for development: nothing is collected, nothing is cached.

    Raises `Http404` for a file that does not exist.
    """
    content = await asyncio.to_thread(_read_static, path)
    kind, _ = mimetypes.guess_type(path)
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type=kind or "application/octet-stream", headers=headers)


def _read_static(path: str) -> bytes:
    found = finders.find(path)
    if not isinstance(found, str) or not Path(found).is_file():
        raise Http404
    return Path(found).read_bytes()


class HubHandler(ASGIHandler):
    """Django's handler. What it refuses before there is a request looks like every other error."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, refusal = super().create_request(scope, body_file)
        if refusal is None:
            return request, None
        asked = HttpRequest()
        asked.path = scope["path"]
        return None, answer_error(asked, PayloadTooLarge() if refusal.status_code == 413 else BadRequest())


class _PagesOnly:
    """Skip a middleware of Django's for the API and the probes: each costs two hops to a thread.

    The API has no cookies, so no sessions, no CSRF and no messages; its headers come from `ApiHeadersMiddleware`.
    """

    get_response: Any

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if is_api(request):
            response: HttpResponseBase = await self.get_response(request)
            return response
        page: HttpResponseBase = await super().__acall__(request)  # type: ignore[misc]
        return page


class SecurityMiddleware(_PagesOnly, DjangoSecurity):
    """Django's, for pages."""


class SessionMiddleware(_PagesOnly, DjangoSessions):
    """Django's, for pages."""


class CsrfViewMiddleware(_PagesOnly, DjangoCsrf):
    """Django's, for pages. Reading a form's token may mean parsing its files, so that happens on a thread."""

    async def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:  # type: ignore[override]
        if is_api(request):
            return None
        check = super().process_view
        if request.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            return check(request, *view)
        return await asyncio.to_thread(check, request, *view)


class AuthenticationMiddleware(_PagesOnly, DjangoAuthentication):
    """Django's, for pages."""


class MessageMiddleware(_PagesOnly, DjangoMessages):
    """Django's, for pages."""


class XFrameOptionsMiddleware(_PagesOnly, DjangoFrameOptions):
    """Django's, for pages."""


class ContentSecurityPolicyMiddleware(_PagesOnly, DjangoContentPolicy):
    """Django's, for pages."""


class HtmxMiddleware(DjangoHtmx):
    """Sets `request.htmx`. Native async already, and cheap."""


class ApiHeadersMiddleware:
    """The security headers of API answers: never cached by a proxy, never sniffed, never framed."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        if is_api(request):
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers.setdefault("X-Frame-Options", "DENY")
            response.headers.setdefault("Referrer-Policy", "no-referrer")
            if settings.SECURE_HSTS_SECONDS and request.is_secure():
                response.headers.setdefault(
                    "Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
                )
        return response


class ParseUploadsMiddleware:
    """Read a form or an upload on a thread, before a view touches it: Django would parse it on the event loop.

    Strangers' uploads are not parsed at all; Django has spooled their bodies by then, as far as `BodyLimit` let them.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        multipart = (request.content_type or "").startswith("multipart/form-data")
        if request.method == "POST" and multipart and getattr(request, "actor", None) is not None:
            try:
                await asyncio.to_thread(lambda: (request.POST, request.FILES))
            except Exception as error:
                return answer_error(request, error)
        return await self.get_response(request)


class ErrorsMiddleware:
    """Renders what a page's view raised, where Django would answer with a bare 500. The API's goes through ninja.

    An error that Django or ninja wrote for the API themselves (405, an unknown address) becomes problem+json.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        written_for_people = response.headers.get("Content-Type", "").startswith("text/")
        if response.status_code < 400 or not written_for_people or not is_api(request):
            return response
        problem = problem_response(request, from_status(response.status_code))
        if "Allow" in response.headers:
            problem.headers["Allow"] = response.headers["Allow"]
        return problem

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """Called by Django for a view that raised."""
        return answer_error(request, error)
