"""What the API of embedding models takes and gives."""

from datetime import datetime
from uuid import UUID

from ninja import Schema

from shared.reading import Out


class TrialOut(Out):
    """A trial of the golden questions with a model. `regressed`: how many would be worse than now, as a warning counts.

    `reasons` is `asked_for`, or `model_filled` when the hub made it by itself.
    """

    id: UUID
    state: str
    reasons: list[str]
    model: str
    questions: int
    regressed: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SearchModelOut(Out):
    """An embedding model that the hub is configured with, and how far it is with your passages.

    `answers`: searches use it now. `is_ready`: it has seen every passage that answers, so it can be switched to.
    """

    id: UUID
    label: str
    answers: bool
    is_ready: bool
    passages_done: int
    passages: int
    trial: TrialOut | None


class SearchModelsOut(Out):
    """Every model, the hub's primary one first."""

    items: list[SearchModelOut]


class SearchModelIn(Schema):
    """The model that shall answer."""

    model: UUID


class ComparedOut(Out):
    """One question: the rank that it had when the trial was made, and the trial's; null: not among the best 50.

    `change` is `lost`, `worse`, `better` or `same`.
    """

    question_id: UUID
    question: str
    document_title: str
    rank_now: int | None
    rank_then: int | None
    change: str


class ComparisonOut(Out):
    """The last trial of a model: in sums, and question by question, what would be lost first."""

    run: TrialOut
    better: int
    worse: int
    lost: int
    same: int
    items: list[ComparedOut]
