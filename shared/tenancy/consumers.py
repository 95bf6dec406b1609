"""The door for websockets: refuse first, join one creator's room, and keep being asked whether that is still right."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import structlog
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from shared.exceptions import HubError, NotAuthenticated, PermissionDenied, close_code
from shared.security.rate_limiter import limiter
from shared.tenancy.live import Listening, doorkeeper, rooms

log = structlog.get_logger(__name__)

_CLOSE_SECONDS = 1.0


class WrongOrigin(PermissionDenied):
    """This page may not open a socket to the hub."""

    code = "wrong_origin"


class TenantConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # no stubs
    """A socket that hears one creator's news and nothing else.

    Somebody who lost the membership hears nothing more: see `shared.tenancy.live`. `kinds` names the news it hears.
    """

    kinds: tuple[str, ...] = ("events",)
    # The room has a channel, for all of its sockets.
    channel_layer_alias = None

    listening: Listening | None = None
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
            self.listening = await doorkeeper().admit(self.scope)
            if self.listening is None:
                raise NotAuthenticated
            for kind in self.kinds:
                await rooms().join(self, kind)
        except Exception as error:  # a refusal, a dead Redis, a dead Postgres: the socket says which
            self._leave()
            with contextlib.suppress(OSError):  # the client has left by itself
                await self.accept()  # a code can only be sent over an open socket
                await self.turn_out(error)
            return
        except asyncio.CancelledError:
            self._leave()
            raise
        if not self._ended:  # else it was turned out while its room was opened
            await self._open()

    async def _open(self) -> None:
        try:
            await self.accept()
        except BaseException as error:
            self._leave()
            if isinstance(error, OSError):  # the client has left
                raise StopConsumer from None
            raise

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels', without its hop to a thread for database connections: a socket has none."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        self._leave()
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing that a client sends means anything here, so it is not even parsed: it cannot name a room to join."""

    async def deliver(self, text: str) -> None:
        """Pass an event on, unless it is being closed."""
        if not self._ended:
            await self.send(text_data=text)

    async def turn_out(self, error: Exception) -> None:
        """Close it, with the code that says why."""
        self._ended = True
        if not isinstance(error, HubError):
            log.warning("socket_closed", error=type(error).__name__)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close(close_code(error))
        except TimeoutError:  # it takes not even that: the server ends the connection with its task
            if self._task is not None:
                self._task.cancel()
        finally:
            self._leave()  # last: the room of the last to leave ends the task that may be closing it

    def _leave(self) -> None:
        if self.listening is not None:
            for kind in self.kinds:
                rooms().leave(self, kind)

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
