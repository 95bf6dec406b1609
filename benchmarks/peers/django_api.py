"""Stock async Django and django-ninja, the async ORM, and Django's own ASGI handler.

It is written as their documentation would have it: async views, an async middleware, an async `auth` callable, the
renderer with orjson from ninja's manual, psycopg's pool, redis-py's asyncio client. Each call of the async ORM is a
trip to the thread that Django gives the request, and commits by itself, so the creator is bound to that thread's
connection for the session. Every request binds it anew, in the same trip that looks the person up and before any row
is read, so what the last request left behind is never used. The write is one function with `atomic` on that thread,
which is how Django's manual does transactions in async views.

It is fair to Django: one query looks the person up, the documents are read as `values()` and built once, statements are
prepared, no middleware runs that is not needed.
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.decorators import async_only_middleware
from ninja import NinjaAPI, Query
from ninja.errors import HttpError
from ninja.renderers import BaseRenderer
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.peers.contract import (
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
    events_channel,
    log_request,
    new_request_id,
    next_cursor,
    read_answer,
    redis_url,
    script_arguments,
)
from benchmarks.peers.django_models import Document, Membership, read_cursor, role_of

type View = Callable[[HttpRequest], Awaitable[HttpResponse]]

LIVE = "/health/live"

# Requests wait for one of the eight connections; the plain pool would refuse the ninth.
redis = Redis(connection_pool=BlockingConnectionPool.from_url(redis_url(), max_connections=8))
take = redis.register_script(SCRIPT)


@async_only_middleware
def guard(get_response: View) -> View:
    """Know the token and ask the limiter before the view; headers and the log line after it."""

    async def answer(request: HttpRequest) -> HttpResponse:
        request_id = new_request_id()
        if request.path == LIVE:
            response = await get_response(request)
            return finish(response, {"X-Request-ID": request_id})
        started = time.perf_counter()
        claims, decision = None, None
        try:
            claims = request.claims = bearer(request.headers.get("Authorization", ""))
            decision = await limit(request, claims)
            response = await get_response(request) if decision.allowed else refuse(429, "Too many requests")
        except TokenInvalid:
            response = refuse(401, "Not signed in")
        finish(response, answer_headers(request_id, decision))
        route = f"/{request.resolver_match.route}" if request.resolver_match else request.path
        seconds = time.perf_counter() - started
        log_request(
            request_id, claims, method=request.method, route=route, status=response.status_code, seconds=seconds
        )
        return response

    return answer


async def limit(request: HttpRequest, claims: Claims) -> Decision:
    """One decision over the request's three buckets."""
    asked = buckets(request.META["REMOTE_ADDR"], claims)
    return read_answer(asked, await take(keys=[bucket.key for bucket in asked], args=script_arguments(asked, 1)))


def refuse(status: int, detail: str) -> JsonResponse:
    """An answer without a view."""
    return JsonResponse({"detail": detail}, status=status)


def finish(response: HttpResponse, headers: dict[str, str]) -> HttpResponse:
    """Set the headers, and the length: without it the server would send chunks."""
    for name, value in headers.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(len(response.content))
    return response


class ORJSONRenderer(BaseRenderer):
    """Writes the bytes that Pydantic would write."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


async def signed_in(request: HttpRequest) -> str | None:
    """The person's role, which ninja puts into `request.auth`; it answers None with 401."""
    return await enter(request.claims)


@sync_to_async
def enter(claims: Claims) -> str | None:
    """Bind the creator to the connection of the request's thread; returns the person's role."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, false)", [SETTING, str(claims.creator_id)])
    return role_of(claims)


api = NinjaAPI(auth=signed_in, renderer=ORJSONRenderer(), docs_url=None, openapi_url=None)


@api.get(LIVE, auth=None)
async def live(request: HttpRequest) -> dict[str, str]:
    return {"status": "live"}


@api.get("/api/v1/auth/me", response=MeOut)
async def me(request: HttpRequest) -> MeOut:
    members = Membership.objects.select_related("user", "creator")
    member = await members.aget(user=request.claims.user_id, creator=request.claims.creator_id)
    found = {"user": member.user, "creator": member.creator, "role": request.auth}
    return MeOut.model_validate(found, from_attributes=True)


@api.get("/api/v1/documents", response=DocumentsOut)
async def list_documents(
    request: HttpRequest, limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: str | None = None
) -> DocumentsOut:
    documents = Document.objects.newest
    if cursor:
        try:
            documents = documents.filter(id__lt=read_cursor(cursor))
        except ValueError:
            raise HttpError(422, "Not a cursor") from None
    rows = [row async for row in documents[: limit + 1]]
    following = next_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    return DocumentsOut.model_validate({"items": rows[:limit], "next_cursor": following})


@api.get("/api/v1/documents/{document_id}", response=DocumentOut)
async def read_document(request: HttpRequest, document_id: UUID) -> DocumentOut:
    row = await Document.objects.newest.filter(id=document_id).afirst()
    if row is None:
        raise Http404
    return DocumentOut.model_validate(row)


@api.patch("/api/v1/documents/{document_id}", response=DocumentOut)
async def change_document(request: HttpRequest, document_id: UUID, change: DocumentChange) -> DocumentOut:
    if request.auth not in EDITORS:
        raise HttpError(403, "Editors only")
    row = await save(document_id, change.model_dump(exclude_none=True))
    if row is None:
        raise Http404
    event = json.dumps({"type": "document.changed", "id": str(document_id)})
    await redis.publish(events_channel(request.claims.creator_id), event)
    return DocumentOut.model_validate(row)


@sync_to_async
@transaction.atomic
def save(document_id: UUID, changes: dict[str, Any]) -> dict[str, Any] | None:
    """Write the changes; returns the row as it is then, None if there is no such document."""
    document = Document.objects.newest.filter(id=document_id)
    document.update(**changes, updated_at=timezone.now())
    return document.first()


urlpatterns = [path("", api.urls)]
