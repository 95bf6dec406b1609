"""What pages say about documents, stages and results, in a person's words."""

from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.highlight import Piece, excerpt, mark_words
from apps.knowledge.models import Document, Stage, Status
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


@dataclass(frozen=True, slots=True)
class HitView:
    """A passage that answers. `whole` is None when the excerpt is all of it."""

    document_id: UUID
    title: str
    page: int | None
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
        )
        for stage in stages
    ]


def present_hit(query: str, hit: Hit) -> HitView:
    """A search result with the question's words marked."""
    text = _without_heading(hit)
    pieces, is_whole = excerpt(query, text)
    whole = None if is_whole else mark_words(query, text)
    return HitView(hit.document_id, hit.title, hit.page, hit.heading, pieces, whole)


def _without_heading(hit: Hit) -> str:
    """The passage without its heading, which the page shows above it; the heading itself where that is all."""
    first, _, rest = hit.text.strip().partition("\n")
    return rest.strip() or first if first.strip("# \t") == hit.heading else hit.text.strip()


def _says(document: Document, stage: Stage) -> str:
    if stage.state == Stage.State.RUNNING and stage.total:
        return f"{stage.done} of {stage.total}"
    if stage.state == Stage.State.RUNNING and stage.attempts > 1:
        return f"Attempt {stage.attempts}"
    if document.status != Status.READY:
        return ""
    if stage.name == Stage.Name.EXTRACT and document.page_count:
        return _counted(document.page_count, "page")
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
