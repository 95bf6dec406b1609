"""One connection to Redis that carries many commands at a time. Redis answers in the order in which it is asked.

redis-py's client takes a connection from a pool, sends one command, waits, and gives it back: on the way of every
request that is more work than the command itself. Here the commands of all requests that are under way share a
connection, and those of one turn of the event loop share a packet. redis-py still reads the URL and makes the
connection (TLS, AUTH, SELECT), and hiredis packs and parses.
"""

import asyncio
from collections import deque
from typing import Any

from hiredis import Reader, pack_command
from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError


class RedisLine(asyncio.Protocol):
    """For one event loop. Connects at the first command, and again at the first one after it was lost.

    `patience` is in seconds: how long Redis may be silent while somebody waits, and how long connecting may take.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        self._patience = patience
        self._pool = ConnectionPool.from_url(
            url, protocol=2, socket_timeout=patience, socket_connect_timeout=patience, decode_responses=False
        )
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[None] | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._connection: Any = None
        self._reader = Reader(replyError=_error)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._unsent: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None

    async def send(self, *command: str | bytes | int) -> Any:
        """Redis's answer to one command.

        Raises `ResponseError` for an error that Redis answered with, `ConnectionError` of redis-py when the connection
        cannot be made or was lost, `TimeoutError` when Redis stays silent. What was lost may have been done.
        """
        if self._transport is None:
            await self._connect()
        if self._transport is None:
            # Lost again before it was this one's turn. To wait now would be to take the next connection's first answer.
            raise RedisConnectionError("lost as soon as it was made")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((answer, self._loop.time()))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(pack_command(command))  # type: ignore[arg-type]  # the stub: of one word
        if self._watch is None:
            self._watch = self._loop.call_later(self._patience, self._look)
        return await answer

    async def close(self) -> None:
        """End the connection. Whoever waits for an answer gets `ConnectionError`."""
        self._lose(RedisConnectionError("closed"))

    # ---- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self._waiting and (reply := self._reader.gets()) is not False:
            answer, _ = self._waiting.popleft()
            if answer.done():  # whoever asked has gone
                continue
            if isinstance(reply, ResponseError):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(RedisConnectionError(str(exc or "Redis closed the connection")))

    # ---- inside

    async def _connect(self) -> None:
        """Make the connection, once for everybody who needs it now."""
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._make_connection())
            self._connecting.add_done_callback(self._connected)
        # A caller that is cancelled leaves the others their connection.
        await asyncio.shield(self._connecting)

    async def _make_connection(self) -> None:
        connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        async with asyncio.timeout(self._patience):
            await connection.connect()
        transport = connection._writer.transport
        transport.set_protocol(self)
        self._connection, self._transport = connection, transport
        self._reader = Reader(replyError=_error)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # whoever waited has seen it

    def _flush(self) -> None:
        unsent, self._unsent = b"".join(self._unsent), []
        if self._transport is not None:
            self._transport.write(unsent)

    def _look(self) -> None:
        """End a connection on which somebody has waited too long. One timer for all who wait."""
        self._watch = None
        if not self._waiting:
            return
        waited = self._loop.time() - self._waiting[0][1]
        if waited >= self._patience:
            self._lose(TimeoutError(f"Redis has been silent for {waited:.1f} s"))
        else:
            self._watch = self._loop.call_later(self._patience - waited, self._look)

    def _lose(self, error: Exception) -> None:
        transport, self._transport = self._transport, None
        self._connection = None
        self._unsent = []
        waiting, self._waiting = self._waiting, deque()
        if transport is not None:
            transport.abort()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(error)


def _error(text: str) -> ResponseError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
