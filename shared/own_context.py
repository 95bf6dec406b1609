"""Every request in a context of its own: the creator in scope is a context variable, and so is what a log line says."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

type App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class OwnContext:
    """ASGI middleware around everything: each request, or socket, begins with an empty context.

    Servers start a request's task from whatever context they happen to be in. uvicorn's reader, once paused and
    resumed, runs in the context of the request that resumed it, and the next request on that connection, which may be
    somebody else's behind a proxy, would begin with what that one had set. `make run` and the container have uvicorn
    make a context for each by itself (--reset-contextvars); under any other server this makes a task that has one.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not copy_context():
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        # Eager: runs at once as far as it can, so it costs no turn of the loop.
        await asyncio.Task(self.app(scope, receive, send), loop=loop, context=Context(), eager_start=True)
