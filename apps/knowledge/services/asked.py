"""What people searched for: written down, clicked on, listed, forgotten after its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Exists, Max, OuterRef, Prefetch, QuerySet
from django.utils import timezone

from apps.knowledge.errors import PassageNotFound, SearchNotFound
from apps.knowledge.models import Chunk, Click, Search
from apps.knowledge.services.cursors import read_cursor, write_cursor
from shared.tenancy.actor import Actor
from shared.text import clean_line

# Of the columns. Unicode's normal forms and case folding can make a text longer than what a client may send.
LONGEST_QUERY = 500
# Whoever has read the answer among the results opens nothing. That all have is unlikely from so many on.
ASKED_OFTEN = 3


class Reason(StrEnum):
    """Why a query counts as one without a good result."""

    NOTHING_FOUND = "nothing_found"
    NEVER_OPENED = "never_opened"


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that was answered, as it will be written down. Its id was made with the answer."""

    id: UUID
    query: str
    hits: tuple[UUID, ...]
    good: bool
    took_ms: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A passage that was opened, by its id or by its place from 1 among what was shown; and its document, if named."""

    chunk_id: UUID | None = None
    position: int | None = None
    document_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Some searches, and where the earlier ones begin; `next_cursor` is None on the last page."""

    items: list[Search]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A query without a good result, as it was last asked; why it counts as that, how often, and when last."""

    query: str
    reason: Reason
    times: int
    last_asked_at: datetime


def normal_form(query: str) -> str:
    """What queries are counted together by: the same words in the same order, whatever their case and spaces."""
    return clean_line(query).casefold()[:LONGEST_QUERY]


def write_searches(actor: Actor, *, searches: Sequence[Asked]) -> None:
    """Write searches down. One that is there already stays as it is, so a batch may be written twice."""
    Search.objects.bulk_create(
        [
            Search(
                id=asked.id,
                query=asked.query[:LONGEST_QUERY],
                normal_form=normal_form(asked.query),
                hits=list(asked.hits),
                good=asked.good,
                took_ms=asked.took_ms,
                asked_at=asked.asked_at,
            )
            for asked in searches
        ],
        ignore_conflicts=True,
    )


def note_click(actor: Actor, *, search_id: UUID, opened: Opened) -> None:
    """Note that a passage was opened; the same one again changes nothing. Whoever may search may click.

    Raises `SearchNotFound`; `PassageNotFound` for a passage that the creator, or the document that is named, has not,
    and for a place that the search has filled with none.
    """
    search = Search.objects.lock(search_id)
    if search is None:
        raise SearchNotFound
    chunk_id = opened.chunk_id or _shown_at(search, opened.position)
    passages = Chunk.objects.filter(id=chunk_id)
    if opened.document_id is not None:
        passages = passages.filter(document_id=opened.document_id)
    document = passages.values_list("document_id", flat=True).first()
    if document is None:
        raise PassageNotFound
    position = search.hits.index(chunk_id) + 1 if chunk_id in search.hits else None
    click = Click(search=search, document_id=document, chunk_id=chunk_id, position=position)
    Click.objects.bulk_create([click], ignore_conflicts=True)


def _shown_at(search: Search, position: int | None) -> UUID:
    if position is None or position > search.results:
        raise PassageNotFound
    shown: UUID = search.hits[position - 1]
    return shown


def list_searches(actor: Actor, *, good: bool | None = None, limit: int = 20, cursor: str | None = None) -> SearchPage:
    """Newest first, with their clicks: all of them, or only those with or without a good result.

    Raises `CursorInvalid`.
    """
    clicks = Click.objects.select_related("document").order_by("clicked_at", "id")
    rows = Search.objects.order_by("-id").prefetch_related(Prefetch("clicks", clicks, to_attr="opened"))
    if good is not None:
        rows = rows.filter(good=good)
    before = read_cursor(cursor)
    if before is not None:
        rows = rows.filter(id__lt=before)
    items = list(rows[: limit + 1])
    more = len(items) > limit
    items = items[:limit]
    return SearchPage(items, write_cursor(items[-1].id) if more else None)


def list_unanswered(actor: Actor, *, days: int = 30, limit: int = 50, reason: Reason | None = None) -> list[Unanswered]:
    """Queries of the last days without a good result, the most frequent first, or those with one reason for it.

    Nothing found: not a passage, whenever it was asked since it last found one. Never opened: asked at least
    ASKED_OFTEN times since it last found nothing, without anybody opening what it finds; there are none of these while
    no click is kept at all, since then nobody tells of them.
    """
    since = timezone.now() - timedelta(days=days)
    missed: list[Unanswered] = []
    if reason != Reason.NEVER_OPENED:
        missed += _counted(_nothing_found(since), Reason.NOTHING_FOUND, 1, limit)
    if reason != Reason.NOTHING_FOUND and Click.objects.exists():
        missed += _counted(_never_opened(since), Reason.NEVER_OPENED, ASKED_OFTEN, limit)
    return sorted(missed, key=lambda one: (one.times, one.last_asked_at), reverse=True)[:limit]


def _nothing_found(since: datetime) -> QuerySet[Search]:
    return Search.objects.filter(~Exists(_asked_again(good=True)), good=False, asked_at__gte=since)


def _never_opened(since: datetime) -> QuerySet[Search]:
    opened = Click.objects.filter(search__normal_form=OuterRef("normal_form"))
    return Search.objects.filter(~Exists(_asked_again(good=False)), ~Exists(opened), good=True, asked_at__gte=since)


def _asked_again(*, good: bool) -> QuerySet[Search]:
    return Search.objects.filter(normal_form=OuterRef("normal_form"), good=good, asked_at__gte=OuterRef("asked_at"))


def _counted(searches: QuerySet[Search], reason: Reason, at_least: int, limit: int) -> list[Unanswered]:
    groups = searches.values("normal_form").annotate(
        times=Count("id"), last_asked_at=Max("asked_at"), queries=ArrayAgg("query", order_by="-id")
    )
    often = groups.filter(times__gte=at_least).order_by("-times", "-last_asked_at")[:limit]
    return [Unanswered(group["queries"][0], reason, group["times"], group["last_asked_at"]) for group in often]


def trim_searches(actor: Actor, *, kept_days: int, at_most: int) -> int:
    """Delete searches that are older, with their clicks, the oldest first; returns how many there were."""
    old = Search.objects.filter(asked_at__lt=timezone.now() - timedelta(days=kept_days)).order_by("asked_at")
    deleted: int
    deleted, _ = Search.objects.filter(id__in=list(old.values_list("id", flat=True)[:at_most])).delete()
    return deleted
