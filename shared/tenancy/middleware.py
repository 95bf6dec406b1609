"""The door for HTTP: who asks is settled once, before any view. Native async, so that no thread is taken for it."""

from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from structlog.contextvars import bind_contextvars

from shared.exceptions import HubError
from shared.http import answer_error
from shared.security.rate_limiter import Identity
from shared.security.tokens import verify_access_token

type Next = Callable[[HttpRequest], Awaitable[HttpResponse]]


class ActorMiddleware:
    """Sets `request.actor`: who asks, or None for somebody unknown. A bad token is answered here, with 401.

    For pages that is an `Actor`. For the API it is a token's `Claims`, which the database has yet to confirm: `run_as`
    and its like do that where they do their work, so it costs no visit of its own.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.authenticate = import_string(settings.AUTHENTICATOR)
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(settings.PATHS_WITHOUT_ACTOR):
            request.actor = None  # type: ignore[attr-defined]
            return await self.get_response(request)
        try:
            actor = await self.authenticate(request)
        except (HubError, *settings.DATABASE_ERRORS) as error:
            return answer_error(request, error)
        request.actor = actor  # type: ignore[attr-defined]
        if actor is not None:
            bind_contextvars(creator_id=actor.creator_id, user_id=actor.user_id)
        return await self.get_response(request)


class IdentityMiddleware:
    """Sets `request.limit_identity`, `(user, creator)` as a valid token states them, for the limits only.

    No I/O: somebody who is over a limit is refused before the database is asked who they are.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        request.limit_identity = _claimed(request)  # type: ignore[attr-defined]
        return await self.get_response(request)


def _claimed(request: HttpRequest) -> Identity:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        # A dashboard's cookie: random, so its hash is as good a name for a person as any.
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        return (f"session:{cookie}" if cookie else None, None)
    try:
        claims = verify_access_token(token.strip())
    except HubError:
        return (None, None)  # answered with 401 further in, and limited by address until then
    return (claims.user_id, claims.creator_id)
