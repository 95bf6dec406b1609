"""One message to Postgres and its results, without a cursor: the connections that reads use.

A cursor of psycopg prepares for much that a read of a few rows does not need (server-side cursors, pipelines, prepared
statements, streams), and takes as long for that as the message takes to travel. This sends one message of the simple
query protocol through libpq, which psycopg wraps, and has psycopg's own loaders make Python of what comes back.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import AsyncClientCursor, AsyncConnection, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

_ROWS_AT_ONCE = 2000

type Row = tuple[Any, ...]
type Rows = list[Row]
type Parameters = Sequence[Any] | Mapping[str, Any]


class Answer:
    """What comes back for a message that was sent.

    `arrived` ends with libpq's results, or with an error of psycopg: `OperationalError` when the connection was lost,
    which then is closed. Whoever waits may be cancelled: the connection is free when `ended` is true, no sooner, and
    `afterwards` is called then. A read takes milliseconds, so nobody interrupts it.
    """

    def __init__(self, libpq: Any, message: bytes) -> None:
        self.ended = False
        self.afterwards: Callable[[], object] | None = None
        self._loop = asyncio.get_running_loop()
        self._libpq = libpq
        self._results: list[Any] = []
        self.arrived: asyncio.Future[list[Any]] = self._loop.create_future()
        self._socket = libpq.socket
        self._loop.add_reader(self._socket, self._readable)
        try:
            libpq.send_query(message)
            if libpq.flush():
                self._loop.add_writer(self._socket, self._writable)
        except OperationalError as error:
            self._end(error)

    def _writable(self) -> None:
        """Send the rest of a message that was too long for the socket."""
        try:
            if not self._libpq.flush():
                self._loop.remove_writer(self._socket)
        except OperationalError as error:
            self._end(error)

    def _readable(self) -> None:
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    self._end(None)
                    return
                self._results.append(result)
        except OperationalError as error:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.ended = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        for result in self._results:
            if result.status == ExecStatus.FATAL_ERROR:
                error = error_from_result(result)
        if isinstance(error, OperationalError) and error.sqlstate is None:
            self._libpq.finish()  # it was lost
        if self.arrived.done():  # nobody waits any more
            pass
        elif error is not None:
            self.arrived.set_exception(error)
        else:
            self.arrived.set_result(self._results)
        if self.afterwards is not None:
            self.afterwards()


class ReadConnection(AsyncConnection[Any]):
    """psycopg's asynchronous connection, with messages beside what it has. Use one or the other at a time."""

    _loaders: Any = None

    def send(self, sql: str, parameters: Parameters) -> Answer:
        """Send statements as one message, which is a transaction of its own.

        Raises psycopg's `DataError` for a value that Postgres cannot hold; nothing has been sent then.
        """
        return Answer(self.pgconn, AsyncClientCursor(self).mogrify(sql, parameters).encode())

    async def load(self, results: list[Any]) -> list[Rows]:
        """The rows of each result. Of many, some at a time: nobody's rows should hold up everybody."""
        if self._loaders is None:
            self._loaders = Transformer(self)
        loaded = []
        for result in results:
            self._loaders.set_pgresult(result)
            rows = self._loaders.load_rows(0, min(result.ntuples, _ROWS_AT_ONCE), tuple)
            for start in range(_ROWS_AT_ONCE, result.ntuples, _ROWS_AT_ONCE):
                await asyncio.sleep(0)
                rows += self._loaders.load_rows(start, min(start + _ROWS_AT_ONCE, result.ntuples), tuple)
            loaded.append(rows)
        return loaded
