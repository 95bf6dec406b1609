"""From a request to an actor, and from a password to a sign-in. The only place that makes actors for the doors."""

from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from apps.accounts import services
from apps.accounts.models import User
from apps.accounts.services import Credentials, InvalidCredentials, TokenProof
from shared.exceptions import NotAuthenticated, ValidationFailed
from shared.http import is_api
from shared.security.passwords import hash_password, verify_password
from shared.security.tokens import Claims, TokenInvalid, verify_access_token
from shared.tenancy.actor import Asker
from shared.tenancy.live import Listening
from shared.tenancy.reads import confirm_actor
from shared.tenancy.run import run_global

_BEARER_SUBPROTOCOL = "bearer."


async def authenticate(request: HttpRequest) -> Asker | None:
    """Who asks: an actor by session for pages, the claims of a bearer token for the API. None for a stranger.

    Claims are of a token that is ours and has not expired; whoever does something for them confirms in the same
    transaction that its sign-in has not ended (`run_as`, `read_as`, `confirm_actor`). Raises `TokenInvalid` (401) for
    a forged or expired token. The API never looks at cookies, which is why it needs no CSRF token.
    """
    if is_api(request):
        return claims_of(request.META.get("HTTP_AUTHORIZATION", ""))
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    return await run_global(services.load_session_actor, request=request)


class _Doorkeeper:
    """Who may listen: by bearer token in a header or as a subprotocol, or by session cookie."""

    async def admit(self, scope: Mapping[str, Any]) -> Listening | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        claims = claims_of(headers.get(b"authorization", "")) or _offered_claims(scope.get("subprotocols", ()))
        if claims is not None:
            return await self.admit_claims(claims)
        key = _session_key(headers.get(b"cookie", ""))
        if key is None:
            return None
        listening = await run_global(services.load_session_listening, key=key)
        if listening is None:
            raise NotAuthenticated
        return listening

    async def admit_claims(self, claims: Claims) -> Listening:
        return Listening(await confirm_actor(claims), TokenProof(claims))

    async def still_admitted(self, listening: Sequence[Listening]) -> Sequence[Listening | None]:
        return await run_global(services.still_listening, listening=listening)


doorkeeper = _Doorkeeper()


async def verify_credentials(email: str, password: str) -> Credentials:
    """The account that an address and a password open. Raises `InvalidCredentials` (401).

    An unknown address takes as long as a wrong password: a hash is verified either way.
    """
    found = await run_global(services.find_credentials, email=email)
    matches = await verify_password(password, found.password_hash if found else None)
    if found is None or not matches:
        raise InvalidCredentials
    return found


async def hash_new_password(password: str, *, email: str, display_name: str) -> str:
    """The hash of a password that may be set. Raises `ValidationFailed` (422) with each rule it breaks."""
    try:
        validate_password(password, User(email=email, display_name=display_name))
    except ValidationError as broken:
        errors = [
            {"field": "password", "message": rule.messages[0], "code": rule.code or "invalid"}
            for rule in broken.error_list
        ]
        raise ValidationFailed("The password is too weak.", errors=errors) from None
    return await hash_password(password)


async def sign_in(request: HttpRequest, credentials: Credentials) -> None:
    """Begin a dashboard session. Raises `NoCreator` (403)."""
    await run_global(services.start_session, request=request, credentials=credentials)


async def sign_out(request: HttpRequest) -> None:
    """End the dashboard session, here and on its open sockets."""
    await run_global(services.end_session, request=request)


def claims_of(header: str) -> Claims | None:
    """What the token of an `Authorization` header states, None without one. Raises `TokenInvalid` (401)."""
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    return verify_access_token(token.strip())


def _offered_claims(subprotocols: Sequence[str]) -> Claims | None:
    """What the token among a websocket's subprotocols states: a browser can set no header, but can offer these."""
    for name in subprotocols:
        if name.startswith(_BEARER_SUBPROTOCOL):
            return verify_access_token(name.removeprefix(_BEARER_SUBPROTOCOL))
    return None


def _session_key(cookie_header: str) -> str | None:
    try:
        cookie = SimpleCookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return cookie.value if cookie else None
