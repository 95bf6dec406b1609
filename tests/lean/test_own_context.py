"""No request begins with what another left in its context."""

import asyncio
from contextlib import asynccontextmanager
from contextvars import Context
from unittest.mock import Mock
from uuid import uuid4

import pytest
import uvicorn
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from shared.own_context import OwnContext
from shared.tenancy.scope import creator_scope, current_creator


def test_a_request_begins_in_no_scope_wherever_the_server_was_when_it_started_it():
    seen = []

    async def application(scope, receive, send):
        seen.append((current_creator(), get_contextvars()))
        await asyncio.sleep(0)
        seen.append((current_creator(), get_contextvars()))

    async def main():
        with creator_scope(uuid4()), bound_contextvars(request_id="another"):
            await OwnContext(application)({"type": "http"}, None, None)

    asyncio.run(main())
    assert seen == [(None, {}), (None, {})]


def test_what_a_request_leaves_behind_nobody_finds():
    async def application(scope, receive, send):
        bind_contextvars(request_id="another")

    async def main():
        with bound_contextvars(server="started"):
            await OwnContext(application)({"type": "http"}, None, None)
            return get_contextvars()

    assert asyncio.run(main()) == {"server": "started"}


def test_its_cancellation_and_its_errors_come_through():
    async def application(scope, receive, send):
        if scope["type"] == "error":
            raise ZeroDivisionError
        await asyncio.sleep(30)

    async def main():
        task = asyncio.create_task(OwnContext(application)({"type": "http"}, None, None))
        await asyncio.sleep(0)
        task.cancel()
        error = asyncio.create_task(OwnContext(application)({"type": "error"}, None, None))
        return await asyncio.gather(task, error, return_exceptions=True)

    cancelled, failed = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(failed, ZeroDivisionError)


def test_where_the_server_has_made_a_context_nothing_is_added():
    async def application(scope, receive, send):
        return scope["tasks"].append(asyncio.current_task())

    async def request(tasks):
        tasks.append(asyncio.current_task())
        await OwnContext(application)({"type": "http", "tasks": tasks}, None, None)
        return tasks

    async def main():
        served, inside = await asyncio.get_running_loop().create_task(request([]), context=Context())
        assert served is inside

    asyncio.run(main())


@asynccontextmanager
async def served(application, **options):
    """A real server on one connection: what is written to it, and what it answers."""
    config = uvicorn.Config(application, port=0, lifespan="off", http="httptools", log_config=None, **options)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0.005)
            reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
            yield reader, writer
            writer.close()
    finally:
        server.should_exit = True
        await serving


async def leaves_something(scope, receive, send):
    """Answers whether it found something in its context and in whose task it runs, and leaves something there."""
    found = b"some" if get_contextvars() else b"none"
    task = b"same" if asyncio.current_task() is scope["task"] else b"own."
    bind_contextvars(request_id="another")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": found + task})


@pytest.mark.parametrize(("server_makes_one", "task"), [(False, b"own."), (True, b"same")])
async def test_requests_on_one_connection_share_no_context(server_makes_one, task):
    async def application(scope, receive, send):
        await OwnContext(leaves_something)({**scope, "task": asyncio.current_task()}, receive, send)

    async def answer():
        await reader.readuntil(b"\r\n\r\n")
        return await reader.readexactly(8)

    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with bound_contextvars(server="started"):
        async with served(application, reset_contextvars=server_makes_one) as (reader, writer):
            # The second is sent before the first is answered: the server pauses, and starts it from the first's task.
            writer.write(request * 2)
            answers = [await answer(), await answer()]
            writer.write(request)
            answers.append(await answer())

    assert answers == [b"none" + task] * 3


@pytest.mark.django_db
def test_the_hub_serves_through_it():
    from config.asgi import application

    for kind in ("http", "websocket"):
        assert isinstance(application.application_mapping[kind], OwnContext)


async def test_at_its_end_the_hub_closes_what_reads_have_opened_and_loads_no_longer(pool_reader, monkeypatch):
    from config import asgi

    told, sent, stopped = asyncio.Queue(), asyncio.Queue(), asyncio.Event()

    async def load():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    monkeypatch.setattr(asgi, "warm_up", load)
    monkeypatch.setattr(asgi, "gc", Mock())
    async with asyncio.timeout(20):
        pool = await pool_reader.open()
        connection = await pool.getconn()
        await pool.putconn(connection)
        life = asyncio.create_task(asgi.application({"type": "lifespan"}, told.get, sent.put))
        told.put_nowait({"type": "lifespan.startup"})
        assert await sent.get() == {"type": "lifespan.startup.complete"}
        assert not connection.closed

        told.put_nowait({"type": "lifespan.shutdown"})
        assert await sent.get() == {"type": "lifespan.shutdown.complete"}
        assert pool.closed
        assert connection.closed
        await life
        await stopped.wait()
