"""How a door calls a service: one creator's scope, one transaction, one hop to a database thread.

Services are synchronous and touch the database only; doors are asynchronous and never do. The hop is the one place
where the two meet. See docs/decisions/0002-sync-services-one-hop.md.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from inspect import iscoroutinefunction
from threading import BoundedSemaphore
from typing import Any, Concatenate, Protocol
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from shared.exceptions import DatabaseBusy
from shared.tenancy.actor import Actor, Asker
from shared.tenancy.names import group_name
from shared.tenancy.reads import confirm_in_transaction
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)

_ANNOUNCE_SECONDS = 2.0  # news that Redis does not take by then is dropped: a page reads the rows anyway
_news: ContextVar[list[tuple[str, dict[str, Any]]] | None] = ContextVar("news", default=None)


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
    The scope is open around the transaction, so that what runs on commit still has it. News that the service
    announced goes out after the commit; when it fails, nothing was written and nothing is announced.
    """
    if iscoroutinefunction(service):
        raise TypeError("a service is synchronous; this one would never have run")

    def call() -> R:
        return service(confirm_in_transaction(who), *args, **kwargs)

    with creator_scope(who.creator_id):
        return await _in_one_transaction(call)


async def run_global[**P, R](service: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a service that belongs to no creator: sign-in, probes, the queue. Tenant tables refuse it."""
    if iscoroutinefunction(service):
        raise TypeError("a service is synchronous; this one would never have run")
    return await _in_one_transaction(partial(service, *args, **kwargs))


async def _in_one_transaction[R](call: Callable[[], R]) -> R:
    news: list[tuple[str, dict[str, Any]]] = []
    token = _news.set(news)
    try:
        result = await database_hop()(lambda: _atomically(call))
    finally:
        _news.reset(token)
    if news:
        await _deliver(news)
    return result


def _atomically[R](call: Callable[[], R]) -> R:
    with transaction.atomic():
        return call()


def announce(kind: str, subject: UUID, /, **data: Any) -> None:
    """Tell the creator's open pages that something changed, once the transaction has committed.

    Ids, states and numbers only, no text of the creator's: a page that wants more asks, and is checked again.
    """
    news = _news.get()
    if news is None:
        raise RuntimeError("announce() is for services: call the service through run_as()")
    event = {"type": kind, "id": str(subject), "at": timezone.now().isoformat(), "data": data}
    news.append((group_name("events"), event))


async def _deliver(news: list[tuple[str, dict[str, Any]]]) -> None:
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(_ANNOUNCE_SECONDS):
            for group, event in news:
                await layer.group_send(group, {"type": "hub.event", "event": event})
    except Exception as error:
        # The rows are committed and true; live news is a convenience and may be lost with Redis.
        log.warning("announce_failed", error=type(error).__name__, events=len(news))
