"""What pages say about documents, stages, versions and passages, in a person's words."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.knowledge import media_types
from apps.knowledge.extraction.failures import Failure
from apps.knowledge.highlight import Piece, excerpt, mark_words
from apps.knowledge.models import Chunk, Document, Source, Stage, Status, Version
from apps.knowledge.search.finder import Hit

STATUS_LABELS: dict[str, str] = {
    Status.QUEUED: "Waiting its turn",
    Status.PROCESSING: "Processing",
    Status.READY: "Ready",
    Status.FAILED: "Failed",
    Status.CANCELLED: "Cancelled",
}
_STAGE_LABELS: dict[str, str] = {
    Stage.Name.STORE: "Keep the file safe",
    Stage.Name.SCAN: "Check the file",
    Stage.Name.EXTRACT: "Read the text",
    Stage.Name.CHUNK: "Cut into passages",
    Stage.Name.EMBED: "Learn what it says",
    Stage.Name.INDEX: "Add to the index",
    Stage.Name.VERIFY: "Try a search",
}
_ORIGINS: dict[str, str] = {
    Version.Origin.UPLOAD: "Uploaded",
    Version.Origin.IMPORT: "Fetched from its address",
    Version.Origin.REPROCESS: "Processed again",
    Version.Origin.RESTORE: "Gone back to",
    Version.Origin.REFRESH: "Changed at its address",
}
# How often an address is looked at again, in hours.
REFRESH_CHOICES = (
    (None, "Fetch it once"),
    (24, "Look again every day"),
    (24 * 7, "Look again every week"),
    (24 * 30, "Look again every month"),
)


@dataclass(frozen=True, slots=True)
class StageView:
    """A step of a document's processing: `took` and `says` are "" where there is nothing to tell."""

    name: str
    label: str
    state: str
    done: int
    total: int
    took: str
    says: str
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One processing of a document. `answers`: searches find this one; `can_answer`: they could."""

    number: int
    why: str
    filename: str
    bytes: int
    has_file: bool
    created_at: datetime
    status: str
    label: str
    failure: str
    answers: bool
    can_answer: bool


@dataclass(frozen=True, slots=True)
class PassageView:
    """A passage to read and to put right. `typed` is what somebody wrote instead that was refused."""

    id: UUID
    place: str
    heading: str
    text: str
    typed: str
    edited: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class HitView:
    """A passage that answers. `whole` is None when the excerpt is all of it."""

    chunk_id: UUID
    document_id: UUID
    title: str
    place: str
    heading: str
    excerpt: list[Piece]
    whole: list[Piece] | None


def present_stages(document: Document, stages: list[Stage]) -> list[StageView]:
    """The steps in order, with their times."""
    return [
        StageView(
            stage.name,
            _STAGE_LABELS.get(stage.name, stage.name),
            stage.state,
            stage.done,
            stage.total,
            _duration(stage.milliseconds) if stage.state in (Stage.State.DONE, Stage.State.FAILED) else "",
            _says(document, stage),
            stage.failure if stage.state == Stage.State.FAILED else None,
        )
        for stage in stages
    ]


def present_versions(document: Document, versions: list[Version]) -> list[VersionView]:
    """The versions in the order they come."""
    return [
        VersionView(
            number=version.number,
            why=_ORIGINS[version.origin],
            filename=version.filename,
            bytes=version.bytes,
            has_file=bool(version.storage_path),
            created_at=version.created_at,
            status=version.status,
            label=STATUS_LABELS[version.status],
            failure=version.failure_sentence,
            answers=version.number == document.live_version,
            can_answer=version.status == Status.READY and version.number != document.live_version,
        )
        for version in versions
    ]


def present_passage(media_type: str, chunk: Chunk, typed: str = "") -> PassageView:
    """A passage of a version that has this media type."""
    place = place_of(media_type, chunk.page, chunk.seconds)
    return PassageView(chunk.id, place, chunk.heading, chunk.text, typed, chunk.edited, chunk.hidden)


def place_of(media_type: str, page: int | None, seconds: int | None) -> str:
    """Where a passage stands: "Slide 3", or "1:02:05" in a recording; "" where the format has no such places."""
    if seconds is not None:
        minutes = f"{seconds // 60 % 60:02}" if seconds >= 3600 else f"{seconds // 60}"
        hours = f"{seconds // 3600}:" if seconds >= 3600 else ""
        return f"{hours}{minutes}:{seconds % 60:02}"
    return "" if page is None else f"{_place_noun(media_type).capitalize()} {page}"


def count_places(media_type: str, number: int) -> str:
    """How much there is of a document: "1 page", "12 slides"."""
    return _counted(number, _place_noun(media_type))


def refresh_label(source: Source | None) -> str:
    """How often an address is looked at; "" for never."""
    if source is None or source.refresh_hours is None:
        return ""
    return dict(REFRESH_CHOICES).get(source.refresh_hours) or f"Look again every {source.refresh_hours} hours"


def _place_noun(media_type: str) -> str:
    return media_types.place_kind(media_type) or "page"


def present_hit(lexemes: frozenset[str], hit: Hit) -> HitView:
    """A search result with the question's words marked."""
    text = _without_heading(hit)
    pieces, is_whole = excerpt(lexemes, text, hit.language)
    whole = None if is_whole else mark_words(lexemes, text, hit.language)
    place = place_of(hit.media_type, hit.page, hit.seconds)
    return HitView(hit.chunk_id, hit.document_id, hit.title, place, hit.heading, pieces, whole)


def _without_heading(hit: Hit) -> str:
    """The passage without its heading, which the page shows above it; the heading itself where that is all."""
    first, _, rest = hit.text.strip().partition("\n")
    return rest.strip() or first if first.strip("# \t") == hit.heading else hit.text.strip()


def _says(document: Document, stage: Stage) -> str:
    if stage.state == Stage.State.RUNNING:
        amount = f"{stage.done} of {stage.total}" if stage.total else ""
        attempt = f"attempt {stage.attempts}" if stage.attempts > 1 else ""
        return ", ".join(filter(None, (amount, attempt))).capitalize()
    if stage.state == Stage.State.FAILED:
        return f"Given up after {_counted(stage.attempts, 'attempt')}" if stage.attempts > 1 else ""
    if stage.state == Stage.State.CANCELLED:
        return "Cancelled"
    if document.status != Status.READY:
        return ""
    if stage.name == Stage.Name.EXTRACT and document.page_count:
        return count_places(document.media_type, document.page_count)
    if stage.name == Stage.Name.CHUNK:
        return _counted(document.chunk_count, "passage")
    return ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds // 60_000} min {milliseconds % 60_000 // 1000} s"
