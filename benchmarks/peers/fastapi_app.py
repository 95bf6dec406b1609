"""The FastAPI peer: FastAPI, SQLAlchemy's async ORM, asyncpg and redis.asyncio, the usual production stack.

Built the way FastAPI's own documentation builds: engine and Redis in the lifespan, sign-in and limits as dependencies,
and a response model that validates rows and writes them as JSON in Rust, the fast path that FastAPI recommends over
response classes (an answer prepared by hand was no faster). What counts for speed is done where engineers of this
stack do it. Lists and single documents select columns instead of loading entities, since nothing is changed through
them. The statements are built once. The change is one `UPDATE ... RETURNING`. One statement asks for the role and
binds the creator to the transaction. The transaction is opened in the endpoint, so that its commit comes before the
news and its connection is free again before the answer is written. Request id, headers and log line are plain ASGI
middleware, because Starlette's BaseHTTPMiddleware starts a task group for each request.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from redis.asyncio import BlockingConnectionPool, Redis
from redis.commands.core import AsyncScript
from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, String, bindparam, func, make_url, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.peers.contract import (
    COLUMNS,
    EDITORS,
    SCRIPT,
    SETTING,
    Claims,
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

LIVE = "/health/live"
CONNECTIONS = 8


class Base(DeclarativeBase):
    """The hub's tables, as far as this API reads them."""

    type_annotation_map = {datetime: DateTime(timezone=True), list[str]: ARRAY(String)}


class User(Base):
    """A person who signs in."""

    __tablename__ = "accounts_user"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    display_name: Mapped[str]
    is_active: Mapped[bool]


class Creator(Base):
    """The tenant."""

    __tablename__ = "accounts_creator"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    display_name: Mapped[str]


class Membership(Base):
    """What a user may do for a creator."""

    __tablename__ = "accounts_membership"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    creator_id: Mapped[UUID] = mapped_column(ForeignKey(Creator.id))
    role: Mapped[str]


class RefreshFamily(Base):
    """One sign-in; revoking it ends its access tokens."""

    __tablename__ = "accounts_refreshfamily"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    creator_id: Mapped[UUID] = mapped_column(ForeignKey(Creator.id))
    revoked_at: Mapped[datetime | None]


class Document(Base):
    """A file a creator brought. Row security shows those of the creator that the transaction is bound to."""

    __tablename__ = "knowledge_document"

    creator_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    filename: Mapped[str]
    media_type: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    tags: Mapped[list[str]]
    status: Mapped[str]
    stage: Mapped[str]
    progress_done: Mapped[int]
    progress_total: Mapped[int]
    failure_code: Mapped[str]
    failure_sentence: Mapped[str]
    failure_action: Mapped[str]
    version: Mapped[int]
    live_version: Mapped[int | None]
    page_count: Mapped[int | None]
    chunk_count: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(onupdate=func.now())


ANSWERED = [getattr(Document, name) for name in COLUMNS]

# Binds the creator only when there is somebody to bind it for: otherwise Postgres shows no document.
SIGNED_IN = (
    select(Membership.role, func.set_config(SETTING, bindparam("setting"), True))
    .join(User, User.id == Membership.user_id)
    .join(RefreshFamily, RefreshFamily.user_id == User.id)
    .where(
        Membership.user_id == bindparam("user_id"),
        Membership.creator_id == bindparam("creator_id"),
        User.is_active,
        RefreshFamily.id == bindparam("session_id"),
        RefreshFamily.creator_id == bindparam("creator_id"),
        RefreshFamily.revoked_at.is_(None),
    )
)
PERSON = (
    select(User, Creator)
    .join(Membership, Membership.user_id == User.id)
    .join(Creator, Creator.id == Membership.creator_id)
    .where(Membership.user_id == bindparam("user_id"), Membership.creator_id == bindparam("creator_id"))
)
NEWEST = select(*ANSWERED).order_by(Document.id.desc()).limit(bindparam("most"))
ONE = select(*ANSWERED).where(Document.id == bindparam("document_id"))
CHANGE = (
    update(Document)
    .where(Document.id == bindparam("document_id"))
    .returning(*ANSWERED)
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True, slots=True)
class Resources:
    """What lives as long as the process."""

    sessions: async_sessionmaker[AsyncSession]
    redis: Redis
    take: AsyncScript


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = make_url(database_url()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, pool_size=CONNECTIONS, max_overflow=0)
    redis = Redis.from_pool(BlockingConnectionPool.from_url(redis_url(), max_connections=CONNECTIONS))
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.resources = Resources(sessions, redis, redis.register_script(SCRIPT))
    yield
    await redis.aclose()
    await engine.dispose()


class AccessMiddleware:
    """Name the request, put the headers on its answer, log it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_request_id()
        is_live = scope["path"] == LIVE
        state = scope.setdefault("state", {})
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {"X-Request-ID": request_id} if is_live else answer_headers(request_id, state.get("decision"))
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            if not is_live:
                route = scope.get("route")
                log_request(
                    request_id,
                    state.get("claims"),
                    method=scope["method"],
                    route=route.path if route else scope["path"],
                    status=status,
                    seconds=time.perf_counter() - started,
                )


def not_signed_in() -> HTTPException:
    return HTTPException(401, "Not signed in.")


async def get_claims(request: Request, authorization: Annotated[str, Header()] = "") -> Claims:
    """Whose token it is. 401 without a good one."""
    try:
        claims = request.state.claims = bearer(authorization)
    except TokenInvalid:
        raise not_signed_in() from None
    return claims


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody whom the limiter let in works for their creator."""

    claims: Claims
    resources: Resources

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[AsyncSession, str]]:
        """A transaction bound to the creator, and the role. What is not committed is undone.

        401 when the sign-in was revoked or the membership is gone.
        """
        values = {
            "setting": str(self.claims.creator_id),
            "user_id": self.claims.user_id,
            "creator_id": self.claims.creator_id,
            "session_id": self.claims.session_id,
        }
        async with self.resources.sessions() as session:
            role = (await session.execute(SIGNED_IN, values)).scalar()
            if role is None:
                raise not_signed_in()
            yield session, role

    async def tell(self, event: dict[str, str]) -> None:
        """Send an event to the creator's open pages."""
        await self.resources.redis.publish(events_channel(self.claims.creator_id), json.dumps(event))


async def get_desk(request: Request, claims: Annotated[Claims, Depends(get_claims)]) -> Desk:
    """The desk of whoever signed in. 429 when the limiter says no."""
    resources: Resources = request.app.state.resources
    asked = buckets(request.client.host if request.client else "", claims)
    answer = await resources.take(keys=[bucket.key for bucket in asked], args=script_arguments(asked, 1))
    decision = request.state.decision = read_answer(asked, answer)
    if not decision.allowed:
        raise HTTPException(429, "Too many requests.")
    return Desk(claims, resources)


AtDesk = Annotated[Desk, Depends(get_desk)]
router = APIRouter(prefix="/api/v1")


# What the endpoints return is rows; the response model named at the route reads their attributes.
@router.get("/auth/me", response_model=MeOut)
async def me(desk: AtDesk) -> Any:
    values = {"user_id": desk.claims.user_id, "creator_id": desk.claims.creator_id}
    async with desk.open() as (session, role):
        user, creator = (await session.execute(PERSON, values)).one()
    return {"user": user, "creator": creator, "role": role}


@router.get("/documents", response_model=DocumentsOut)
async def list_documents(
    desk: AtDesk, limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: str | None = None
) -> Any:
    newest = NEWEST.where(Document.id < read_cursor(cursor)) if cursor else NEWEST
    async with desk.open() as (session, _role):
        rows = (await session.execute(newest, {"most": limit + 1})).all()
    following = next_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return {"items": rows[:limit], "next_cursor": following}


@router.get("/documents/{document_id}", response_model=DocumentOut)
async def read_document(desk: AtDesk, document_id: UUID) -> Any:
    async with desk.open() as (session, _role):
        row = (await session.execute(ONE, {"document_id": document_id})).one_or_none()
    if row is None:
        raise HTTPException(404, "No such document.")
    return row


@router.patch("/documents/{document_id}", response_model=DocumentOut)
async def change_document(desk: AtDesk, document_id: UUID, change: DocumentChange) -> Any:
    changed = CHANGE.values(change.model_dump(exclude_none=True))
    async with desk.open() as (session, role):
        if role not in EDITORS:
            raise HTTPException(403, "An editor at least.")
        row = (await session.execute(changed, {"document_id": document_id})).one_or_none()
        if row is None:
            raise HTTPException(404, "No such document.")
        await session.commit()
    await desk.tell({"type": "document.changed", "id": str(document_id)})
    return row


def read_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise HTTPException(422, "Not a cursor.") from None


configure_logging()
app = FastAPI(lifespan=lifespan, openapi_url=None)
app.add_middleware(AccessMiddleware)


@app.get(LIVE)
async def live() -> dict[str, str]:
    return {"status": "live"}


app.include_router(router)
