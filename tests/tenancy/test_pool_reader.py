"""`PoolReader` on the real Postgres: each read its own creator's rows, a bounded queue, a pool that stays whole."""

import asyncio
import gc

import pytest
from django.db import connection
from psycopg import OperationalError, errors
from psycopg_pool import PoolTimeout, TooManyRequests

from shared.exceptions import from_exception
from shared.tenancy import reads
from shared.tenancy.policies import SETTING
from shared.tenancy.reads import PoolReader, ask
from shared.tenancy.scope import creator_scope
from tests.tenancy.gate import PASS_GATE, end_servers, shut_gate, until
from tests.tenancy.tools import as_owner, connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]

SECONDS = 20
NAMES = "SELECT name FROM house_room"
SERVER = "SELECT pg_backend_pid()"
ALICES, MALLORYS = [[("alice's",)]], [[("mallory's",)]]


@pytest.fixture
def two(two, house):
    """Alice and Mallory, with a room each."""
    for actor, name in ((two.alice, "alice's"), (two.mallory, "mallory's")):
        with creator_scope(actor.creator_id):
            house.Room.objects.create(name=name)
    return two


@pytest.fixture
def gate(two):
    with shut_gate() as gate:
        yield gate


@pytest.fixture(autouse=True)
def patience(settings):
    """As much as a busy machine needs, where a test does not say less."""
    settings.DATABASE_POOL_TIMEOUT_SECONDS = SECONDS


@pytest.fixture
def one_connection(settings):
    settings.DATABASE_READ_CONNECTIONS = 1


async def read_for(actor, sql=NAMES):
    """The rows of the message's last statement, as this actor reads them."""
    with creator_scope(actor.creator_id):
        async with asyncio.timeout(SECONDS):
            return await ask(sql, [])


def start(actor, sql=f"{PASS_GATE}; {NAMES}"):
    return asyncio.create_task(read_for(actor, sql))


async def whole(pool_reader, size):
    """The pool, once `size` connections are in it and nobody has or wants one."""
    pool = await pool_reader.open()
    await until(lambda: (stats := pool.get_stats())["pool_available"] == stats["pool_size"] == size)
    assert not pool.get_stats().get("requests_waiting")
    return pool


# ---- Whose rows


@pytest.mark.usefixtures("one_connection")
async def test_a_read_leaves_no_creator_on_the_connection_to_the_next(two, pool_reader):
    assert await read_for(two.alice) == ALICES
    pool = await whole(pool_reader, 1)
    async with pool.connection() as idle:
        found = await idle.execute(f"SELECT coalesce(current_setting('{SETTING}', true), ''), count(*) FROM house_room")
        assert await found.fetchall() == [("", 0)]

    assert await read_for(two.mallory) == MALLORYS


async def test_reads_side_by_side_see_only_their_own_creators_rows(two, pool_reader, settings):
    settings.DATABASE_READ_CONNECTIONS = 3
    actors = [two.alice, two.mallory, two.mallory] * 30

    answers = await asyncio.gather(*[read_for(actor) for actor in actors])

    assert answers == [ALICES if actor is two.alice else MALLORYS for actor in actors]


async def test_the_first_reads_which_come_together_open_one_pool(two, pool_reader, monkeypatch):
    made, new_pool = [], reads._new_pool
    monkeypatch.setattr(reads, "_new_pool", lambda: made.append(new_pool()) or made[-1])

    assert await asyncio.gather(*[read_for(two.alice) for _ in range(20)]) == [ALICES] * 20
    assert len(made) == 1


@pytest.mark.usefixtures("one_connection")
async def test_a_client_that_leaves_leaves_the_pool_whole_and_the_next_reads_its_own_rows(two, pool_reader, gate):
    left = start(two.alice)
    servers = await gate.reached()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left  # at once: the gate is shut

    next_one = start(two.mallory, f"{NAMES}; {SERVER}")
    names = start(two.mallory, NAMES)
    pool = await pool_reader.open()
    await until(lambda: pool.get_stats().get("requests_waiting") == 2)  # not while Alice's answer is on its way
    gate.open()
    assert await next_one == [[(servers.pop(),)]]
    assert await names == MALLORYS
    await whole(pool_reader, 1)


@pytest.mark.parametrize(
    ("sql", "value"), [("SELECT 1 / %s", 0), ("SELECT %s", "a\x00b")], ids=["in Postgres", "before it is sent"]
)
@pytest.mark.usefixtures("one_connection")
async def test_a_read_that_fails_leaves_the_pool_whole(two, pool_reader, sql, value):
    with creator_scope(two.alice.creator_id), pytest.raises(errors.DataError) as failed:
        await ask(sql, [value])

    assert from_exception(failed.value).status == 400
    await whole(pool_reader, 1)
    assert await read_for(two.mallory) == MALLORYS


# ---- How many, for how long


@pytest.mark.usefixtures("one_connection")
async def test_one_more_than_may_wait_is_refused_at_once(two, pool_reader, gate, settings):
    settings.DATABASE_QUEUE = 1
    first = start(two.alice)
    await gate.reached()
    second = start(two.mallory, NAMES)
    await until(lambda: pool_reader._pools[asyncio.get_running_loop()].get_stats().get("requests_waiting") == 1)

    with pytest.raises(TooManyRequests) as refused:
        await read_for(two.mallory)

    busy = from_exception(refused.value)
    assert (busy.status, busy.code, busy.headers["Retry-After"]) == (503, "database_busy", "1")
    assert (first.done(), second.done()) == (False, False)
    gate.open()
    assert (await first, await second) == (ALICES, MALLORYS)


@pytest.mark.usefixtures("one_connection")
async def test_who_has_waited_too_long_is_refused(two, pool_reader, gate, settings):
    settings.DATABASE_POOL_TIMEOUT_SECONDS = 0.02
    await whole(pool_reader, 1)
    first = start(two.alice)
    await gate.reached()

    with pytest.raises(PoolTimeout) as refused:
        await read_for(two.mallory)

    away = from_exception(refused.value)
    assert (away.status, away.code, away.headers["Retry-After"]) == (503, "database_unavailable", "5")
    assert not first.done()
    gate.open()
    assert await first == ALICES


# ---- When servers go away


async def servers_of(pool_reader, gate, two, size):
    """The servers of a pool that has grown to its whole size and is idle again."""
    reads = [start(two.alice) for _ in range(size)]
    servers = await gate.reached(size)
    gate.open()
    await asyncio.gather(*reads)
    await whole(pool_reader, size)
    return servers


async def test_idle_connections_that_have_all_died_are_replaced(two, pool_reader, gate, settings):
    settings.DATABASE_READ_CONNECTIONS = 3
    servers = await servers_of(pool_reader, gate, two, 3)
    end_servers(servers)

    assert await read_for(two.alice) == ALICES
    assert await asyncio.gather(*[read_for(two.mallory) for _ in range(9)]) == [MALLORYS] * 9
    await whole(pool_reader, 3)
    (((server,),),) = await read_for(two.alice, SERVER)
    assert server not in servers


@pytest.mark.usefixtures("one_connection")
async def test_a_read_is_sent_again_when_its_server_dies_under_it(two, pool_reader, gate):
    read = start(two.alice)
    servers = await gate.reached()
    end_servers(servers)

    await gate.reached(beside=servers)
    gate.open()
    assert await read == ALICES
    await whole(pool_reader, 1)


@pytest.mark.usefixtures("one_connection")
async def test_a_read_whose_server_dies_twice_is_answered_with_503(two, pool_reader, gate):
    read = start(two.alice)
    first = await gate.reached()
    end_servers(first)
    end_servers(await gate.reached(beside=first))

    with pytest.raises(OperationalError) as died:
        await read
    assert from_exception(died.value).status == 503
    assert await read_for(two.mallory) == MALLORYS
    await whole(pool_reader, 1)


@pytest.mark.usefixtures("one_connection")
async def test_a_statement_that_the_server_gave_up_is_not_sent_again(two, pool_reader, gate):
    read = start(two.alice)
    servers = await gate.reached()
    with connect(autocommit=True) as other:
        other.execute("SELECT pg_cancel_backend(%s)", [*servers])

    with pytest.raises(errors.QueryCanceled):
        await read
    assert await read_for(two.mallory, SERVER) == [[(servers.pop(),)]]


# ---- What connections are like


@pytest.fixture
def tokyo(two):
    """A database whose sessions begin in another time zone."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    as_owner(f"ALTER DATABASE {name} SET TimeZone TO 'Asia/Tokyo'")
    yield
    as_owner(f"ALTER DATABASE {name} RESET TimeZone")


async def test_times_are_read_in_utc_whatever_the_servers_default(two, tokyo, pool_reader):
    with connect() as other:
        assert other.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)

    assert await read_for(two.alice, "SHOW TimeZone") == [[("UTC",)]]


def servers_alive():
    with connect(autocommit=True) as other:
        return {pid for (pid,) in other.execute("SELECT pid FROM pg_stat_activity")}


@pytest.mark.usefixtures("one_connection")
def test_each_event_loop_has_its_own_pool_which_is_forgotten_with_it(two):
    own = PoolReader()

    async def last():
        server = await ask_own()
        assert len(own._pools) == 1
        await own.close()
        return server

    async def ask_own():
        with creator_scope(two.alice.creator_id):
            (((server,),),) = await own(SERVER, [], 1)
        return server

    servers = {asyncio.run(ask_own()) for _ in range(3)} | {asyncio.run(last())}

    assert len(servers) == 4
    assert own._pools == {}
    gc.collect()
    asyncio.run(until(lambda: not servers & servers_alive()))
