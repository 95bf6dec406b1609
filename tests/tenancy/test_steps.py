"""Reads of several steps: the same generator on the event loop and inside a service's transaction."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from psycopg import errors

from shared.tenancy import reads
from shared.tenancy.reads import SameThreadReader, follow, follow_in_transaction
from shared.tenancy.scope import ScopeSwitch, creator_scope, current_creator

pytestmark = pytest.mark.django_db

NUMBERS = "SELECT n FROM generate_series(1, %(to)s) n"


@pytest.fixture
def messages():
    """What is sent to Postgres, message by message."""
    sent = []

    class Keeping(SameThreadReader):
        async def __call__(self, sql, parameters, sets):
            sent.append((sql, dict(parameters), sets))
            return await super().__call__(sql, parameters, sets)

    reads.use_reader(Keeping())
    return sent


def on_the_loop(actor, begin):
    return async_to_sync(follow)(actor, begin)


def in_a_transaction(actor, begin):
    with creator_scope(actor.creator_id):
        return follow_in_transaction(begin())


WAYS = pytest.mark.parametrize("way", [on_the_loop, in_a_transaction])


def sums(first):
    """Two statements of one message, then one made of their rows."""
    numbers, (creator,) = yield [
        (NUMBERS, {"to": first}),
        ("SELECT current_setting('app.current_creator_id', true), %(to)s", {"to": first}),
    ]
    ((total,),) = (yield [("SELECT %(sum)s + 1", {"sum": sum(n for (n,) in numbers)})])[0]
    return total, creator


@WAYS
def test_each_step_is_made_of_what_the_ones_before_have_found(two, way):
    assert way(two.alice, lambda: sums(4)) == (11, (str(two.alice.creator_id), 4))


def test_the_statements_of_a_step_are_one_message(two, messages):
    on_the_loop(two.alice, lambda: sums(4))

    assert [sets for _, _, sets in messages] == [2, 1]
    assert [sql.count("; ") for sql, _, _ in messages] == [1, 0]
    assert [parameters for _, parameters, _ in messages] == [{"to": 4}, {"sum": 10}]


@WAYS
def test_a_read_of_no_steps_asks_nothing(two, messages, way, django_assert_num_queries):
    def nothing():
        return "known already"
        yield

    with django_assert_num_queries(0):
        assert way(two.alice, nothing) == "known already"


def test_steps_run_in_the_actors_scope_and_leave_none(two):
    def scopes():
        seen = [current_creator()]
        yield [("SELECT 1", {})]
        return [*seen, current_creator()]

    assert on_the_loop(two.alice, scopes) == [two.alice.creator_id] * 2
    assert current_creator() is None
    with creator_scope(two.mallory.creator_id), pytest.raises(ScopeSwitch):
        on_the_loop(two.alice, scopes)


@pytest.mark.parametrize(("rows", "moves"), [(2000, False), (2001, True)])
def test_what_is_made_of_many_rows_is_made_on_a_thread_of_its_own_in_the_same_scope(two, rows, moves):
    def where():
        numbers, _ = yield [(NUMBERS, {"to": rows - 1}), ("SELECT 1", {})]
        on_many = threading.get_ident(), current_creator(), len(numbers)
        yield [("SELECT 1", {})]
        return threading.get_ident(), on_many

    here, (there, creator, count) = on_the_loop(two.alice, where)
    assert (there != here) is moves
    assert (creator, count) == (two.alice.creator_id, rows - 1)


def test_a_read_may_end_on_the_thread(two):
    def longest():
        (numbers,) = yield [(NUMBERS, {"to": 3000})]
        return max(numbers)

    assert on_the_loop(two.alice, longest) == (3000,)


@WAYS
@pytest.mark.parametrize("rows", [1, 3000])
def test_a_step_that_raises_ends_the_read_with_its_own_error(two, messages, way, rows):
    ended = []

    def broken():
        try:
            yield [(NUMBERS, {"to": rows})]
            raise KeyError("mine")
        finally:
            ended.append(current_creator())

    with pytest.raises(KeyError, match="mine"):
        way(two.alice, broken)
    assert ended == [two.alice.creator_id]
    assert current_creator() is None


def test_a_statement_that_fails_ends_the_steps(two):
    ended = []

    def broken():
        try:
            yield [("SELECT 1 / %(by)s", {"by": 0})]
        finally:
            ended.append(current_creator())

    with pytest.raises(Exception, match="division by zero") as failed:
        on_the_loop(two.alice, broken)
    assert isinstance(failed.value.__cause__, errors.DivisionByZero)
    assert ended == [two.alice.creator_id]


def test_a_client_that_leaves_between_two_steps_ends_them(two):
    ended = []

    class Silent:
        async def __call__(self, sql, parameters, sets):
            asked.set()
            await asyncio.Event().wait()

    def steps():
        try:
            yield [("SELECT 1", {})]
        finally:
            ended.append(current_creator())

    async def main():
        task = asyncio.create_task(follow(two.alice, steps))
        async with asyncio.timeout(20):
            await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asked = asyncio.Event()
    reads.use_reader(Silent())
    asyncio.run(main())
    assert ended == [two.alice.creator_id]


@pytest.mark.parametrize("other", [5, "4", None])
def test_statements_of_one_message_that_disagree_about_a_name_are_not_sent(two, messages, other):
    def disagreeing():
        yield [("SELECT %(to)s", {"to": 4}), ("SELECT %(to)s", {"to": other})]

    with pytest.raises(ValueError, match="disagree about to"):
        on_the_loop(two.alice, disagreeing)
    assert messages == []


def test_inside_a_transaction_each_statement_has_its_own_values(two):
    def disagreeing():
        found = yield [("SELECT %(to)s", {"to": 4}), ("SELECT %(to)s", {"to": 5})]
        return found

    assert in_a_transaction(two.alice, disagreeing) == [[(4,)], [(5,)]]


def test_a_client_that_leaves_while_a_step_is_on_its_thread_is_a_cancellation(two):
    begun, go = threading.Event(), threading.Event()

    class Many:
        async def __call__(self, sql, parameters, sets):
            return [[(1,)] * 2001]

    def steps():
        yield [("SELECT 1", {})]
        begun.set()
        go.wait(20)

    async def main():
        task = asyncio.create_task(follow(two.alice, steps))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            go.set()

    reads.use_reader(Many())
    asyncio.run(main())


@pytest.mark.parametrize(
    ("rows", "on_a_thread"),
    [
        ([(1,)] * 2000, False),
        ([(1,)] * 2001, True),
        ([(1, b"x" * (1 << 17))], False),
        ([(1, b"x" * (1 << 16)), (None, b"x" * (1 << 16)), (b"x",)], True),
    ],
)
def test_what_is_long_to_compute_leaves_the_event_loop(two, rows, on_a_thread):
    class Given:
        async def __call__(self, sql, parameters, sets):
            return [rows]

    def steps():
        before = threading.get_ident()
        yield [("SELECT 1", {})]
        return before, threading.get_ident()

    reads.use_reader(Given())
    before, after = asyncio.run(follow(two.alice, steps))

    assert (before != after) == on_a_thread
