"""One rendering of an error per door: problem+json, a page, a socket's close code."""

from typing import Any

import orjson
import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import escape

from shared.exceptions.errors import HubError
from shared.exceptions.mapping import from_exception

log = structlog.get_logger(__name__)

_PLAIN_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><h1>{title}</h1><p>{sentence}</p><p>Request {request_id}</p></html>
"""


def problem_body(error: HubError, request_id: str | None) -> dict[str, Any]:
    """The error as RFC 9457 has it. `type` is always `about:blank`: programs should look at `code`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        body["errors"] = error.errors
    return body


def problem_response(request: HttpRequest, error: HubError) -> HttpResponse:
    """The error as `application/problem+json`."""
    body = orjson.dumps(problem_body(error, getattr(request, "request_id", None)))
    return HttpResponse(body, status=error.status, headers=error.headers, content_type="application/problem+json")


def page_response(request: HttpRequest, error: HubError) -> HttpResponse:
    """The error as a page, from `errors/error.html` with `status`, `title`, `sentence`, `request_id`.

    Rendered without the request: its context processors would ask the database, which may be what is missing.
    """
    request_id = getattr(request, "request_id", None) or ""
    context = {
        "status": error.status,
        "title": error.title,
        "sentence": error.detail,
        "request_id": request_id,
    }
    try:
        page: str = render_to_string("errors/error.html", context)
    except Exception:
        log.exception("error_page_failed")
        page = _PLAIN_PAGE.format(**{name: escape(value) for name, value in context.items()})
    headers = {name: value for name, value in error.headers.items() if name != "WWW-Authenticate"}
    return HttpResponse(page, status=error.status, headers=headers)


def close_code(error: BaseException) -> int:
    """The code that a websocket is closed with: 4000 + the status for what the client can act on.

    1011 (RFC 6455: unexpected condition) for a defect, 1013 (try again later) where waiting helps.
    """
    status = from_exception(error).status
    if status == 503:
        return 1013
    return 1011 if status >= 500 else 4000 + status
