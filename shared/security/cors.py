"""Cross-origin calls: closed, unless `CORS_ORIGINS` names the origin. For the API only, which has no cookies."""

from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from shared.config.env_constants import get_env_value

type Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, PUT, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-ID"
    ),
    "Access-Control-Max-Age": "7200",
}
_EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"


class CorsMiddleware:
    """Answers preflight requests, and marks answers, for the origins of `CORS_ORIGINS`. No I/O."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.origins = frozenset(get_env_value("CORS_ORIGINS", fallback=True))
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not self.origins or not request.path.startswith("/api/"):
            return await self.get_response(request)
        origin = request.headers.get("Origin", "")
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response: HttpResponseBase = HttpResponse(status=204) if preflight else await self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if origin in self.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            if preflight:
                for name, value in _ALLOWED.items():
                    response.headers[name] = value
        return response
