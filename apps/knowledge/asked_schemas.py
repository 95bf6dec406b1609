"""What the API of remembered searches takes and gives."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from ninja import Schema
from pydantic import Field, model_validator

from apps.knowledge.services.asked import Opened, Reason
from shared.reading import Out


class ClickIn(Schema):
    """What was opened: `chunk_id`, or `position`, its place from 1 among the results; and its `document_id`, or not."""

    chunk_id: UUID | None = None
    position: Annotated[int, Field(ge=1, le=100)] | None = None
    document_id: UUID | None = None

    @model_validator(mode="after")
    def _names_one_passage(self) -> "ClickIn":
        if (self.chunk_id is None) == (self.position is None):
            raise ValueError("Name the passage by its chunk_id or by its position.")
        return self

    def opened(self) -> Opened:
        """As the service takes it."""
        return Opened(self.chunk_id, self.position, self.document_id)


class ClickOut(Out):
    """A passage that was opened. `position` is its place among what was shown, from 1; null: it was not among that."""

    chunk_id: UUID
    document_id: UUID
    position: int | None
    clicked_at: datetime


class AskedOut(Out):
    """A search that somebody made. `results`: how many passages it found; `good`: any; `clicks`: which were opened."""

    id: UUID
    query: str
    asked_at: datetime
    took_ms: int
    results: int
    good: bool
    clicks: Annotated[list[ClickOut], Field(validation_alias="opened")]


class SearchesOut(Out):
    """A page of searches, newest first. `next_cursor` is null on the last one."""

    items: list[AskedOut]
    next_cursor: str | None


class SearchesFilter(Schema):
    """Which searches to list."""

    good: bool | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=64)] | None = None


class UnansweredOut(Out):
    """A query without a good result, as it was last asked, and how often. Case and spaces make no difference.

    `reason` is `nothing_found`, or `never_opened`: asked at least three times since it last found nothing, and nobody
    has opened what it finds. `times` and `last_asked_at` are of those searches.
    """

    query: str
    reason: Reason
    times: int
    last_asked_at: datetime


class UnansweredListOut(Out):
    """Queries without a good result, the most frequent first."""

    items: list[UnansweredOut]


class UnansweredFilter(Schema):
    """Of how many days, how many queries, and for which reason."""

    reason: Reason | None = None
    days: Annotated[int, Field(ge=1, le=3650)] = 30
    limit: Annotated[int, Field(ge=1, le=100)] = 50
