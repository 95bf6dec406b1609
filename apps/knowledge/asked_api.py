"""Remembered searches over REST."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from apps.knowledge.asked_schemas import ClickIn, SearchesFilter, SearchesOut, UnansweredFilter, UnansweredListOut
from apps.knowledge.search_log import record_click, search_log
from apps.knowledge.services import asked
from shared.api import rendered
from shared.tenancy.run import run_as

router = Router(tags=["searches"])


@router.post("/search/{uuid:search_id}/click", response={204: None})
async def click(request: HttpRequest, search_id: UUID, clicked: ClickIn) -> Status:
    """Say that a passage was opened from what a search had found. The same passage counts once for a search."""
    await record_click(request.actor, search_id, clicked.opened())
    return Status(204, None)


@router.get("/searches", response=SearchesOut)
async def list_searches(request: HttpRequest, wanted: Query[SearchesFilter]) -> HttpResponse:
    """What people searched for, newest first; `good=false` lists what had no good result. Nothing says who it was."""
    await search_log.write(request.actor.creator_id)
    page = await run_as(request.actor, asked.list_searches, good=wanted.good, limit=wanted.limit, cursor=wanted.cursor)
    return rendered(SearchesOut, page)


@router.get("/searches/unanswered", response=UnansweredListOut)
async def list_unanswered(request: HttpRequest, wanted: Query[UnansweredFilter]) -> HttpResponse:
    """Queries without a good result, the most frequent first: nothing is found for them, or nobody opens what is.

    A query leaves the list when it is asked again and something is found, or when a click on what it finds is told of
    (`POST /search/{id}/click`). While no click is, `never_opened` is not listed.
    """
    await search_log.write(request.actor.creator_id)
    items = await run_as(request.actor, asked.list_unanswered, **wanted.dict())
    return rendered(UnansweredListOut, {"items": items})
