"""Who listens to a creator's news in this process: one subscription for all of a creator's sockets.

Before an event is passed on, it is asked whether its readers may still read: once for all of them, and once for all
events that have come meanwhile. On a timer the same is asked for sockets that hear nothing.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol
from uuid import UUID

import orjson
import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils.module_loading import import_string

from shared.exceptions import NotAuthenticated, ServiceUnavailable
from shared.tenancy.actor import Actor
from shared.tenancy.names import group_name
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)

# A socket that takes no event for so long is closed: whoever comes back asks for what they missed.
SLOWEST_READER_SECONDS = 5.0
IDLE_RECHECK_SECONDS = 20.0
# One that takes nothing does not take the word that it is closed either; a socket gives up on that sooner by itself.
_CLOSE_SECONDS = 3.0
# How long Redis may take over a subscription.
_SUBSCRIBE_SECONDS = 2.0
# Asked about in one visit to the database.
_AT_ONCE = 500


class ReaderTooSlow(ServiceUnavailable):
    """This socket takes its news too slowly. Connect again."""

    code = "reader_too_slow"


@dataclass(frozen=True, slots=True)
class Listening:
    """Somebody who may hear a creator's news, and the proof of it, which only accounts can read."""

    actor: Actor
    proof: object


class Doorkeeper(Protocol):
    """Who may listen. `settings.DOORKEEPER` names one."""

    async def admit(self, scope: Mapping[str, Any]) -> Listening | None:
        """Whoever is behind a websocket's handshake; None for a stranger. Raises `TokenInvalid`."""

    async def still_admitted(self, listening: Sequence[Listening]) -> Sequence[Listening | None]:
        """In the same order: each that may still listen, for the same creator, with its proof as of now, else None."""


@lru_cache(maxsize=1)
def doorkeeper() -> Doorkeeper:
    """The one that is configured."""
    found: Doorkeeper = import_string(settings.DOORKEEPER)
    return found


class Listener(Protocol):
    """A socket in a room."""

    listening: Listening

    async def deliver(self, text: str) -> None: ...

    async def turn_out(self, error: Exception) -> None:
        """Close it, and say why."""


class Room:
    """One creator's listeners to one kind of news, in one event loop."""

    def __init__(self, creator_id: UUID, kind: str) -> None:
        self.creator_id = creator_id
        self.kind = kind
        self.listeners: set[Listener] = set()
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._layer = get_channel_layer()
        self._channel = ""
        self.opened = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        self._channel = await self._layer.new_channel()
        with creator_scope(self.creator_id):
            await self._layer.group_add(group_name(self.kind), self._channel)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._until_it_fails(part())) for part in (self._hear, self._pass_on)]

    async def close(self) -> None:
        """Leave the group. Nobody is in the room any more."""
        self.opened.cancel()
        await asyncio.wait([self.opened])
        for task in self._tasks:
            task.cancel()  # which also ends the channel's subscription
        if self._channel:
            with contextlib.suppress(Exception), creator_scope(self.creator_id):
                async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                    await self._layer.group_discard(group_name(self.kind), self._channel)
                    await self._layer.forget_channel(self._channel)

    async def _until_it_fails(self, part: Coroutine[Any, Any, None]) -> None:
        """A room that cannot go on closes its sockets: whoever connects again gets another."""
        try:
            await part
        except Exception as error:
            log.exception("room_failed")
            await asyncio.gather(*(turn_out(listener, error) for listener in list(self.listeners)))

    async def _hear(self) -> None:
        while True:
            message = await self._layer.receive(self._channel)
            try:
                self._events.put_nowait(orjson.dumps(message["event"]).decode())
            except (KeyError, TypeError) as error:  # not from announce(): nobody is owed it
                log.error("event_unreadable", error=type(error).__name__)

    async def _pass_on(self) -> None:
        while True:
            texts = [await self._events.get()]
            while not self._events.empty():
                texts.append(self._events.get_nowait())
            # After they have come: whoever was removed before an event happened does not hear it.
            await turn_out_who_may_not_stay(list(self.listeners))
            # Eager: most take their events at once, which costs no turn of the loop.
            give = partial(asyncio.Task, loop=asyncio.get_running_loop(), eager_start=True)
            giving = [give(self._give(listener, texts)) for listener in list(self.listeners)]
            await asyncio.gather(*(task for task in giving if not task.done()))

    async def _give(self, listener: Listener, texts: list[str]) -> None:
        try:
            async with asyncio.timeout(SLOWEST_READER_SECONDS):
                for text in texts:
                    await listener.deliver(text)
        except (Exception, asyncio.CancelledError):  # too slow, or gone without a word
            room = asyncio.current_task()
            if room is not None and room.cancelling():
                raise
            await turn_out(listener, ReaderTooSlow())


class Rooms:
    """The rooms of one event loop."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[UUID, str], Room] = {}
        self._checking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def join(self, listener: Listener, kind: str) -> None:
        """Put a socket into its creator's room.

        Raises what Redis raises when it cannot be subscribed to, `ServiceUnavailable` when it says nothing.
        """
        key = (listener.listening.actor.creator_id, kind)
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Room(*key)
        room.listeners.add(listener)
        if self._checking is None:
            self._checking = asyncio.get_running_loop().create_task(self._keep_checking())
        try:
            # Others wait for the same; one that goes away does not take it along.
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await asyncio.shield(room.opened)
        except TimeoutError:
            self.leave(listener, kind)
            raise ServiceUnavailable from None
        except BaseException:
            self.leave(listener, kind)
            raise

    def leave(self, listener: Listener, kind: str) -> None:
        """Take a socket out of its room. One that is in none changes nothing."""
        key = (listener.listening.actor.creator_id, kind)
        room = self._rooms.get(key)
        if room is None:
            return
        room.listeners.discard(listener)
        if not room.listeners:
            del self._rooms[key]
            closing = asyncio.get_running_loop().create_task(room.close())
            self._closing.add(closing)  # kept, or it might be collected while it runs
            closing.add_done_callback(self._closing.discard)
        if not self._rooms and self._checking is not None:
            self._checking.cancel()
            self._checking = None

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(IDLE_RECHECK_SECONDS)
            listeners = {listener for room in self._rooms.values() for listener in room.listeners}
            try:
                await turn_out_who_may_not_stay(list(listeners))
            except Exception:
                log.exception("recheck_failed")  # and asked again at the next turn


async def turn_out_who_may_not_stay(listeners: list[Listener]) -> None:
    """Close the sockets of those who may not listen any more. All of them, when that cannot be found out."""
    for start in range(0, len(listeners), _AT_ONCE):
        part = listeners[start : start + _AT_ONCE]
        reason: Exception = NotAuthenticated()
        proofs: Sequence[Listening | None] = [None] * len(part)
        try:
            proofs = await doorkeeper().still_admitted([listener.listening for listener in part])
        except Exception as error:
            reason = error
        refused = []
        for listener, proven in zip(part, proofs, strict=True):
            if proven is None:
                refused.append(turn_out(listener, reason))
            else:
                listener.listening = proven
        await asyncio.gather(*refused)  # together: one that takes nothing holds up nobody's check


async def turn_out(listener: Listener, error: Exception) -> None:
    """Close a socket, whatever state it is in."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await listener.turn_out(error)


_by_loop: dict[asyncio.AbstractEventLoop, Rooms] = {}


def rooms() -> Rooms:
    """The rooms of the event loop that runs."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        for closed in [other for other in _by_loop if other.is_closed()]:
            del _by_loop[closed]
        _by_loop[loop] = Rooms()
    return _by_loop[loop]
