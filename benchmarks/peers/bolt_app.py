"""django-bolt: its Rust server, the Django ORM in plain `def` handlers, msgspec for what comes in and goes out.

It is written as its documentation would have it. Bolt sees the ORM in a handler and runs the whole handler on one
thread of its pool, a single trip for the request, where the synchronous ORM and redis-py's synchronous client are at
home. The work of a request is one transaction, to which the creator is bound. What every request needs is a decorator,
as Bolt runs middleware on the event loop, apart from the thread.

It is fair to Bolt: msgspec instead of Pydantic writes the same bytes, one query looks the person up, the documents are
read as `values()` and built once, statements are prepared, compression and Bolt's own access log are off as everywhere
else. Handlers that hide the ORM from Bolt, so that they run on the server's own threads, were no faster with four such
threads, and slower with one.
"""

import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.utils import timezone
from django_bolt import JSON, BoltAPI, Request
from django_bolt.exceptions import HTTPException
from django_bolt.param_functions import Query
from msgspec import Meta, Struct
from redis import Redis

from benchmarks.peers.contract import (
    EDITORS,
    SCRIPT,
    SETTING,
    Claims,
    Decision,
    TokenInvalid,
    answer_headers,
    bearer,
    buckets,
    events_channel,
    log_request,
    new_request_id,
    next_cursor,
    read_answer,
    redis_url,
    script_arguments,
)
from benchmarks.peers.django_models import Document, Membership, read_cursor, role_of

type Handler = Callable[..., Struct]

# Bolt's pool is started with as many threads, so the client never runs out.
redis = Redis.from_url(redis_url(), max_connections=8)
take = redis.register_script(SCRIPT)
api = BoltAPI(compression=False)


class DocumentOut(Struct):
    """As in the contract."""

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


class DocumentsOut(Struct):
    """As in the contract."""

    items: list[DocumentOut]
    next_cursor: str | None


class DocumentChange(Struct):
    """As in the contract."""

    title: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(max_length=20)] | None = None


class Named(Struct):
    """As in the contract."""

    id: UUID
    display_name: str


class Person(Struct):
    """As in the contract."""

    id: UUID
    email: str
    display_name: str


class MeOut(Struct):
    """As in the contract."""

    user: Person
    creator: Named
    role: str


def guarded(route: str) -> Callable[[Handler], Callable[..., JSON]]:
    """Wrap a handler: token, limiter, transaction and creator before it; headers and the log line after it.

    It finds the claims and the role in `request.state`.
    """

    def decorate(handler: Handler) -> Callable[..., JSON]:
        @wraps(handler)
        def answer(request: Request, *args: Any, **kwargs: Any) -> JSON:
            request_id = new_request_id()
            started = time.perf_counter()
            claims, decision, status = None, None, 200
            try:
                claims = request.state["claims"] = bearer(request.headers.get("authorization", ""))
                decision = limit(request, claims)
                if not decision.allowed:
                    raise HTTPException(429)
                with transaction.atomic():
                    request.state["role"] = enter(claims)
                    body = handler(request, *args, **kwargs)
            except TokenInvalid:
                status, body = 401, {"detail": "Not signed in"}
            except HTTPException as error:
                status, body = error.status_code, {"detail": error.detail}
            seconds = time.perf_counter() - started
            log_request(request_id, claims, method=request.method, route=route, status=status, seconds=seconds)
            return JSON(body, status_code=status, headers=answer_headers(request_id, decision))

        return answer

    return decorate


def limit(request: Request, claims: Claims) -> Decision:
    """One decision over the request's three buckets."""
    asked = buckets(request.META["REMOTE_ADDR"], claims)
    return read_answer(asked, take(keys=[bucket.key for bucket in asked], args=script_arguments(asked, 1)))


def enter(claims: Claims) -> str:
    """Bind the creator to the transaction; returns the person's role."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, str(claims.creator_id)])
    role = role_of(claims)
    if role is None:
        raise HTTPException(401)
    return role


@api.get("/health/live")
def live() -> dict[str, str]:
    return JSON({"status": "live"}, headers={"X-Request-ID": new_request_id()})


@api.get("/api/v1/auth/me")
@guarded("/api/v1/auth/me")
def me(request: Request) -> MeOut:
    claims = request.state["claims"]
    members = Membership.objects.select_related("user", "creator")
    member = members.get(user=claims.user_id, creator=claims.creator_id)
    found = {"user": member.user, "creator": member.creator, "role": request.state["role"]}
    return msgspec.convert(found, MeOut, from_attributes=True)


@api.get("/api/v1/documents")
@guarded("/api/v1/documents")
def list_documents(
    request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: str | None = None
) -> DocumentsOut:
    documents = Document.objects.newest
    if cursor:
        try:
            documents = documents.filter(id__lt=read_cursor(cursor))
        except ValueError:
            raise HTTPException(422, "Not a cursor") from None
    rows = list(documents[: limit + 1])
    following = next_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    return msgspec.convert({"items": rows[:limit], "next_cursor": following}, DocumentsOut)


@api.get("/api/v1/documents/{document_id}")
@guarded("/api/v1/documents/{document_id}")
def read_document(request: Request, document_id: UUID) -> DocumentOut:
    row = Document.objects.newest.filter(id=document_id).first()
    if row is None:
        raise HTTPException(404)
    return msgspec.convert(row, DocumentOut)


@api.patch("/api/v1/documents/{document_id}")
@guarded("/api/v1/documents/{document_id}")
def change_document(request: Request, document_id: UUID, change: DocumentChange) -> DocumentOut:
    if request.state["role"] not in EDITORS:
        raise HTTPException(403, "Editors only")
    changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    document = Document.objects.newest.filter(id=document_id)
    document.update(**changes, updated_at=timezone.now())
    row = document.first()
    if row is None:
        raise HTTPException(404)
    channel = events_channel(request.state["claims"].creator_id)
    event = msgspec.json.encode({"type": "document.changed", "id": document_id})
    transaction.on_commit(lambda: redis.publish(channel, event))
    return msgspec.convert(row, DocumentOut)
