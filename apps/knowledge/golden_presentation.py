"""What pages say about golden questions, in a person's words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.knowledge.golden import FIRST
from apps.knowledge.models import GoldenQuestion, GoldenResult, GoldenRun

_LABELS: dict[str, str] = {
    GoldenQuestion.State.WAITING: "Not tried yet",
    GoldenQuestion.State.FOUND: "Found",
    GoldenQuestion.State.NOT_FOUND: "Not found",
    GoldenQuestion.State.REGRESSED: "Worse than before",
    GoldenQuestion.State.TARGET_GONE: "Document deleted",
}
# Which of the page's colours a state has.
_COLOURS: dict[str, str] = {
    GoldenQuestion.State.WAITING: "queued",
    GoldenQuestion.State.FOUND: "ready",
    GoldenQuestion.State.NOT_FOUND: "cancelled",
    GoldenQuestion.State.REGRESSED: "failed",
    GoldenQuestion.State.TARGET_GONE: "failed",
}
# What wants a look stands first.
_ORDER = (GoldenQuestion.State.REGRESSED, GoldenQuestion.State.TARGET_GONE)


@dataclass(frozen=True, slots=True)
class GoldenView:
    """A golden question. `rank` and `warning` are "" where there is nothing to say."""

    id: UUID
    question: str
    document_id: UUID | None
    document_title: str
    passage: str
    label: str
    colour: str
    rank: str
    warning: str
    is_worse: bool


@dataclass(frozen=True, slots=True)
class ResultView:
    """What one run found for a question, and why there was a run."""

    at: datetime
    rank: str
    is_worse: bool
    why: str
    model: str


def present_questions(questions: Iterable[GoldenQuestion]) -> list[GoldenView]:
    """Those that want a look first, then in the order they come."""
    first = sorted(questions, key=lambda question: question.state not in _ORDER)
    return [present_question(question) for question in first]


def present_question(question: GoldenQuestion) -> GoldenView:
    """A golden question as it stands."""
    state = question.state
    return GoldenView(
        id=question.id,
        question=question.question,
        document_id=question.document_id,
        document_title=question.document_title,
        passage=question.passage,
        label=_LABELS[state],
        colour=_COLOURS[state],
        rank=_rank(question),
        warning=_warning(question),
        is_worse=question.regressed,
    )


def present_history(history: Iterable[GoldenResult]) -> list[ResultView]:
    """What runs found for a question, in the order they come."""
    return [
        ResultView(
            at=result.at,
            rank=rank_words(result.rank),
            is_worse=result.regressed,
            why=why_words(result.run),
            model=result.run.model.partition(" ")[0],  # without the hash of the one that comes along
        )
        for result in history
    ]


def rank_words(rank: int | None) -> str:
    """ "first", "2nd", "21st", "not found"."""
    if rank is None:
        return "not found"
    if rank == 1:
        return "first"
    teens = 10 < rank % 100 < 20
    return f"{rank}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"


def why_words(run: GoldenRun | None) -> str:
    """Why there was, or will be, a run; "" for none."""
    return ", ".join(str(GoldenRun.Reason(reason).label) for reason in run.reasons) if run else ""


def _rank(question: GoldenQuestion) -> str:
    """ "3rd, was first"."""
    now = rank_words(question.rank).capitalize()
    if question.ranked_at is None or question.document_id is None:
        return ""
    if question.ranked_before_at is None or question.rank_before == question.rank:
        return now
    return f"{now}, was {rank_words(question.rank_before)}"


def _warning(question: GoldenQuestion) -> str:
    if question.document_id is None:
        return "The document that it expects was deleted. Choose another one, or delete the question."
    if not question.regressed:
        return "The document has no such passage any more." if question.passage_gone else ""
    if question.passage_gone:
        return "The document has no such passage any more, so searches cannot find it."
    if question.rank is None:
        return "Searches found it before and do not find it any more."
    return f"It stood among the first {FIRST} results and does not any more."
