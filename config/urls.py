"""Every address of the hub, in one table. Those in `lean_urls` go the machines' way."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from config import lean_urls
from shared.exceptions import BadRequest, HubError, NotFound, PermissionDenied
from shared.http import answer_error

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="knowledge:documents"), name="home"),
    path("", include("apps.accounts.urls")),
    path("", include("apps.knowledge.urls")),
    path("admin/", admin.site.urls),
    *lean_urls.urlpatterns,
]


class FormExpired(PermissionDenied):
    """This form is too old or came from another site. Open the page again and send it once more."""

    code = "csrf_failed"


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid CSRF token."""
    return answer_error(request, FormExpired())


def handler400(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """A request that Django refused."""
    return answer_error(request, BadRequest())


def handler403(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """Something that is not allowed."""
    return answer_error(request, exception if isinstance(exception, HubError) else PermissionDenied())


def handler404(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """An address that does not exist."""
    return answer_error(request, NotFound("There is nothing at this address."))


def handler500(request: HttpRequest) -> HttpResponse:
    """A defect. The log has it under the request's id; the answer says nothing of it."""
    return answer_error(request, Exception())
