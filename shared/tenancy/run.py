"""How a door calls a service: one creator's scope, one transaction, one hop to a database thread.

Services are synchronous and touch the database only; doors are asynchronous and never do. The hop is the one place
where the two meet. See docs/decisions/0002-sync-services-one-hop.md.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from inspect import iscoroutinefunction
from threading import BoundedSemaphore
from typing import Any, Concatenate, Protocol
from uuid import UUID

import orjson
import structlog
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from shared.exceptions import DatabaseBusy
from shared.tenancy.actor import Actor, Asker
from shared.tenancy.events import Envelope, News, store_events
from shared.tenancy.names import group_name
from shared.tenancy.reads import confirm_in_transaction
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)

# What Redis does not take by then is left to those who listen: they notice that a number is missing.
_TELL_SECONDS = 2.0
# Of more events at a time only the last one's number is told, and whoever listens reads them.
_MOST_TOLD = 100
_news: ContextVar[list[News] | None] = ContextVar("news", default=None)
_telling: set[asyncio.Task[None]] = set()


class Hop(Protocol):
    """Runs a synchronous function off the event loop and hands back its result."""

    async def __call__[R](self, function: Callable[[], R]) -> R: ...


class ThreadHop:
    """A hop to a pool of database threads. Each leaves its connection to the pool when the work is done.

    A client that goes away cancels the wait, not the work: what was running commits or rolls back by itself. While all
    threads are busy, `queue` pieces of work may wait for at most `patience` seconds; then, and for any more, the hop
    raises `DatabaseBusy` (503), and the work has not begun.
    """

    def __init__(self, threads: int, queue: int, patience: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._places = BoundedSemaphore(threads + queue)
        self._patience = patience

    async def __call__[R](self, function: Callable[[], R]) -> R:
        if not self._places.acquire(blocking=False):
            raise DatabaseBusy
        work = self._pool.submit(copy_context().run, self._finish, function)
        work.add_done_callback(self._leave)
        too_late = False

        def give_up() -> None:
            nonlocal too_late
            too_late = work.cancel()  # unless it has begun

        timer = asyncio.get_running_loop().call_later(self._patience, give_up)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if too_late and not (caller and caller.cancelling()):
                raise DatabaseBusy from None
            raise
        finally:
            timer.cancel()

    def _finish[R](self, function: Callable[[], R]) -> R:
        try:
            return function()
        finally:
            connections.close_all()

    def _leave(self, work: object) -> None:
        self._places.release()


class SameThreadHop:
    """Stays on the thread that runs the test, so that its transaction sees, and undoes, what services write."""

    async def __call__[R](self, function: Callable[[], R]) -> R:
        return await sync_to_async(function, thread_sensitive=True)()


_hop: Hop | None = None


def database_hop() -> Hop:
    """The hop in use, made at first need."""
    global _hop
    if _hop is None:
        _hop = ThreadHop(settings.DATABASE_THREADS, settings.DATABASE_QUEUE, settings.DATABASE_POOL_TIMEOUT_SECONDS)
    return _hop


def use_hop(hop: Hop | None) -> None:
    """Replace the hop: tests whose transaction is rolled back stay on their own thread. None: the default again."""
    global _hop
    _hop = hop


async def run_as[**P, R](
    who: Asker, service: Callable[Concatenate[Actor, P], R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run `service(actor, ...)` for the actor's creator, in one transaction, on a database thread.

    Claims of a token become an actor in that same transaction, or raise `TokenInvalid` (401) before the service runs.
    The scope is open around the transaction, so that what runs on commit still has it. What the service announced is
    stored in the transaction and told after its commit, whether or not somebody still waits for the result.
    """
    if iscoroutinefunction(service):
        raise TypeError("a service is synchronous; this one would never have run")
    loop = asyncio.get_running_loop()

    def call() -> R:
        with _collecting_news() as news, transaction.atomic():
            result = service(confirm_in_transaction(who), *args, **kwargs)
            events = store_events(news) if news else []
        if events:
            with suppress(RuntimeError):  # the loop has ended, and nobody in it listens
                loop.call_soon_threadsafe(_tell, who.creator_id, events)
        return result

    with creator_scope(who.creator_id):
        return await database_hop()(call)


async def run_global[**P, R](service: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a service that belongs to no creator: sign-in, probes, the queue. Tenant tables refuse it."""
    if iscoroutinefunction(service):
        raise TypeError("a service is synchronous; this one would never have run")

    def call() -> R:
        with transaction.atomic():
            return service(*args, **kwargs)

    return await database_hop()(call)


@contextmanager
def _collecting_news() -> Iterator[list[News]]:
    news: list[News] = []
    token = _news.set(news)
    try:
        yield news
    finally:
        _news.reset(token)


def announce(kind: str, subject: UUID, /, **data: Any) -> None:
    """Tell the creator's open pages and clients that something changed, once the transaction has committed.

    Ids, states and numbers only, no text of the creator's: a page that wants more asks, and is checked again.
    """
    news = _news.get()
    if news is None:
        raise RuntimeError("announce() is for services: call the service through run_as()")
    news.append(News(kind, subject, timezone.now(), orjson.dumps(data).decode()))


def _tell(creator_id: UUID, events: Sequence[Envelope]) -> None:
    """Tell every process, in a task of its own: it ends neither with a request nor because nobody holds it."""
    task = asyncio.get_running_loop().create_task(_deliver(creator_id, events))
    _telling.add(task)
    task.add_done_callback(_telling.discard)


async def _deliver(creator_id: UUID, events: Sequence[Envelope]) -> None:
    told = [(event.seq, event.text) for event in events] if len(events) <= _MOST_TOLD else []
    message = {"type": "hub.events", "last": events[-1].seq, "events": told}
    try:
        with creator_scope(creator_id):
            async with asyncio.timeout(_TELL_SECONDS):
                await get_channel_layer().group_send(group_name("events"), message)
    except Exception as error:
        # They are stored: whoever listens finds them a little later.
        log.warning("telling_failed", error=type(error).__name__, events=len(events))
