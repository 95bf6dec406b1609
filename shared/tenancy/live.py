"""Who listens to a creator's events in this process: one subscription for all of a creator's sockets and streams.

Before an event is passed on, it is asked whether its readers may still read: once for all of them, and once for all
events that have come meanwhile. On a timer the same is asked for those that hear nothing, and Postgres for events that
nobody has told.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol
from uuid import UUID

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils.module_loading import import_string

from shared.exceptions import NotAuthenticated, ServiceUnavailable
from shared.security.tokens import Claims
from shared.tenancy.actor import Actor
from shared.tenancy.events import PAGE, Envelope, newest_seq, read_events
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
        """Whoever is behind a websocket's handshake; None for somebody who has shown nothing.

        Raises `NotAuthenticated` for whatever was shown and is not, or no longer, good.
        """

    async def admit_claims(self, claims: Claims) -> Listening:
        """Whoever a token's claims are about. Raises `TokenInvalid` when its sign-in has ended."""

    async def still_admitted(self, listening: Sequence[Listening]) -> Sequence[Listening | None]:
        """In the same order: each that may still listen, for the same creator, with its proof as of now, else None."""


@lru_cache(maxsize=1)
def doorkeeper() -> Doorkeeper:
    """The one that is configured."""
    found: Doorkeeper = import_string(settings.DOORKEEPER)
    return found


class Listener(Protocol):
    """A socket or a stream in a room."""

    listening: Listening
    # The number of the last event it has heard; None: it wants those from now on.
    seq: int | None

    async def deliver(self, event: Envelope) -> None: ...

    async def turn_out(self, error: Exception) -> None:
        """Close it, and say why."""


@dataclass(frozen=True, slots=True)
class _Nudge:
    """Word that there are events up to `last`, and some of them. `last` is None for a look at what there is."""

    last: int | None = None
    told: Mapping[int, str] = field(default_factory=dict)


class Room:
    """One creator's listeners, in one event loop: each hears every number once, in order.

    Redis tells what happens; what it did not tell is read from Postgres as soon as a number is missing. `seq` is the
    number of the last event that was given to all who have caught up.
    """

    def __init__(self, creator_id: UUID) -> None:
        self.creator_id = creator_id
        self.listeners: set[Listener] = set()
        self.seq = 0
        self._caught_up: set[Listener] = set()
        self._nudges: asyncio.Queue[_Nudge] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._layer = get_channel_layer()
        self._channel = ""
        self.opened = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        self._channel = await self._layer.new_channel()
        with creator_scope(self.creator_id):
            await self._layer.group_add(group_name("events"), self._channel)
        # After the subscription: what commits later is told.
        self.seq = await newest_seq(self.creator_id)
        for part in (self._hear, self._pass_on):
            self._start(self._until_it_fails(part()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # kept, or it might be collected while it runs
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave the group. Nobody is in the room any more."""
        self.opened.cancel()
        await asyncio.wait([self.opened])
        for task in list(self._tasks):
            task.cancel()  # which also ends the channel's subscription
        if self._channel:
            with contextlib.suppress(Exception), creator_scope(self.creator_id):
                async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                    await self._layer.group_discard(group_name("events"), self._channel)
                    await self._layer.forget_channel(self._channel)

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)
        self._caught_up.discard(listener)

    async def _until_it_fails(self, part: Coroutine[Any, Any, None]) -> None:
        """A room that cannot go on closes its sockets: whoever connects again gets another."""
        try:
            await part
        except Exception as error:
            log.exception("room_failed")
            await asyncio.gather(*(turn_out(listener, error) for listener in list(self.listeners)))

    # ---- What happens

    async def _hear(self) -> None:
        while True:
            message = await self._layer.receive(self._channel)
            try:
                self._nudges.put_nowait(_Nudge(int(message["last"]), dict(message["events"])))
            except (KeyError, TypeError, ValueError) as error:  # not from announce(): nobody is owed it
                log.error("event_unreadable", error=type(error).__name__)

    async def look(self) -> None:
        """Find what nobody has told: Redis was away, or the process that wrote has died."""
        before = self.seq
        if await newest_seq(self.creator_id) != before:
            self._nudges.put_nowait(_Nudge())

    async def _pass_on(self) -> None:
        while True:
            nudges = [await self._nudges.get()]
            while not self._nudges.empty():
                nudges.append(self._nudges.get_nowait())
            events = await self._following(nudges)
            if not events:
                continue
            # After they have come: whoever was removed before an event happened does not hear it.
            asked = list(self._caught_up)
            await turn_out_who_may_not_stay(asked)
            self.seq = events[-1].seq
            for late in self._caught_up.difference(asked):  # they have come during the question, which is theirs too
                self._caught_up.discard(late)
                self.begin(late)
            # Eager: most take their events at once, which costs no turn of the loop.
            give = partial(asyncio.Task, loop=asyncio.get_running_loop(), eager_start=True)
            giving = [give(self._give(listener, events)) for listener in asked if listener in self._caught_up]
            await asyncio.gather(*(task for task in giving if not task.done()))

    async def _following(self, nudges: list[_Nudge]) -> list[Envelope]:
        """The events after the last one that was given, without a gap. What came twice, or late, is left out."""
        told = {seq: text for nudge in nudges for seq, text in nudge.told.items()}
        newest = max((nudge.last for nudge in nudges if nudge.last is not None), default=0)
        look = any(nudge.last is None for nudge in nudges)
        events: list[Envelope] = []
        seq = self.seq
        while seq < newest or look:
            if (text := told.get(seq + 1)) is not None:
                events.append(Envelope(seq + 1, text))
            else:
                found = await read_events(self.creator_id, after=seq)
                look = len(found) == PAGE
                if not found:
                    break
                log.info("events_found", creator_id=str(self.creator_id), events=len(found))
                events += found
            seq = events[-1].seq
        return events

    async def _give(self, listener: Listener, events: list[Envelope]) -> None:
        try:
            async with asyncio.timeout(SLOWEST_READER_SECONDS):
                for event in events:
                    if event.is_reload or listener.seq is None or event.seq > listener.seq:
                        await listener.deliver(event)
                        listener.seq = event.seq
        except (Exception, asyncio.CancelledError):  # too slow, or gone without a word
            room = asyncio.current_task()
            if room is not None and room.cancelling():
                raise
            await turn_out(listener, ReaderTooSlow())

    # ---- What has happened

    def begin(self, listener: Listener) -> None:
        """Give a listener what it has missed, then what happens."""
        self._start(self._catch_up(listener))

    async def _catch_up(self, listener: Listener) -> None:
        """Read a page at a time, until nothing happens between the last one and being one of those who hear."""
        try:
            known = False
            while listener in self.listeners:
                seq = listener.seq or 0
                if seq == self.seq or (known and seq > self.seq):  # a number may be told here before it is heard
                    self._caught_up.add(listener)
                    return
                missed = await read_events(self.creator_id, after=seq)
                known = True
                if not missed:  # then it is this room that has heard less than there is, or more
                    self._nudges.put_nowait(_Nudge())
                    continue
                await turn_out_who_may_not_stay([listener])
                if listener in self.listeners:
                    await self._give(listener, missed)
        except Exception as error:
            await turn_out(listener, error)


class Rooms:
    """The rooms of one event loop."""

    def __init__(self) -> None:
        self._rooms: dict[UUID, Room] = {}
        self._checking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def join(self, listener: Listener) -> None:
        """Put a listener into its creator's room. It hears nothing before `begin`.

        One without a number gets the newest event's. Raises what Redis or Postgres raises when it cannot be subscribed
        to or asked, `ServiceUnavailable` when it says nothing.
        """
        creator_id = listener.listening.actor.creator_id
        room = self._rooms.get(creator_id)
        if room is None:
            room = self._rooms[creator_id] = Room(creator_id)
        room.listeners.add(listener)
        if self._checking is None:
            self._checking = asyncio.get_running_loop().create_task(self._keep_checking())
        try:
            # Others wait for the same; one that goes away does not take it along.
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await asyncio.shield(room.opened)
        except TimeoutError:
            self.leave(listener)
            raise ServiceUnavailable from None
        except BaseException:
            self.leave(listener)
            raise
        if listener.seq is None:
            listener.seq = room.seq

    def begin(self, listener: Listener) -> None:
        """Let a listener hear: what it has missed, then what happens. One that has left hears nothing."""
        room = self._rooms.get(listener.listening.actor.creator_id)
        if room is not None and listener in room.listeners:
            room.begin(listener)

    def leave(self, listener: Listener) -> None:
        """Take a listener out of its room. One that is in none changes nothing."""
        creator_id = listener.listening.actor.creator_id
        room = self._rooms.get(creator_id)
        if room is None:
            return
        room.leave(listener)
        if not room.listeners:
            del self._rooms[creator_id]
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
                for room in list(self._rooms.values()):
                    await room.look()  # one after the other: nobody waits for them
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
