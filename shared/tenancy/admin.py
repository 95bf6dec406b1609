"""The door for staff. Global tables as anywhere in Django; tenant tables only while acting as a creator."""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import wraps
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django import forms
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.exceptions import ValidationError as FormError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import SimpleTemplateResponse
from django.urls import path, reverse
from django.utils.csp import CSP
from django.views.decorators.http import require_POST
from structlog.contextvars import bound_contextvars
from unfold.admin import ModelAdmin
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite
from unfold.widgets import UnfoldAdminTextInputWidget

from shared.exceptions import HubError
from shared.security.addresses import client_address
from shared.security.rate_limiter import limiter
from shared.tenancy.acting import Acting, current_acting, may_act, record, start_acting, stop_acting
from shared.tenancy.keys import is_tenant_model
from shared.tenancy.scope import creator_scope

type View = Callable[..., HttpResponseBase]

# The theme's scripts evaluate the expressions in its templates, and its colours are inline. Scripts still come
# from files only, so what a creator wrote cannot run even where it were not escaped.
ADMIN_CSP = {
    **settings.SECURE_CSP,
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "frame-src": [CSP.SELF],
    "frame-ancestors": [CSP.SELF],
}
# The queue's rows are all creators' at once.
_NOT_FOR_STAFF = frozenset({"procrastinate"})


# Hashing a password takes 46 MiB: a few at a time, here as on the other doors.
_hashing = BoundedSemaphore(2)
_WAIT_SECONDS = 5


class LimitedLoginForm(AuthenticationForm):  # type: ignore[misc]
    """Sign-in for staff, with the same limit on tries as anywhere."""

    def clean(self) -> dict[str, Any]:
        try:
            account = self.cleaned_data.get("username", "")
            async_to_sync(limiter.check_login)(client_address(self.request), account)
        except HubError as refused:
            raise FormError(refused.detail, code=refused.code) from None
        if not _hashing.acquire(timeout=_WAIT_SECONDS):
            raise FormError("Too many people are signing in. Try again in a moment.", code="sign_in_busy")
        try:
            cleaned: dict[str, Any] = super().clean()
        finally:
            _hashing.release()
        return cleaned


class ActAsForm(forms.Form):
    """Why somebody wants to see a creator's rows."""

    reason = forms.CharField(
        min_length=5,
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Goes to the creator's audit log. A ticket's number, and what you are going to look at.",
    )


class HubAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Runs every page in the scope of the creator that staff act as, rendering included, and outside any else."""

    login_form = LimitedLoginForm

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Refuses a tenant model without a `TenantAdmin`: its log would be everybody's."""
        given: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        for model in given:
            if is_tenant_model(model) and not (admin_class and issubclass(admin_class, TenantAdmin)):
                raise ImproperlyConfigured(f"{model.__name__} is a tenant model: register it with a TenantAdmin.")
        shown = [model for model in given if model._meta.app_label not in _NOT_FOR_STAFF]
        super().register(shown, admin_class, **options)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        guarded: View = super().admin_view(_as_the_creator(view), cacheable)
        return guarded

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, extra_context)
        return _with_policy(response)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        return {**context, "acting": _acting(request) if self.has_permission(request) else None}

    def get_urls(self) -> list[Any]:
        outside = super().admin_view  # these two change the scope, so they run in none
        own = [
            path("act-as/<uuid:creator_id>/", outside(self.act_as), name="act_as"),
            path("stop-acting/", outside(require_POST(self.stop_acting)), name="stop_acting"),
        ]
        # "View on site" looks up any row of any table by its number, and nothing here has such an address.
        return own + [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def act_as(self, request: HttpRequest, creator_id: UUID) -> HttpResponse:
        """Ask for the reason, and begin."""
        if not may_act(request):
            raise PermissionDenied
        creator = get_object_or_404(apps.get_model(settings.CREATOR_MODEL), pk=creator_id)
        form = ActAsForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            start_acting(request, creator, form.cleaned_data["reason"])
            return HttpResponseRedirect(reverse("admin:index"))
        context = {**self.each_context(request), "form": form, "creator": creator, "title": "Act as a creator"}
        return _with_policy(render(request, "admin/act_as.html", context))

    def stop_acting(self, request: HttpRequest) -> HttpResponse:
        """End."""
        stop_acting(request)
        return HttpResponseRedirect(reverse("admin:index"))


class TenantAdmin(ModelAdmin):  # type: ignore[misc]
    """Admin of a tenant model: hidden and forbidden unless its user acts as a creator.

    Changes are logged in that creator's audit log, never in Django's own, which belongs to nobody. Set
    `read_only` where changing rows by hand would break what services keep true.
    """

    read_only = False

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the rows that each row points at, since lazy loading raises."""
        # Django looks a row up before it asks for the right to it: without this, an error instead of a refusal.
        _required(request)
        keys = [field.name for field in self.model._meta.fields if field.many_to_one and field.name != "creator"]
        rows = super().get_queryset(request)
        return rows.select_related(*keys) if keys else rows

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _acting(request) is not None and bool(super().has_module_permission(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _acting(request) is not None and bool(super().has_view_permission(request, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may_change(request) and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_change(request) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_change(request) and bool(super().has_delete_permission(request, obj))

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        record(_required(request).actor, "added", obj)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        record(_required(request).actor, "changed", obj, json.dumps(message))

    def log_deletions(self, request: HttpRequest, queryset: Iterable[models.Model]) -> None:
        for row in queryset:
            record(_required(request).actor, "deleted", row)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The creator's audit log, about this row."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        log = apps.get_model(settings.AUDIT_MODEL)._meta
        url = reverse(f"admin:{log.app_label}_{log.model_name}_changelist", query={"object_id": object_id})
        return HttpResponseRedirect(url)

    def _may_change(self, request: HttpRequest) -> bool:
        return not self.read_only and _acting(request) is not None


def _as_the_creator(view: View) -> View:
    @wraps(view)
    def scoped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        acting = _acting(request)
        with ExitStack() as stack:
            if acting is not None:
                ids = {"creator_id": str(acting.actor.creator_id), "user_id": str(acting.actor.user_id)}
                stack.enter_context(bound_contextvars(**ids))
                stack.enter_context(creator_scope(acting.actor.creator_id))
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                # Admin pages are lazy, and would read their rows after the scope has closed.
                response = response.render()
        return _with_policy(response)

    return scoped


def _with_policy[R: HttpResponseBase](response: R) -> R:
    response._csp_config = ADMIN_CSP  # type: ignore[attr-defined]
    return response


def _acting(request: HttpRequest) -> Acting | None:
    """As `current_acting`, asked once a request: permissions are looked up for every model on a page."""
    known: Any = request.__dict__
    if "hub_acting" not in known:
        known["hub_acting"] = current_acting(request)
    acting: Acting | None = known["hub_acting"]
    return acting


def _required(request: HttpRequest) -> Acting:
    acting = _acting(request)
    if acting is None:
        raise PermissionDenied
    return acting
