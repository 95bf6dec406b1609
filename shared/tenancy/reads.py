"""Reading without leaving the event loop: one message to Postgres, on a connection of its own pool.

The message binds the creator in scope for its own transaction, asks whether the token behind it still holds, and reads
the rows: `SET LOCAL ..; SELECT .. FROM accounts_standing(..); SELECT .. FROM ..`. One round trip, no thread. What it
says is compiled by the ORM, once for each shape of a query. See docs/decisions/0005-reads-in-one-message.md.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import nullcontext
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, models, transaction
from django.utils.module_loading import import_string
from psycopg import AsyncConnection, OperationalError, errors
from psycopg_pool import AsyncConnectionPool

from shared.security.tokens import Claims
from shared.tenancy.actor import Actor, Asker
from shared.tenancy.backend.liveness import is_gone
from shared.tenancy.exchange import Parameters, ReadConnection, Row, Rows
from shared.tenancy.keys import names_uncounted_table
from shared.tenancy.models import Revision
from shared.tenancy.policies import SETTING
from shared.tenancy.scope import creator_scope, require_creator
from shared.tenancy.statements import Place, Statement, compile_statement

_SERVER_STOPS = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)


class Standing(Protocol):
    """What the database says of a token at this moment."""

    @property
    def actor(self) -> Actor: ...

    @property
    def revision(self) -> int:
        """How often the creator's rows have changed: a `Revision`'s number, 0 before the first."""

    def described(self) -> str:
        """All that an answer may say of the person and the creator: another text, another answer."""


class Confirmation(Protocol):
    """How accounts are asked about a token. `settings.CONFIRMATION` names one."""

    sql: str

    def parameters(self, claims: Claims) -> list[Any]: ...

    def read(self, claims: Claims, row: Row | None) -> Standing:
        """Raises `TokenInvalid` (401) for one that no longer holds."""


@lru_cache(maxsize=1)
def confirmation() -> Confirmation:
    """The one that is configured."""
    found: Confirmation = import_string(settings.CONFIRMATION)
    return found


# ---- What to read


@dataclass(frozen=True, slots=True)
class Read:
    """A read that is made often: `build(**values)` gives the queryset, `columns` say what of each row.

    `build` gets a `Place` for a value that is given, and None for one that is not. A value called `limit` it does not
    get: of so many rows one more is read, which says whether there are others.
    """

    build: Callable[..., Any]
    columns: tuple[str, ...]

    def statement(self, values: Mapping[str, Any]) -> Statement:
        """The compiled statement for values of this shape.

        With a value called `unless` that is not None it finds no rows while that is the creator's revision. Raises
        `TypeError` for rows that change without the revision: an answer made of them would be called current for ever.
        """
        given = tuple(name for name, value in values.items() if value is not None and name != "limit")
        return _statement(self, tuple(values), given, values.get("limit"))


@lru_cache(maxsize=1024)
def _statement(read: Read, names: tuple[str, ...], given: tuple[str, ...], limit: int | None) -> Statement:
    values = {name: Place(name) if name in given else None for name in names if name not in ("limit", "unless")}

    def query() -> Any:
        rows = read.build(**values)
        if "unless" in given:
            rows = rows.filter(~models.Exists(Revision.objects.filter(number=Place("unless"))))
        rows = rows.values_list(*read.columns)
        return (rows if limit is None else rows[: limit + 1]).query

    statement = compile_statement(query)
    if names_uncounted_table(statement.sql):
        raise TypeError(f"{read.build.__name__}: the revision says nothing about these rows; read them in a service")
    return statement


# ---- Reading it


@dataclass(frozen=True, slots=True)
class Reading[S: Standing]:
    """Who asks, as of this moment, and the rows."""

    standing: S
    rows: Rows


async def read_as(
    claims: Claims, read: Read | None = None, *, unless: int | None = None, **values: Any
) -> Reading[Any]:
    """Confirm a token and read its creator's rows, in one round trip.

    With `unless`, there are no rows while the creator's revision is that number. Without `read` there are none at all.
    Raises `TokenInvalid` (401) for a token whose sign-in has ended, and what psycopg raises for a database that is
    away (503).
    """
    confirm = confirmation()
    sql, parameters = confirm.sql, confirm.parameters(claims)
    with creator_scope(claims.creator_id):
        if read is not None:
            values["unless"] = unless
            statement = read.statement(values)
            sql = f"{sql}; {statement.sql}"
            parameters += statement.parameters(values)
        found, *rows = await ask(sql, parameters, sets=1 if read is None else 2)
    return Reading(confirm.read(claims, found[0] if found else None), rows[0] if rows else [])


async def confirm_actor(who: Asker) -> Actor:
    """The actor behind a token, with the role of this moment. One round trip; an actor needs none.

    Raises `TokenInvalid` (401).
    """
    if isinstance(who, Actor):
        return who
    actor: Actor = (await read_as(who)).standing.actor
    return actor


def confirm_in_transaction(who: Asker) -> Actor:
    """The same inside a service's transaction, on its connection."""
    if isinstance(who, Actor):
        return who
    confirm = confirmation()
    with connection.cursor() as cursor:
        cursor.execute(confirm.sql, confirm.parameters(who))
        actor: Actor = confirm.read(who, cursor.fetchone()).actor
        return actor


# A read of several steps, each made of what the ones before have found: a generator that yields the statements of a
# message, `(sql, {name: value})`, and is sent the rows of each. Written once, it runs on the event loop (`follow`) and
# inside a transaction (`follow_in_transaction`).
type Steps[T] = Generator[list[tuple[str, dict[str, Any]]], list[Rows], T]

# What is made of more rows than this, or of more packed bytes, takes long enough to be in everybody's way on the event
# loop.
_ROWS_FOR_THE_LOOP, _BYTES_FOR_THE_LOOP = 2000, 1 << 17


async def follow[T](actor: Actor, begin: Callable[[], Steps[T]]) -> T:
    """Take the steps of a read in the actor's scope: a round trip for each, and what is long to compute on a thread."""
    with creator_scope(actor.creator_id):
        steps: Any = begin()
        found: list[Rows] | None = None
        try:
            while True:
                # A generator's end cannot cross from a thread as the exception that it is.
                long = found is not None and _takes_long(found)
                ended, outcome = await asyncio.to_thread(_step, steps, found) if long else _step(steps, found)
                if ended:
                    return outcome  # type: ignore[no-any-return]
                sql, parameters = _in_one_message(outcome)
                found = await ask(sql, parameters, sets=len(outcome))
        finally:
            if not steps.gi_running:  # else the client left during a long step: its thread lets go of the generator
                steps.close()


def _takes_long(found: list[Rows]) -> bool:
    if sum(map(len, found)) > _ROWS_FOR_THE_LOOP:
        return True
    packed = (len(value) for rows in found for row in rows for value in row if type(value) is bytes)
    return sum(packed) > _BYTES_FOR_THE_LOOP


def follow_in_transaction[T](steps: Steps[T]) -> T:
    """Take the steps of a read on the connection of the service that is running."""
    ended, outcome = _step(steps, None)
    while not ended:
        found = []
        for sql, parameters in outcome:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                found.append(cursor.fetchall())
        ended, outcome = _step(steps, found)
    return outcome  # type: ignore[no-any-return]


def _step(steps: Steps[Any], found: list[Rows] | None) -> tuple[bool, Any]:
    try:
        return False, next(steps) if found is None else steps.send(found)
    except StopIteration as end:
        return True, end.value


def _in_one_message(statements: list[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    """The statements one after the other. A name means the same in all of them."""
    named: dict[str, Any] = {}
    for _, parameters in statements:
        for name, value in parameters.items():
            if named.setdefault(name, value) != value:
                raise ValueError(f"the statements of one message disagree about {name}")
    return "; ".join(sql for sql, _ in statements), named


async def ask(sql: str, parameters: Parameters, *, sets: int = 1) -> list[Rows]:
    """Send one message in the scope that is open; the last `sets` results of its statements.

    For statements that read: one whose connection has died is sent again. Raises `NoCreatorInScope` outside a scope.
    """
    require_creator()
    return await reader()(sql, parameters, sets)


class Reader(Protocol):
    """Sends a message for the creator in scope."""

    async def __call__(self, sql: str, parameters: Parameters, sets: int) -> list[Rows]: ...


class PoolReader:
    """Reads over psycopg's asynchronous pool, one for each event loop.

    While all connections are in use, DATABASE_QUEUE requests may wait for DATABASE_POOL_TIMEOUT_SECONDS; the next
    one, or one that waited that long, is answered with 503.
    """

    def __init__(self) -> None:
        self._pools: dict[asyncio.AbstractEventLoop, AsyncConnectionPool[ReadConnection]] = {}
        self._giving: set[asyncio.Task[None]] = set()

    async def __call__(self, sql: str, parameters: Parameters, sets: int) -> list[Rows]:
        sql, parameters = _bound(sql, parameters)
        pool = self._pools.get(asyncio.get_running_loop()) or await self.open()
        try:
            return await self._read(pool, sql, parameters, sets)
        except _Died:
            # The message only reads, so it may be sent again.
            return await self._read(pool, sql, parameters, sets)

    async def _read(
        self, pool: AsyncConnectionPool[ReadConnection], sql: str, parameters: Parameters, sets: int
    ) -> list[Rows]:
        one = await pool.getconn()
        while is_gone(one):
            await pool.putconn(one)  # the pool throws it away, and makes another
            one = await pool.getconn()
        answer = None
        try:
            answer = one.send(sql, parameters)
            return await one.load((await answer.arrived)[-sets:])
        except OperationalError as error:
            if one.closed or isinstance(error, _SERVER_STOPS):
                raise _Died(*error.args) from error
            raise
        finally:
            if answer is None or answer.ended:
                await pool.putconn(one)
            else:  # the client left; the connection goes back when its answer is there
                answer.afterwards = lambda: self._give_back(pool, one)

    def _give_back(self, pool: AsyncConnectionPool[ReadConnection], one: ReadConnection) -> None:
        task = asyncio.get_running_loop().create_task(pool.putconn(one))
        self._giving.add(task)  # kept, or it might be collected while it runs
        task.add_done_callback(self._giving.discard)

    async def open(self) -> AsyncConnectionPool[ReadConnection]:
        """The pool of this event loop, made ready at first need."""
        loop = asyncio.get_running_loop()
        for closed in [other for other in list(self._pools) if other.is_closed()]:
            self._pools.pop(closed, None)  # a sync caller's loop lives for one call
        pool = _new_pool()
        # In a context of its own: the pool's workers would say whatever they log in the name of who came first. Eager:
        # opening waits for nothing, so the first requests, which come together, do not open a pool each.
        await asyncio.Task(pool.open(), loop=loop, context=Context(), eager_start=True)
        first = self._pools.setdefault(loop, pool)
        if first is not pool:
            await pool.close()
        return first

    async def close(self) -> None:
        """Close the connections of this event loop."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()


def _bound(sql: str, parameters: Parameters) -> tuple[str, Parameters]:
    """The message, bound to the creator in scope. As a parameter: psycopg parses each text once, and keeps it."""
    creator = str(require_creator())
    if isinstance(parameters, Mapping):
        return f"SET LOCAL {SETTING} = %(bound_to)s; {sql}", {**parameters, "bound_to": creator}
    return f"SET LOCAL {SETTING} = %s; {sql}", [creator, *parameters]


class SameThreadReader:
    """Reads on Django's own connection, so that a test sees what its transaction has written and will undo."""

    async def __call__(self, sql: str, parameters: Parameters, sets: int) -> list[Rows]:
        return await sync_to_async(self._read, thread_sensitive=True)(sql, parameters, sets)

    def _read(self, sql: str, parameters: Parameters, sets: int) -> list[Rows]:
        # A statement outside a transaction would have the count of the revision behind its results.
        own = nullcontext() if connection.in_atomic_block else transaction.atomic()
        with own, connection.cursor() as cursor:
            cursor.execute(sql, parameters)  # the backend binds it
            found = []
            for index in range(-sets, 0):
                cursor.cursor.set_result(index)
                found.append(cursor.fetchall())
            return found


class _Died(OperationalError):
    """The server closed the connection under a message."""


def _new_pool() -> AsyncConnectionPool[ReadConnection]:
    """Connections of the role that serves, in autocommit: a message is its own transaction."""
    wanted = connection.get_connection_params()
    # Django's adapters read each time stamp in Python; psycopg's own do it in C.
    for name in ("cursor_factory", "context"):
        wanted.pop(name, None)
    return AsyncConnectionPool(
        connection_class=ReadConnection,
        kwargs={**wanted, "autocommit": True},
        min_size=1,
        max_size=settings.DATABASE_READ_CONNECTIONS,
        max_waiting=settings.DATABASE_QUEUE,
        timeout=settings.DATABASE_POOL_TIMEOUT_SECONDS,
        reconnect_timeout=settings.DATABASE_RECONNECT_SECONDS,
        configure=_in_utc,
        open=False,
        name="reads",
    )


async def _in_utc(one: AsyncConnection[Any]) -> None:
    if one.info.parameter_status("TimeZone") != "UTC":
        await one.execute("SET TIME ZONE 'UTC'")


_reader: Reader | None = None


def reader() -> Reader:
    """The reader in use, made at first need."""
    global _reader
    if _reader is None:
        _reader = PoolReader()
    return _reader


async def close_reads() -> None:
    """Close what reads have opened in this event loop.

    A loop that ends without it, while a connection is being made, waits for ever: psycopg's pool takes no for an error.
    """
    if isinstance(_reader, PoolReader):
        await _reader.close()


def use_reader(replacement: Reader | None) -> None:
    """Replace the reader: tests whose transaction is rolled back read on its connection. None: the default again."""
    global _reader
    _reader = replacement
