"""What every server in the benchmark has to do, hub included, so that only the stacks differ.

| operation | route | work |
| --- | --- | --- |
| live | `GET /health/live` | answer `{"status":"live"}`; a request id, no limits, no log line |
| me | `GET /api/v1/auth/me` | who is signed in |
| list | `GET /api/v1/documents` | the creator's 20 newest documents, and a cursor |
| detail | `GET /api/v1/documents/{id}` | one document, 404 when it is not the creator's |
| write | `PATCH /api/v1/documents/{id}` | change title or tags, as an editor at least; tell open pages through Redis |

Each answer but `live`'s has, in this order: the token's signature verified (remembered by its hash), one decision of
the limiter in Redis over three buckets, the person's membership and sign-in looked up in Postgres (a revoked sign-in is
401), the rows read under row-level security as `hub_app` with the creator bound for the transaction or the request,
Pydantic in and out, the headers below, one line of structured log. Nothing is answered from a cache.

Knows no web framework. Every database visit, web route and JSON rendering is the peer's own.
"""

import math
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

import structlog
from pydantic import BaseModel, Field

from shared.config.env_constants import get_env_value
from shared.config.kinds import Allowance
from shared.observability.logs import configure_logging
from shared.security.gcra import SCRIPT, Bucket, Decision, read_answer, script_arguments
from shared.security.tokens import Claims, TokenInvalid, verify_access_token

__all__ = [
    "COLUMNS",
    "EDITORS",
    "SCRIPT",
    "Claims",
    "Decision",
    "DocumentChange",
    "DocumentOut",
    "DocumentsOut",
    "MeOut",
    "TokenInvalid",
    "answer_headers",
    "bearer",
    "buckets",
    "configure_logging",
    "database_url",
    "events_channel",
    "log_request",
    "new_request_id",
    "read_answer",
    "redis_url",
    "script_arguments",
]

SETTING = "app.current_creator_id"
EDITORS = frozenset({"editor", "admin", "owner"})
_ALLOWANCE: Allowance = get_env_value("LIMIT_DEFAULT", fallback=True)
_log = structlog.get_logger("peer.access")


def database_url() -> str:
    """Postgres as `hub_app`, `postgresql://user:password@host:port/database`."""
    return str(get_env_value("DATABASE_URL"))


def redis_url() -> str:
    """`redis://:password@host:port/number`."""
    return str(get_env_value("REDIS_URL"))


def bearer(authorization: str) -> Claims:
    """The claims in an `Authorization` header. Raises `TokenInvalid`: answer 401."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    return verify_access_token(token.strip())


def buckets(address: str, claims: Claims) -> tuple[Bucket, ...]:
    """The three buckets of a request, for `SCRIPT` with `script_arguments(buckets, 1)`.

    `read_answer` makes the decision of the script's answer: 429 unless it is allowed.
    """
    named = (("address", address), ("user", claims.user_id.hex), ("creator", claims.creator_id.hex))
    return tuple(Bucket(f"{{limits}}:peer:{kind}:{value}", _ALLOWANCE) for kind, value in named)


def events_channel(creator_id: UUID) -> str:
    """Where `write` publishes `{"type": "document.changed", "id": ...}` after its commit.

    The hub does more: it numbers and stores the event in the transaction of the write. The peers do not.
    """
    return f"peer:events:{creator_id.hex}"


def new_request_id() -> str:
    """A name for the request, for its log line and its answer."""
    return str(uuid4())


def answer_headers(request_id: str, decision: Decision | None) -> dict[str, str]:
    """The headers of an answer, its content type and length apart."""
    headers = {
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "X-Request-ID": request_id,
    }
    state = decision.tightest if decision else None
    if state is not None:
        quota, window = state.bucket.allowance
        headers["RateLimit-Policy"] = f'"default";q={quota};w={window}'
        headers["RateLimit"] = f'"default";r={state.remaining};t={math.ceil(state.reset)}'
    return headers


def log_request(
    request_id: str, claims: Claims | None, *, method: str, route: str, status: int, seconds: float
) -> None:
    """The one line about a request. `route` is the template, such as `/api/v1/documents/{id}`."""
    _log.info(
        "request",
        request_id=request_id,
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        creator_id=str(claims.creator_id) if claims else None,
        user_id=str(claims.user_id) if claims else None,
    )


class DocumentOut(BaseModel):
    """A document. The table `knowledge_document` has a column for each field, of the same name."""

    id: UUID
    title: str
    filename: str
    media_type: str
    bytes: int
    tags: list[str]
    status: str
    stage: str
    progress_done: int
    progress_total: int
    failure_code: str
    failure_sentence: str
    failure_action: str
    version: int
    live_version: int | None
    page_count: int | None
    chunk_count: int
    created_at: datetime
    updated_at: datetime


COLUMNS: tuple[str, ...] = tuple(DocumentOut.model_fields)


class DocumentsOut(BaseModel):
    """A page, newest first. `next_cursor`: the unpadded url-safe base64 of the last id's 16 bytes, null on the last."""

    items: list[DocumentOut]
    next_cursor: str | None


class DocumentChange(BaseModel):
    """What `write` takes; what is left out stays."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=50)]], Field(max_length=20)] | None = None


class Named(BaseModel):
    """A creator."""

    id: UUID
    display_name: str


class Person(BaseModel):
    """A user."""

    id: UUID
    email: str
    display_name: str


class MeOut(BaseModel):
    """Who is signed in, for which creator, as what."""

    user: Person
    creator: Named
    role: str


def next_cursor(last: UUID) -> str:
    """Where the page after the document `last` begins."""
    return urlsafe_b64encode(last.bytes).rstrip(b"=").decode()
