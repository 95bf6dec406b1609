"""One message and its answer, on a connection that reads use, past psycopg's cursors."""

import asyncio
import os
import socket
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from uuid import UUID

import pytest
from psycopg import DataError, OperationalError, errors
from psycopg.pq import TransactionStatus

from shared.tenancy.exchange import Answer
from shared.tenancy.policies import SETTING
from tests.tenancy.gate import PASS_GATE, end_servers, shut_gate

SECONDS = 20


@pytest.fixture
async def line(pool_reader):
    """A connection as the pool makes it."""
    pool = await pool_reader.open()
    one = await pool.getconn()
    yield one
    await pool.putconn(one)


@pytest.fixture
def gate(transactional_db):
    with shut_gate() as gate:
        yield gate


async def ask(line, sql, parameters=()):
    """The rows of each result of a message."""
    async with asyncio.timeout(SECONDS):
        return await line.load(await line.send(sql, parameters).arrived)


async def wait(answer):
    async with asyncio.timeout(SECONDS):
        return await answer.arrived


def cut(line):
    """End the connection on this side, without a word from the server."""
    with socket.socket(fileno=os.dup(line.pgconn.socket)) as wire:
        wire.shutdown(socket.SHUT_RDWR)


async def test_each_statement_has_a_result_of_its_own(line):
    sql = "SELECT 1, 'a'; SELECT 2 WHERE false; SELECT n FROM generate_series(1, %(to)s) n; SELECT %(to)s"

    assert await ask(line, sql, {"to": 3}) == [[(1, "a")], [], [(1,), (2,), (3,)], [(3,)]]


VALUES = {
    "uuid": UUID("018f0000-0000-7000-8000-000000000001"),
    "timestamptz": datetime(2026, 3, 1, 12, 30, 15, 250, tzinfo=UTC),
    "date": date(2026, 3, 1),
    "interval": timedelta(days=2, seconds=3),
    "numeric": Decimal("12.50"),
    "float8": 0.1,
    "int8": 2**40,
    "bool": True,
    "text": "it's “ä” \\ %",
    "bytea": b"\x00\xff",
    "uuid[]": [UUID(int=1), UUID(int=2)],
    "int4": None,
}


async def test_values_come_back_as_the_types_of_python_that_went(line):
    columns = ", ".join(f"%s::{kind}" for kind in VALUES)
    document = "SELECT jsonb_build_object('words', jsonb_build_array('a', NULL), 'n', 1.5)"

    (row,), ((loaded,),) = await ask(line, f"SELECT {columns}; {document}", [*VALUES.values()])

    assert row == tuple(VALUES.values())
    assert [type(value) for value in row] == [type(value) for value in VALUES.values()]
    assert loaded == {"words": ["a", None], "n": 1.5}


async def test_a_message_that_is_longer_than_the_sockets_buffer_arrives_whole(line, gate, monkeypatch):
    resumed = []
    writable = Answer._writable
    monkeypatch.setattr(Answer, "_writable", lambda answer: (resumed.append(answer), writable(answer)))
    text = "0123456789abcdef" * 2**19

    asking = asyncio.create_task(ask(line, f"{PASS_GATE}; SELECT length(%s), md5(%s)", [text, text]))
    await gate.reached()
    assert resumed
    assert not asyncio.get_running_loop().remove_writer(line.pgconn.socket)  # all is sent: nobody is woken for it
    gate.open()

    assert (await asking)[-1] == [(len(text), md5(text.encode(), usedforsecurity=False).hexdigest())]


async def test_an_answer_in_many_pieces_arrives_whole(line):
    ((row,),) = await ask(line, "SELECT repeat('0123456789', %s)", [10**6])

    assert row == ("0123456789" * 10**6,)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1 / 0", errors.DivisionByZero),
        ("SELECT 'x'::uuid", errors.InvalidTextRepresentation),
        ("SELECT * FROM nowhere", errors.UndefinedTable),
        ("SELECT FROM WHERE", errors.SyntaxError),
    ],
)
async def test_an_error_is_psycopgs_own_and_the_connection_goes_on(line, statement, error):
    with pytest.raises(error) as raised:
        await ask(line, f"SET LOCAL {SETTING} = 'x'; SELECT 1; {statement}; SELECT 2")

    assert raised.value.diag.message_primary
    assert line.pgconn.transaction_status == TransactionStatus.IDLE
    assert await ask(line, f"SELECT coalesce(current_setting('{SETTING}', true), '')") == [[("",)]]


@pytest.mark.parametrize(("value", "error"), [("a\x00b", DataError), ("\ud800", UnicodeEncodeError)])
async def test_a_value_that_postgres_cannot_hold_is_refused_before_anything_is_sent(line, value, error):
    with pytest.raises(error):
        line.send("SELECT %s", [value])

    assert line.pgconn.transaction_status == TransactionStatus.IDLE
    assert await ask(line, "SELECT 1") == [[(1,)]]


async def test_who_stops_waiting_leaves_a_connection_that_is_free_when_its_answer_is_there(line, gate):
    answer, free = line.send(f"{PASS_GATE}; SELECT 'left'", ()), asyncio.Event()
    waiting = asyncio.create_task(wait(answer))
    await gate.reached()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    answer.afterwards = free.set
    assert (answer.ended, free.is_set()) == (False, False)
    gate.open()
    async with asyncio.timeout(SECONDS):
        await free.wait()
    assert answer.ended
    assert await ask(line, "SELECT 'next'") == [[("next",)]]


async def test_an_error_that_nobody_waits_for_frees_the_connection_as_well(line, gate):
    answer, free = line.send(f"{PASS_GATE}; SELECT 1 / 0", ()), asyncio.Event()
    answer.afterwards = free.set
    await gate.reached()
    answer.arrived.cancel()

    gate.open()
    async with asyncio.timeout(SECONDS):
        await free.wait()
    assert await ask(line, "SELECT 'next'") == [[("next",)]]


async def test_a_server_that_goes_away_says_so_and_the_connection_is_closed(line, gate):
    answer = line.send(PASS_GATE, ())
    end_servers(await gate.reached())

    with pytest.raises(errors.AdminShutdown):
        await wait(answer)
    assert answer.ended
    assert line.closed


async def test_a_connection_that_is_lost_without_a_word_is_an_operational_error_and_closed(line, gate):
    answer, known = line.send(f"SELECT 1; {PASS_GATE}", ()), []
    answer.afterwards = lambda: known.append(line.closed)
    await gate.reached()
    cut(line)

    with pytest.raises(OperationalError) as lost:
        await wait(answer)
    assert lost.value.sqlstate is None
    assert answer.ended
    assert known == [True]


async def test_a_connection_that_was_lost_before_is_an_operational_error_too(line):
    cut(line)

    with pytest.raises(OperationalError):
        await ask(line, "SELECT 1")
    assert line.closed


async def test_when_an_answer_is_there_nobody_listens_any_more(line):
    assert await ask(line, "SELECT 1") == [[(1,)]]

    assert not asyncio.get_running_loop().remove_reader(line.pgconn.socket)


async def test_a_second_message_before_the_first_is_answered_is_refused_and_ends_the_connection(line, gate):
    first = line.send(PASS_GATE, ())
    await gate.reached()
    with pytest.raises(OperationalError, match="in progress"):
        await ask(line, "SELECT 'second'")

    assert not first.arrived.done()
    assert line.closed
