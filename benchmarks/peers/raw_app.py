"""The limit: what Python can do here with no framework in the way. A bare ASGI application.

What a framework would do is a few lines of this file, and every request is as few messages as possible: one to Redis,
one to Postgres, one more to Redis when there is news. A message to Postgres names two statements that its connection
prepared when it was made. Postgres runs both in one transaction: the first finds the person's role and binds the
creator, the second works under row security. When the first finds nobody, or no editor where one is needed, nobody is
bound, and the second sees no rows. All commands to Redis share one connection, as they do in the clients of other
languages; redis.asyncio's client would spend more on taking a connection from its pool than on the command.

It gives up what frameworks are for: routes are compared by hand, and nothing describes or extends them. None of the
work is left out. On one core uvicorn serves it a little faster than granian does, which hands every request from one
thread to another.
"""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from hiredis import pack_command
from psycopg import AsyncClientCursor, AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from benchmarks.peers.contract import (
    COLUMNS,
    EDITORS,
    SCRIPT,
    SETTING,
    Claims,
    Decision,
    DocumentChange,
    DocumentOut,
    DocumentsOut,
    MeOut,
    TokenInvalid,
    answer_headers,
    bearer,
    buckets,
    configure_logging,
    database_url,
    events_channel,
    log_request,
    new_request_id,
    next_cursor,
    read_answer,
    redis_url,
    script_arguments,
)

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]

LIVE = "/health/live"
ME = "/api/v1/auth/me"
DOCUMENTS = "/api/v1/documents"
DOCUMENT = "/api/v1/documents/{document_id}"
CONNECTIONS = 8
REDIS_SECONDS = 1.0

_BIND = f"set_config('{SETTING}', m.creator_id::text, true)"
_BIND_EDITOR = f"CASE WHEN m.role IN ({', '.join(f"'{role}'" for role in sorted(EDITORS))}) THEN {_BIND} END"
_SIGNED_IN = """
SELECT m.role, {bind}
  FROM accounts_membership m
  JOIN accounts_user u ON u.id = m.user_id
  JOIN accounts_refreshfamily f ON f.user_id = m.user_id AND f.creator_id = m.creator_id
 WHERE m.user_id = $1 AND m.creator_id = $2 AND u.is_active AND f.id = $3 AND f.revoked_at IS NULL
"""
_COLUMNS = ", ".join(COLUMNS)
PREPARED = {
    "signed_in (uuid, uuid, uuid)": _SIGNED_IN.format(bind=_BIND),
    "editor_in (uuid, uuid, uuid)": _SIGNED_IN.format(bind=_BIND_EDITOR),
    "person (uuid, uuid)": """
        SELECT u.id AS user_id, u.email, u.display_name AS user_name, c.id AS creator_id, c.display_name AS creator_name
          FROM accounts_user u, accounts_creator c WHERE u.id = $1 AND c.id = $2""",
    "newest (int)": f"SELECT {_COLUMNS} FROM knowledge_document ORDER BY id DESC LIMIT $1",
    "newest_after (int, uuid)": f"SELECT {_COLUMNS} FROM knowledge_document WHERE id < $2 ORDER BY id DESC LIMIT $1",
    "one (uuid)": f"SELECT {_COLUMNS} FROM knowledge_document WHERE id = $1",
    "change (uuid, text, text[])": f"""
        UPDATE knowledge_document
           SET title = COALESCE($2, title), tags = COALESCE($3, tags), updated_at = now()
         WHERE id = $1 RETURNING {_COLUMNS}""",
}


class Refusal(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail


class Page(BaseModel):
    """The query of `list`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: str | None = None


FIRST_PAGE = Page()
ME_OUT, DOCUMENTS_OUT, DOCUMENT_OUT = TypeAdapter(MeOut), TypeAdapter(DocumentsOut), TypeAdapter(DocumentOut)
log = structlog.get_logger(__name__)


class RedisLine:
    """One connection to Redis that carries many commands at a time: Redis answers in the order it is asked."""

    def __init__(self) -> None:
        # Reading waits for as long as nobody asks anything; `send` has the time limit.
        pool = ConnectionPool.from_url(redis_url(), socket_timeout=None)
        self._connection: AbstractConnection = pool.make_connection()
        self._connecting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._sha = ""

    async def open(self) -> None:
        self._sha = await self.send("SCRIPT", "LOAD", SCRIPT)

    async def close(self) -> None:
        await self._connection.disconnect()

    async def send(self, *command: str | bytes | int) -> Any:
        """Redis's answer. Raises its errors, or `TimeoutError`."""
        if self._reader is None or self._reader.done():
            await self._connect()
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        # Nothing comes between the line above and the writing, which is the first thing that this call does.
        await self._connection.send_packed_command(pack_command(command))
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                return await answer
        except TimeoutError:
            await self._connection.disconnect()
            raise

    async def take(self, address: str, claims: Claims) -> Decision:
        """Use one action of the three buckets, or of none."""
        asked = buckets(address, claims)
        rest = (len(asked), *(bucket.key for bucket in asked), *script_arguments(asked, 1))
        try:
            answer = await self.send("EVALSHA", self._sha, *rest)
        except NoScriptError:  # Redis was restarted
            answer = await self.send("EVAL", SCRIPT, *rest)
        return read_answer(asked, answer)

    async def _connect(self) -> None:
        async with self._connecting:
            if self._reader is None or self._reader.done():
                await self._connection.connect()
                self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Give every answer to whoever asked. Ends with the connection; the next command opens another."""
        try:
            while True:
                try:
                    outcome = await self._connection.read_response()
                except ResponseError as error:
                    outcome = error
                asked = self._asked.popleft()
                if asked.done():  # whoever asked has gone
                    continue
                if isinstance(outcome, ResponseError):
                    asked.set_exception(outcome)
                else:
                    asked.set_result(outcome)
        except (RedisError, OSError) as error:
            log.warning("redis_lost", error=type(error).__name__)
        finally:
            while self._asked:
                if not (asked := self._asked.popleft()).done():
                    asked.set_exception(RedisConnectionError("The connection to Redis was lost."))


class Request:
    """One request on its way: who sends it is known once it was admitted."""

    __slots__ = ("claims", "decision", "receive", "route", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.route: str = scope["path"]
        self.claims: Claims | None = None
        self.decision: Decision | None = None

    def authorization(self) -> str:
        for name, value in self.scope["headers"]:
            if name == b"authorization":
                return value.decode("latin-1")
        return ""

    async def body(self) -> bytes:
        parts = []
        while True:
            message = await self.receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)


async def prepare(connection: AsyncConnection) -> None:
    for name, statement in PREPARED.items():
        await connection.execute(f"PREPARE {name} AS {statement}")


redis = RedisLine()
pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
    database_url(),
    min_size=CONNECTIONS,
    max_size=CONNECTIONS,
    # Parameters are written into the message, so that one message can hold two statements.
    kwargs={"autocommit": True, "cursor_factory": AsyncClientCursor, "row_factory": dict_row},
    configure=prepare,
    open=False,
)


async def run(claims: Claims, entry: str, statement: str, *parameters: Any) -> tuple[str, list[DictRow]]:
    """The person's role, and the rows of a prepared statement that was run for their creator, in one transaction.

    Raises `Refusal` (401) when the sign-in was revoked or the membership is gone.
    """
    message = f"EXECUTE {entry} (%s, %s, %s); EXECUTE {statement}"
    # Not `pool.connection()`, which would also look for a transaction to end: each message is a whole one.
    connection = await pool.getconn()
    try:
        cursor = await connection.execute(message, (claims.user_id, claims.creator_id, claims.session_id, *parameters))
        found = await cursor.fetchone()
        cursor.nextset()
        rows = await cursor.fetchall()
    finally:
        await pool.putconn(connection)
    if found is None:
        raise Refusal(401, "Not signed in.")
    return found["role"], rows


async def me(claims: Claims) -> bytes:
    role, [row] = await run(claims, "signed_in", "person (%s, %s)", claims.user_id, claims.creator_id)
    answer = {
        "user": {"id": row["user_id"], "email": row["email"], "display_name": row["user_name"]},
        "creator": {"id": row["creator_id"], "display_name": row["creator_name"]},
        "role": role,
    }
    return ME_OUT.dump_json(ME_OUT.validate_python(answer))


async def list_documents(claims: Claims, query: bytes) -> bytes:
    page = Page.model_validate(dict(parse_qsl(query.decode("latin-1")))) if query else FIRST_PAGE
    if page.cursor:
        after = read_cursor(page.cursor)
        _role, rows = await run(claims, "signed_in", "newest_after (%s, %s)", page.limit + 1, after)
    else:
        _role, rows = await run(claims, "signed_in", "newest (%s)", page.limit + 1)
    following = next_cursor(rows[page.limit - 1]["id"]) if len(rows) > page.limit else None
    answer = {"items": rows[: page.limit], "next_cursor": following}
    return DOCUMENTS_OUT.dump_json(DOCUMENTS_OUT.validate_python(answer))


async def read_document(claims: Claims, document_id: UUID) -> bytes:
    _role, rows = await run(claims, "signed_in", "one (%s)", document_id)
    return one_document(rows)


async def change_document(claims: Claims, document_id: UUID, body: bytes) -> bytes:
    change = DocumentChange.model_validate_json(body)
    role, rows = await run(claims, "editor_in", "change (%s, %s, %s)", document_id, change.title, change.tags)
    if role not in EDITORS:
        raise Refusal(403, "An editor at least.")
    answer = one_document(rows)
    event = json.dumps({"type": "document.changed", "id": str(document_id)})
    await redis.send("PUBLISH", events_channel(claims.creator_id), event)
    return answer


def one_document(rows: list[DictRow]) -> bytes:
    if not rows:
        raise Refusal(404, "No such document.")
    return DOCUMENT_OUT.dump_json(DOCUMENT_OUT.validate_python(rows[0]))


def read_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise Refusal(422, "Not a cursor.") from None


def read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refusal(422, "Not an id.") from None


async def admit(request: Request) -> Claims:
    """Who sends it. Raises `Refusal`: 401 without a good token, 429 when the limiter says no."""
    try:
        claims = request.claims = bearer(request.authorization())
    except TokenInvalid:
        raise Refusal(401, "Not signed in.") from None
    request.decision = await redis.take(request.scope["client"][0], claims)
    if not request.decision.allowed:
        raise Refusal(429, "Too many requests.")
    return claims


async def route(request: Request) -> bytes:
    """The body of the answer, when it is 200."""
    path, method = request.scope["path"], request.scope["method"]
    if method == "GET" and path == DOCUMENTS:
        return await list_documents(await admit(request), request.scope["query_string"])
    if method == "GET" and path == ME:
        return await me(await admit(request))
    parent, _, last = path.rpartition("/")
    if parent == DOCUMENTS:
        request.route = DOCUMENT
        if method == "GET":
            return await read_document(await admit(request), read_id(last))
        if method == "PATCH":
            return await change_document(await admit(request), read_id(last), await request.body())
    raise Refusal(404, "Not found.")


async def respond(request: Request) -> tuple[int, bytes]:
    try:
        return 200, await route(request)
    except Refusal as refusal:
        status, detail = refusal.status, refusal.detail
    except ValidationError as error:
        status, detail = 422, error.errors(include_url=False, include_context=False)
    except Exception:
        log.exception("request_failed")
        status, detail = 500, "Something went wrong."
    return status, to_json({"detail": detail})


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live_from_start_to_end(receive, send)
        return
    request_id = new_request_id()
    if scope["path"] == LIVE:
        await answer(send, 200, b'{"status":"live"}', {"X-Request-ID": request_id})
        return
    started = time.perf_counter()
    request = Request(scope, receive)
    status, body = await respond(request)
    await answer(send, status, body, answer_headers(request_id, request.decision))
    log_request(
        request_id,
        request.claims,
        method=scope["method"],
        route=request.route,
        status=status,
        seconds=time.perf_counter() - started,
    )


async def answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw += (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def live_from_start_to_end(receive: Receive, send: Send) -> None:
    await receive()
    configure_logging()
    try:
        await redis.open()
        await pool.open(wait=True)
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await redis.close()
    await send({"type": "lifespan.shutdown.complete"})
