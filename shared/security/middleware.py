"""The limits' door for HTTP: every route is limited unless this file says why not."""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from shared.http import answer_error
from shared.security.addresses import client_address
from shared.security.rate_limiter import DEFAULT, REGISTER, limit_headers, limiter, refusal

type Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

# A probe that is refused gets the process killed, and static files cost no more than the refusal would.
EXEMPT = ("/health/live", "/static/")
# Answers that say "this form is not right yet": nobody was registered, nothing was learned about anybody.
_NOT_YET = {400, 422}


class RateLimitMiddleware:
    """Answers 429 to whoever asks too often, and tells everybody else how much is left. Native async.

    Counts by address, and by `request.limit_identity`, a pair of user and creator, where an earlier middleware
    set it. Which route has which limit is in `settings.RATE_LIMIT_ROUTES`; every other has the default.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(EXEMPT):
            return await self.get_response(request)
        limit = limit_of(request.method or "", request.path)
        identity = getattr(request, "limit_identity", None) or (None, None)
        buckets = limiter.buckets(limit, client_address(request), identity)
        decision = await limiter.use(limit, buckets)
        if not decision.allowed:
            return answer_error(request, refusal(limit, decision))
        response = await self.get_response(request)
        if limit == REGISTER and response.status_code in _NOT_YET:
            # Three attempts an hour are for registrations, not for finding a password that is long enough.
            await limiter.give_back(limit, buckets)
        if response.status_code == 401 and identity != (None, None):
            # The token was signed by us and has ended since: whoever still holds it must not use up its user's limits.
            await limiter.give_back(limit, buckets[1:])
        for name, value in limit_headers(limit, decision).items():
            response.headers.setdefault(name, value)
        return response


def limit_of(method: str, path: str) -> str:
    """The name of the limit for a route."""
    target = f"{method} {path}"
    return next((name for pattern, name in _routes() if pattern.fullmatch(target)), DEFAULT)


@lru_cache(maxsize=1)
def _routes() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), name) for pattern, name in settings.RATE_LIMIT_ROUTES)
