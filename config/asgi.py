"""The web process. It refuses to start on a database that would not keep creators apart."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.config.env_constants import use_settings

use_settings()

import django  # noqa: E402

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from apps.knowledge.consumers import DocumentsConsumer  # noqa: E402
from apps.knowledge.embedding import warm_up  # noqa: E402
from apps.knowledge.search_log import search_log  # noqa: E402
from shared.http import PagesHandler  # noqa: E402
from shared.lean import LeanHandler  # noqa: E402
from shared.own_context import OwnContext  # noqa: E402
from shared.tenancy.checks import refuse_unfit_database  # noqa: E402
from shared.tenancy.reads import close_reads  # noqa: E402


def _refuse_unfit_database() -> None:
    try:
        refuse_unfit_database()
    finally:
        connections.close_all()  # else the thread takes one connection of the pool with it


# On a thread: some servers import this module inside a running event loop.
with ThreadPoolExecutor(1) as _thread:
    _thread.submit(_refuse_unfit_database).result()


async def _lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Load the embedding model beside the first requests; at the end, write the log of searches and close the reads."""
    warming: asyncio.Task[None] | None = None  # kept, or it might be collected while it runs
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            warming = asyncio.create_task(warm_up())
            # A full collection holds up every socket and request for tens of milliseconds. What has been imported lives
            # as long as the process, so none looks through it; and what a thousand sockets hold is looked at seldom.
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 10, 10)
        if message["type"] == "lifespan.shutdown":
            await search_log.close()
            await close_reads()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            if warming is not None:
                warming.cancel()
            return


async def _no_such_socket(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake."""
    await receive()
    await send({"type": "websocket.close"})


class _Http:
    """Machines go the lean way, people through Django's own handler."""

    def __init__(self) -> None:
        self.lean, self.pages = LeanHandler(), PagesHandler()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        handler = self.lean if scope["path"].startswith(settings.LEAN_PATHS) else self.pages
        await handler(scope, receive, send)


application = ProtocolTypeRouter(
    {
        "lifespan": _lifespan,
        "http": OwnContext(_Http()),
        "websocket": OwnContext(URLRouter([path("ws", DocumentsConsumer.as_asgi()), re_path("", _no_such_socket)])),
    }
)
