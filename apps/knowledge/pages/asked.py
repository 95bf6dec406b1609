"""What people searched for, and which of the passages found they opened."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from apps.knowledge.asked_presentation import present_search
from apps.knowledge.asked_schemas import ClickIn
from apps.knowledge.pages.frame import load, render_page
from apps.knowledge.search_log import record_click, search_log
from apps.knowledge.services.asked import ASKED_OFTEN, SearchPage, Unanswered, list_searches, list_unanswered
from shared.exceptions import ValidationFailed
from shared.tenancy.actor import Actor
from shared.tenancy.pages import creator_page

ROWS = 30
UNANSWERED_DAYS = 30
MOST_UNANSWERED = 20


@never_cache
@require_GET
@creator_page
async def searches(request: HttpRequest) -> HttpResponse:
    """What was asked in vain, the most frequent first, then everything, newest first."""
    cursor = request.GET.get("cursor", "")[:64]
    await search_log.write(request.actor.creator_id)
    frame, (unanswered, page) = await load(request, _asked, cursor=cursor)
    context: dict[str, Any] = {
        **frame,
        "section": "searches",
        "unanswered": unanswered,
        "unanswered_days": UNANSWERED_DAYS,
        "asked_often": ASKED_OFTEN,
        "kept_days": settings.SEARCHES_KEPT_DAYS,
        "searches": [present_search(search) for search in page.items],
        "next_cursor": page.next_cursor,
        "is_first_page": not cursor,
    }
    return render_page(request, "knowledge/searches.html", "rows", context)


@require_POST
@creator_page
async def click(request: HttpRequest, search_id: UUID) -> HttpResponse:
    """Note which passage was opened. The page's script says so beside what its link does."""
    sent = {name: request.POST.get(name) or None for name in ("chunk_id", "document_id")}
    try:
        clicked = ClickIn(**sent)  # type: ignore[arg-type]
    except ValidationError:
        raise ValidationFailed from None
    await record_click(request.actor, search_id, clicked.opened())
    return HttpResponse(status=204)


def _asked(actor: Actor, *, cursor: str) -> tuple[list[Unanswered], SearchPage]:
    unanswered = [] if cursor else list_unanswered(actor, days=UNANSWERED_DAYS, limit=MOST_UNANSWERED)
    return unanswered, list_searches(actor, limit=ROWS, cursor=cursor)
