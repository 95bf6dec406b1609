"""The door for websockets: refuse first, join one creator's room, and keep being asked whether that is still right."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import structlog
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from shared.exceptions import BadRequest, HubError, NotAuthenticated, PermissionDenied, close_code, from_exception
from shared.security.rate_limiter import limiter
from shared.security.tokens import verify_access_token
from shared.tenancy.events import Envelope, event_number
from shared.tenancy.live import Listening, doorkeeper, rooms

log = structlog.get_logger(__name__)

# What is spoken here. A browser that offers a token beside it must be answered with one of its offers.
SUBPROTOCOL = "hub.v1"
# How long somebody who has shown nothing may take to say who they are.
GREETING_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
# Where people put tokens by habit. Whatever its name, a value that begins like a token of ours is one.
_NAMES_OF_TOKENS = frozenset({"token", "access_token", "bearer", "authorization", "auth", "jwt", "key", "api_key"})
_BEGINS_LIKE_A_TOKEN = "eyJ"


class WrongOrigin(PermissionDenied):
    """This page may not open a socket to the hub."""

    code = "wrong_origin"


class TokenInAddress(BadRequest):
    """Addresses end up in logs. Send the token in a header, as a subprotocol or in the first message."""

    code = "token_in_address"


class GreetingMalformed(BadRequest):
    """Say who you are first: {"type": "authenticate", "token": "...", "after": 41}; "after" may be left out."""

    code = "greeting_malformed"


class TenantConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # no stubs
    """A socket that hears one creator's events and nothing else.

    Somebody who lost the membership hears nothing more: see `shared.tenancy.live`. With `?after=41`, or the same in the
    first message, it hears what came after event 41 first; without, what happens from now on.
    """

    # The room has a channel, for all of its sockets.
    channel_layer_alias = None

    listening: Listening | None = None
    seq: int | None = None
    _greeting: asyncio.TimerHandle | None = None
    _closing: asyncio.Task[None] | None = None
    _ended = False

    async def connect(self) -> None:
        self._task = asyncio.current_task()
        try:
            self._require_own_origin()
        except HubError as error:
            await self.turn_out(error)  # before the handshake: not a word to a page that is not ours
            return
        try:
            await limiter.check_socket(self.scope, (None, None))
            self._read_address()
            self.listening = await doorkeeper().admit(self.scope)
            if self.listening is not None:
                await rooms().join(self)
        except Exception as error:  # a refusal, a dead Redis, a dead Postgres: the socket says which
            self._leave()
            with contextlib.suppress(OSError):  # the client has left by itself
                await self._accept()  # a code can only be sent over an open socket
                await self.turn_out(error)
            return
        except asyncio.CancelledError:
            self._leave()
            raise
        if not self._ended:  # else it was turned out while its room was opened
            await self._open()

    async def _open(self) -> None:
        try:
            await self._accept()
        except BaseException as error:
            self._leave()
            if isinstance(error, OSError):  # the client has left
                raise StopConsumer from None
            raise
        if self.listening is not None:
            rooms().begin(self)
        else:
            self._greeting = asyncio.get_running_loop().call_later(GREETING_SECONDS, self._give_up)

    async def _accept(self) -> None:
        """Open it. Of what the client has offered only this is named: the rest may be a token."""
        await self.accept(SUBPROTOCOL if SUBPROTOCOL in self.scope.get("subprotocols", ()) else None)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels', without its hop to a thread for database connections: a socket has none."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        self._leave()
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The first message of somebody who has shown nothing yet.

        Nothing else that a client sends means anything here, so it is not even parsed: it cannot name a room to join.
        """
        if self._greeting is None:
            return
        self._greeting.cancel()
        self._greeting = None
        try:
            token, after = _read_greeting(text_data)
            self.seq = self.seq if after is None else after
            self.listening = await doorkeeper().admit_claims(verify_access_token(token))
            await rooms().join(self)
        except Exception as error:
            with contextlib.suppress(OSError):
                await self.turn_out(error)
        else:
            rooms().begin(self)

    def _give_up(self) -> None:
        self._greeting = None
        self._closing = asyncio.get_running_loop().create_task(self.turn_out(NotAuthenticated()))

    async def deliver(self, event: Envelope) -> None:
        """Pass an event on, unless it is being closed."""
        if not self._ended:
            await self.send(text_data=event.text)

    async def turn_out(self, error: Exception) -> None:
        """Close it, with the code that says why."""
        self._ended = True
        if not isinstance(error, HubError):
            log.warning("socket_closed", error=type(error).__name__)
        reason = from_exception(error)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close(close_code(reason), reason.code)
        except TimeoutError:  # it takes not even that: the server ends the connection with its task
            if self._task is not None:
                self._task.cancel()
        finally:
            self._leave()  # last: the room of the last to leave ends the task that may be closing it

    def _leave(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
        if self.listening is not None:
            rooms().leave(self)

    def _read_address(self) -> None:
        """The number in the address. Raises `TokenInAddress` (4400), `EventNumberInvalid` (4422)."""
        for name, value in parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if name.lower() in _NAMES_OF_TOKENS or value.startswith(_BEGINS_LIKE_A_TOKEN):
                raise TokenInAddress
            if name == "after":
                self.seq = event_number(value)

    def _require_own_origin(self) -> None:
        """A browser sends the cookie from any page, so the page must be ours. Other clients send no origin."""
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        domain, _ = split_domain_port(host)
        if not validate_host(domain, settings.ALLOWED_HOSTS):
            raise WrongOrigin
        if origin and origin != settings.PUBLIC_URL and urlsplit(origin).netloc != host:
            raise WrongOrigin


def _read_greeting(text: str | None) -> tuple[str, int | None]:
    """Token and number. Raises `GreetingMalformed` (4400), `EventNumberInvalid` (4422)."""
    try:
        told = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        raise GreetingMalformed from None
    if not isinstance(told, dict) or told.get("type") != "authenticate" or not isinstance(told.get("token"), str):
        raise GreetingMalformed
    return told["token"], event_number(told.get("after"))
