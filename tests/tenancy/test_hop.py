"""`ThreadHop`: so many threads, so many who may wait, for so long; what has begun is never taken back."""

import asyncio
import threading

import pytest
from django.db import connection

from shared.exceptions import DatabaseBusy
from shared.tenancy.ids import uuid7
from shared.tenancy.run import ThreadHop
from shared.tenancy.scope import creator_scope, current_creator
from tests.tenancy.tools import pool_of

SECONDS = 20


class Work:
    """Something that a thread does until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go, self.finished = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(SECONDS)
        self.finished.set()
        return "done"


@pytest.fixture
def work():
    """Work that is let go at the end, whatever the test did."""
    one = Work()
    yield one
    one.go.set()


async def begun(hop: ThreadHop, work: Work) -> asyncio.Task:
    """The call, when its work has begun: on a slow day not the first try of a hop without patience."""
    task = asyncio.create_task(as_soon_as_there_is_a_place(hop, work))
    assert await asyncio.to_thread(work.begun.wait, SECONDS)
    return task


async def as_soon_as_there_is_a_place(hop: ThreadHop, function):
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return await hop(function)
            except DatabaseBusy:
                await asyncio.sleep(0.005)


async def test_work_runs_on_a_database_thread_and_its_result_comes_back():
    hop = ThreadHop(1, queue=0, patience=60)

    assert (await hop(lambda: threading.current_thread().name)).startswith("database")


async def test_one_more_than_may_wait_is_refused_at_once_and_never_begins(work):
    hop, ran = ThreadHop(1, queue=1, patience=60), []
    first = await begun(hop, work)
    waiting = asyncio.create_task(hop(lambda: ran.append("waiting")))
    await asyncio.sleep(0)  # it has taken its place

    with pytest.raises(DatabaseBusy) as refused:
        await hop(lambda: ran.append("refused"))

    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
    assert not first.done()
    work.go.set()
    assert await first == "done"
    await waiting
    await hop(lambda: ran.append("later"))
    assert ran == ["waiting", "later"]


async def test_who_has_waited_too_long_is_refused_and_its_work_never_begins(work):
    hop, ran = ThreadHop(1, queue=1, patience=0.02), []
    first = await begun(hop, work)

    for _ in range(3):  # each gives its place to the next
        with pytest.raises(DatabaseBusy):
            await hop(lambda: ran.append("too late"))

    assert not first.done()
    work.go.set()
    assert await first == "done"
    await as_soon_as_there_is_a_place(hop, lambda: ran.append("in time"))
    assert ran == ["in time"]


async def test_work_that_has_begun_may_take_longer_than_the_patience(work):
    hop = ThreadHop(1, queue=1, patience=0.01)
    first = await begun(hop, work)
    with pytest.raises(DatabaseBusy):
        await hop(lambda: None)  # whose patience began later, and has ended

    work.go.set()
    assert await first == "done"


async def test_a_caller_that_leaves_when_the_patience_is_over_has_left_all_the_same(work):
    hop = ThreadHop(1, queue=1, patience=0.01)
    first = await begun(hop, work)
    with pytest.raises(DatabaseBusy):
        await hop(lambda: None)

    first.cancel()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_caller_that_leaves_does_not_end_its_work_and_the_place_is_taken_until_it_is_done(work):
    hop = ThreadHop(1, queue=0, patience=60)
    task = await begun(hop, work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(DatabaseBusy):
        await hop(lambda: None)
    work.go.set()
    assert await as_soon_as_there_is_a_place(hop, work.finished.is_set)


async def test_work_whose_caller_leaves_before_it_began_never_begins(work):
    hop, ran = ThreadHop(1, queue=1, patience=60), []
    first = await begun(hop, work)
    waiting = asyncio.create_task(hop(lambda: ran.append("left")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    next_in_line = asyncio.create_task(hop(lambda: ran.append("next")))  # in the place that was left
    await asyncio.sleep(0)
    work.go.set()
    await asyncio.gather(first, next_in_line)
    assert ran == ["next"]


async def test_an_exception_comes_through_and_the_place_is_given_back():
    hop = ThreadHop(1, queue=0, patience=60)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await hop(lambda: 1 // 0)

    assert await hop(lambda: "well") == "well"


async def test_a_cancellation_that_the_work_itself_raises_is_not_taken_for_impatience():
    def give_up():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ThreadHop(1, queue=0, patience=60)(give_up)


async def test_the_thread_has_the_callers_scope_and_keeps_none_of_it():
    hop = ThreadHop(1, queue=0, patience=60)
    acme = uuid7()
    with creator_scope(acme):
        assert await hop(current_creator) == acme

    assert await hop(current_creator) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failing", [False, True], ids=["that succeeds", "that fails"])
def test_work_leaves_its_connection_to_the_pool(failing):
    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / %s", [0 if failing else 1])

    def nothing_is_open():
        return connection.connection is None

    async def main():
        hop = ThreadHop(1, queue=0, patience=60)
        await asyncio.gather(hop(ask), return_exceptions=True)
        stats = connection.pool.get_stats()
        return await hop(nothing_is_open), stats["pool_size"], stats["pool_available"]

    with pool_of(1):
        assert asyncio.run(main()) == (True, 1, 1)
