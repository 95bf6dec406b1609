"""What the API takes and gives. Limits here are the ones of the columns, so nothing fails later."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, Field

from apps.knowledge.models import Status
from apps.knowledge.searching import Answer, Result
from shared.reading import Out
from shared.security.fetching.urls import LONGEST_URL
from shared.text import Label, SafeText, refuse_controls, visible_line, visible_text

MOST_TAGS = 20
# In characters.
LONGEST_PASSAGE = 4000


def _each_once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(visible_line)]
Tags = Annotated[list[Label], Field(max_length=MOST_TAGS), AfterValidator(_each_once)]


class DocumentOut(Out):
    """A document. `status` is its newest version's; `live_version` says which version answers searches."""

    id: UUID
    title: str
    filename: str
    media_type: str
    bytes: int
    tags: list[str]
    status: Status
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


class DocumentsOut(Out):
    """A page of documents, newest first. `next_cursor` is null on the last one."""

    items: list[DocumentOut]
    next_cursor: str | None


class DocumentChange(Schema):
    """What may be changed; what is left out stays."""

    title: Title | None = None
    tags: Tags | None = None


class DocumentFilter(Schema):
    """Which documents to list."""

    status: Status | None = None
    tag: Annotated[SafeText, Field(max_length=50)] | None = None
    q: Annotated[SafeText, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=64)] | None = None


class UploadForm(Schema):
    """The fields beside the file. `tags`: repeat the field, or separate them by commas."""

    title: Annotated[str, Field(max_length=200), AfterValidator(refuse_controls)] = ""
    tags: Tags = Field(default_factory=list)


# How often an address may be looked at: every hour at most, once a year at least.
RefreshHours = Annotated[int, Field(ge=1, le=8760)]


class UrlImport(Schema):
    """An address to fetch a document from. `refresh_hours`: how often to look whether it has changed; null: never."""

    url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL)]
    title: Title | None = None
    tags: Tags = Field(default_factory=list)
    refresh_hours: RefreshHours | None = None


class ArchiveForm(Schema):
    """The field beside the archive: what every document from it is tagged with."""

    tags: Tags = Field(default_factory=list)


class FailureOut(Out):
    """Why something failed: a code for programs, a sentence for people, and what they can do."""

    code: str
    sentence: str
    action: str


class SourceOut(Out):
    """Where a document is fetched from. `failure` is why the last look failed; the document stays as it is."""

    url: str
    refresh_hours: int | None
    checked_at: datetime | None
    next_check_at: datetime | None
    failure: FailureOut | None


class SourceChange(Schema):
    """How often to look from now on; null: never again."""

    refresh_hours: RefreshHours | None


class SkippedOut(Out):
    """An entry of an archive that became no document of its own, and why."""

    name: str
    code: str
    sentence: str


class ImportOut(Out):
    """An archive being unpacked: `done` of `total` files were looked at, `taken` of them became documents."""

    id: UUID
    filename: str
    state: str
    total: int
    done: int
    taken: int
    failure: FailureOut | None
    skipped: list[SkippedOut]
    created_at: datetime
    finished_at: datetime | None


class StageOut(Out):
    """One step of a version's processing. `done` of `total` counts pages while text is read, passages afterwards."""

    name: str
    state: str
    attempts: int
    started_at: datetime | None
    heartbeat_at: datetime | None
    done: int
    total: int
    milliseconds: int
    failure: FailureOut | None


class VersionOut(Out):
    """One processing of one content. `keeps_passages`: restoring it takes effect at once."""

    id: UUID
    number: int
    origin: str
    status: Status
    filename: str
    media_type: str
    bytes: int
    content_sha256: str
    language: str
    keeps_passages: bool
    page_count: int | None
    chunk_count: int
    failure_code: str
    failure_sentence: str
    created_at: datetime
    finished_at: datetime | None


class PassageOut(Out):
    """A passage of the version that answers. `edited`: its text is the creator's; `hidden`: no search finds it."""

    id: UUID
    position: int
    text: str
    page: int | None
    heading: str
    seconds: int | None
    edited: bool
    hidden: bool


class PassagesOut(Out):
    """A page of passages in reading order. `next_position` is null on the last one."""

    items: list[PassageOut]
    next_position: int | None


class PassageFilter(Schema):
    """Which passages to list: those after a position."""

    after: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class PassageChange(Schema):
    """What may be changed; what is left out stays. `"text": null` brings back what was read from the file."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSAGE), AfterValidator(visible_text)] | None = None
    hidden: bool | None = None


class ContentQuery(Schema):
    """Of which version; by default the newest."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class SearchQuery(Schema):
    """A question, and where to look. `explain` is for the owner and admins."""

    q: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(visible_line)]
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    tag: Annotated[SafeText, Field(max_length=50)] | None = None
    document_id: UUID | None = None
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$", description="ISO 639, as documents have it.")] | None = None
    since: date | None = Field(None, alias="from", description="The first day (UTC) on which a document came.")
    until: date | None = Field(None, alias="to", description="The last day (UTC) on which a document came.")
    group: Literal["passage", "document"] = "passage"
    neighbours: Annotated[int, Field(ge=0, le=3, description="Passages before and after each.")] = 0
    explain: bool = False


class SuggestQuery(Schema):
    """What somebody has typed so far."""

    q: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(visible_line)]


class SuggestionsOut(Out):
    """Questions that may be meant, the most likely first."""

    suggestions: list[str]


class RangeOut(Out):
    """Characters of `text`, counted from 0 in code points: from `start` up to, not including, `end`."""

    start: int
    end: int


class NeighbourOut(Out):
    """A passage beside one that answers, `away` places from it in its document: below 0 is before it."""

    away: int
    chunk_id: UUID
    text: str
    page: int | None
    heading: str
    seconds: int | None


class ScoresOut(Out):
    """What each leg thinks of a passage: BM25 of its words (0: it has none of them), cosine of its meaning."""

    lexical: float
    vector: float


class HitOut(Out):
    """A passage. A higher score is better; scores of different questions cannot be compared.

    `highlights` say where it has words of the question. `neighbours` are there with `neighbours=1` to 3, `scores` with
    `explain=true`.
    """

    chunk_id: UUID
    document_id: UUID
    title: str
    text: str
    page: int | None
    heading: str
    seconds: int | None
    score: float
    highlights: list[RangeOut]
    neighbours: list[NeighbourOut]
    scores: ScoresOut | None


class CandidateOut(Out):
    """What one leg alone thinks of a passage."""

    document_id: UUID
    chunk_id: UUID
    score: float
    rank: int


class LegsOut(Out):
    """What words alone (BM25) and meaning alone (cosine) would have answered, best first."""

    lexical: list[CandidateOut]
    vector: list[CandidateOut]
    weights: ScoresOut


class SearchOut(Out):
    """The passages that answer best: at most three of one document, or one with `group=document`.

    `corrected` is what was searched for instead, where a word that no passage has was misspelt or half-typed.
    `id` is what clicks on them name; `legs` is there with `explain=true`.
    """

    id: UUID
    query: str
    corrected: str | None
    took_ms: int
    results: list[HitOut]
    legs: LegsOut | None


def search_answer(answer: Answer) -> dict[str, Any]:
    """An answer in the shape of `SearchOut`."""
    legs = answer.legs
    weights = None if legs is None else {"lexical": legs.lexical_weight, "vector": legs.vector_weight}
    return {
        "id": answer.id,
        "query": answer.query,
        "corrected": answer.corrected,
        "took_ms": answer.took_ms,
        "results": [_hit(result, explained=legs is not None) for result in answer.results],
        "legs": None if legs is None else {"lexical": legs.lexical, "vector": legs.vector, "weights": weights},
    }


def _hit(result: Result, *, explained: bool) -> dict[str, Any]:
    hit = result.hit
    shown = {name: getattr(hit, name) for name in HitOut.model_fields if hasattr(hit, name)}
    scores = {"lexical": hit.lexical, "vector": hit.vector} if explained else None
    return {**shown, "highlights": result.highlights, "neighbours": result.neighbours, "scores": scores}
