"""What is read most: one message to Postgres, one to Redis, no thread. Counted where they are sent."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import redis
from django.conf import settings as hub_settings
from django.core.cache import cache

from apps.knowledge.models import Document
from shared.lean import LeanHandler
from shared.redis_line import RedisLine
from shared.tenancy.policies import SETTING
from shared.tenancy.run import ThreadHop, use_hop
from shared.tenancy.scope import creator_scope
from tests.lean.asgi import Exchange
from tests.tenancy.tools import wire

pytestmark = pytest.mark.django_db(transaction=True)

HOT = ["/api/v1/auth/me", "/api/v1/documents", "/api/v1/documents/{handbook}", "/api/v1/profile", "/api/v1/usage"]
LAST = "nothing after this counts"
GREETINGS = {"HELLO", "AUTH", "CLIENT", "SELECT"}


@dataclass
class Spent:
    """What requests have taken."""

    postgres: list
    redis_commands: list
    redis_heard: list
    threads: list


@pytest.fixture(autouse=True)
def one_connection(settings):
    settings.DATABASE_READ_CONNECTIONS = 1


@pytest.fixture
def handbook(alice):
    with creator_scope(alice.actor.creator_id):
        return Document.objects.create(title="Handbook", filename="handbook.txt", bytes=1)


@pytest.fixture
def ask(pool_reader, alice, handbook):
    """Ask for an address as Alice: `await ask("/api/v1/usage", etag)`."""
    handler = LeanHandler()
    authorization = (b"authorization", alice.headers["Authorization"].encode())

    async def call(address, etag=None):
        known = ((b"if-none-match", etag.encode()),) if etag else ()
        path = address.format(handbook=handbook.id)
        async with asyncio.timeout(20):
            return await Exchange(path, headers=(authorization, *known)).through(handler)

    return call


@pytest.fixture
def spent(pool_reader, monkeypatch):
    """Count what happens inside a block: `with spent(session) as found`."""

    @contextmanager
    def count(session):
        found = Spent([], [], [], [])
        submit, start, send = ThreadPoolExecutor.submit, threading.Thread.start, RedisLine.send

        def submitting(self, *work, **more):
            found.threads.append(("hop", work))
            return submit(self, *work, **more)

        def starting(self):
            found.threads.append(("start", self))
            start(self)

        async def sending(self, *command):
            found.redis_commands.append(command)
            return await send(self, *command)

        with heard_by_redis(found.redis_heard), monkeypatch.context() as patch:
            patch.setattr(ThreadPoolExecutor, "submit", submitting)
            patch.setattr(threading.Thread, "start", starting)
            patch.setattr(RedisLine, "send", sending)
            with wire(session) as sent:
                yield found
            found.postgres = sent.messages

    return count


@contextmanager
def heard_by_redis(commands):
    """What this test's database of Redis is told inside the block, by whomever. What a script does is not told."""
    told = redis.Redis.from_url(hub_settings.REDIS_URL, single_connection_client=True, socket_timeout=20)
    ours = told.connection_pool.connection_kwargs.get("db", 0)
    with told, told.monitor() as monitor:
        yield
        told.echo(LAST)
        while LAST not in (heard := monitor.next_command())["command"]:
            command = heard["command"].partition(" ")[0]
            # Another test may be connecting to a database of its own, which begins in the first.
            if heard["client_type"] != "lua" and heard["db"] == ours and command not in GREETINGS:
                commands.append(command)


async def only_connection(pool_reader):
    """The connection that all reads go over."""
    pool = await pool_reader.open()
    session = await pool.getconn()
    await pool.putconn(session)
    return session


@pytest.mark.parametrize("unchanged", [False, True], ids=["whole", "unchanged"])
@pytest.mark.parametrize("address", HOT)
async def test_a_hot_read_is_one_message_to_each_server_and_takes_no_thread(
    pool_reader, ask, spent, alice, address, unchanged
):
    use_hop(ThreadHop(1, 1, 1.0))
    warm = await ask(address)
    etag = warm.answered["etag"] if unchanged else None
    session = await only_connection(pool_reader)

    with spent(session) as found:
        answer = await ask(address, etag)

    assert answer.status == (304 if unchanged else 200)
    (message,) = found.postgres
    assert message.startswith(f"SET LOCAL {SETTING} = '{alice.actor.creator_id}'; SELECT")
    assert "accounts_standing(" in message
    assert len(found.redis_commands) == 1
    assert found.redis_heard == ["EVALSHA"]
    assert found.threads == []


async def test_what_counts_sees_what_a_write_takes(pool_reader, ask, spent):
    """Else the test above might count nothing, whatever happened."""
    await ask(HOT[0])
    session = await only_connection(pool_reader)
    use_hop(ThreadHop(1, 1, 1.0))

    with spent(session) as found:
        answer = await ask("/api/v1/documents/{handbook}/versions")

    assert answer.status == 200
    assert found.postgres == []  # it went over the thread's own connection
    assert [kind for kind, _ in found.threads] == ["hop", "start"]


async def test_what_counts_sees_what_redis_hears_from_others(pool_reader, ask, spent):
    await ask(HOT[0])
    session = await only_connection(pool_reader)

    with spent(session) as found:
        cache.get_or_set("counted", "once")

    assert found.redis_commands == []
    assert {"GET", "SET"} <= set(found.redis_heard)


async def test_a_probe_asks_nobody(pool_reader, ask, spent):
    await ask(HOT[0])
    session = await only_connection(pool_reader)

    with spent(session) as found:
        assert (await ask("/health/live")).status == 200

    assert (found.postgres, found.redis_heard, found.threads) == ([], [], [])
