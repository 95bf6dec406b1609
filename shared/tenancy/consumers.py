"""The door for websockets: refuse first, join one creator's group, and keep asking whether that is still right."""

import asyncio
import contextlib
import time
from typing import Any
from urllib.parse import urlsplit

import structlog
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string

from shared.exceptions import HubError, NotAuthenticated, PermissionDenied, close_code
from shared.security.rate_limiter import limiter
from shared.tenancy.actor import Actor
from shared.tenancy.names import group_name
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)


class WrongOrigin(PermissionDenied):
    """This page may not open a socket to the hub."""

    code = "wrong_origin"


class TenantConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # no stubs
    """A socket that hears one creator's news and nothing else.

    Who may listen is asked again before an event is passed on, and on a timer while nothing happens, so that
    somebody who lost the membership hears nothing more. `kinds` names the groups to join.
    """

    kinds: tuple[str, ...] = ("events",)
    recheck_before_event_seconds = 0.0  # before each: no event may reach somebody who has just been removed
    recheck_idle_seconds = 20.0

    actor: Actor | None = None
    _checked_at = 0.0
    _watch: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        try:
            self._require_own_origin()
        except HubError as error:
            await self._close_for(error)  # before the handshake: not a word to a page that is not ours
            return
        try:
            await limiter.check_socket(self.scope, (None, None))
            self.actor = await self._authenticate()
            await self._join(self.actor)
        except Exception as error:  # a refusal, a dead Redis, a dead Postgres: the socket says which
            await self.accept()  # a code can only be sent over an open socket
            await self._close_for(error)
            return
        await self.accept()
        self._watch = asyncio.create_task(self._keep_checking())

    async def disconnect(self, code: int) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self.actor is not None:
            with contextlib.suppress(Exception), creator_scope(self.actor.creator_id):
                for kind in self.kinds:
                    await self.channel_layer.group_discard(group_name(kind), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Nothing that a client sends means anything here, so it is not even parsed: it cannot name a group to join."""

    async def hub_event(self, message: dict[str, Any]) -> None:
        """Pass an event on, when its reader may still read."""
        if await self._still_welcome(self.recheck_before_event_seconds):
            await self.send_json(message["event"])

    async def _authenticate(self) -> Actor:
        actor: Actor | None = await import_string(settings.SOCKET_AUTHENTICATOR)(self.scope)
        if actor is None:
            raise NotAuthenticated
        if self.actor is not None and actor.creator_id != self.actor.creator_id:
            raise NotAuthenticated  # the session moved to another creator; this socket belongs to the first
        self._checked_at = time.monotonic()
        return actor

    async def _join(self, actor: Actor) -> None:
        with creator_scope(actor.creator_id):
            for kind in self.kinds:
                await self.channel_layer.group_add(group_name(kind), self.channel_name)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_idle_seconds)
            if not await self._still_welcome(0):
                return

    async def _still_welcome(self, seconds: float) -> bool:
        if time.monotonic() - self._checked_at < seconds:
            return True
        try:
            self.actor = await self._authenticate()
        except Exception as error:
            await self._close_for(error)
            return False
        return True

    async def _close_for(self, error: Exception) -> None:
        if not isinstance(error, HubError):
            log.warning("socket_closed", error=type(error).__name__)
        await self.close(close_code(error))

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
