"""The outermost middleware: a name for the request, one line about it, and its numbers."""

import re
import time
from collections.abc import Awaitable, Callable

import structlog
from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, reset_contextvars

from shared.observability.metrics import count_request
from shared.security.addresses import came_through_proxy
from shared.tenancy.ids import uuid7

type Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

log = structlog.get_logger("hub.access")

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")
# What nginx calls it. Nobody sees the number but the log.
_CLIENT_LEFT = 499
_QUIET = ("/health/", "/metrics", "/static/")


class RequestIdMiddleware:
    """Names the request in every log line, in every error and in the `X-Request-ID` header of the answer.

    A trusted proxy's own name for it is kept; anybody else's is not, since it would be written to our logs.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = _request_id(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        bound = bind_contextvars(request_id=request_id, creator_id=None, user_id=None)
        status = _CLIENT_LEFT
        try:
            response = await self.get_response(request)
            response.headers["X-Request-ID"] = request_id
            status = response.status_code
        finally:
            _tell(request, status, time.perf_counter() - started)
            reset_contextvars(**bound)
        return response


def _request_id(request: HttpRequest) -> str:
    given: str = request.META.get("HTTP_X_REQUEST_ID", "")
    if given and _WELL_FORMED.fullmatch(given) and came_through_proxy(request):
        return given
    return str(uuid7())


def _tell(request: HttpRequest, status: int, seconds: float) -> None:
    # The route's template, never the path: ids and queries are the creator's.
    route = f"/{request.resolver_match.route}" if request.resolver_match else "unrouted"
    count_request(request.method or "", route, status, seconds)
    if not request.path.startswith(_QUIET):
        actor = getattr(request, "actor", None)
        log.info(
            "request",
            method=request.method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            creator_id=actor.creator_id if actor else None,
            user_id=actor.user_id if actor else None,
        )
