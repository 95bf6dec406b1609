"""No request begins with what another left in its context."""

import asyncio
from uuid import uuid4

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from shared.own_context import OwnContext
from shared.tenancy.scope import creator_scope, current_creator


def test_a_request_begins_in_no_scope_wherever_the_server_was_when_it_started_it():
    seen = []

    async def application(scope, receive, send):
        seen.append((current_creator(), structlog.contextvars.get_contextvars()))
        await asyncio.sleep(0)
        seen.append((current_creator(), structlog.contextvars.get_contextvars()))

    async def main():
        with creator_scope(uuid4()), bound_contextvars(request_id="another"):
            await OwnContext(application)({"type": "http"}, None, None)

    asyncio.run(main())
    assert seen == [(None, {}), (None, {})]


def test_what_a_request_leaves_behind_nobody_finds():
    async def application(scope, receive, send):
        creator_scope(uuid4()).__enter__()

    async def main():
        await OwnContext(application)({"type": "http"}, None, None)
        return current_creator()

    assert asyncio.run(main()) is None


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


@pytest.mark.django_db
def test_the_hub_serves_through_it():
    from config.asgi import application

    for kind in ("http", "websocket"):
        assert isinstance(application.application_mapping[kind], OwnContext)
