"""What the API of golden questions takes and gives."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, Field

from shared.reading import Out
from shared.text import visible_line

# As that of a search.
LONGEST_QUESTION = 500

QuestionText = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION), AfterValidator(visible_line)]


class GoldenQuestionIn(Schema):
    """A question, and the document that searches should find for it, or with `chunk_id` this very passage of it."""

    question: QuestionText
    document_id: UUID
    chunk_id: UUID | None = None


class GoldenQuestionChange(Schema):
    """What may be changed; what is left out stays. A document without a `chunk_id`: any passage of it will do.

    What says the same as before accepts the rank of now: a warning ends, and the next run compares with that rank.
    """

    question: QuestionText | None = None
    document_id: UUID | None = None
    chunk_id: UUID | None = None


class GoldenQuestionOut(Out):
    """A golden question as it stands.

    `state` is `waiting` until a run has tried it, then `found`, `not_found` or `regressed`; `target_gone` when its
    document was deleted. `rank` is the place, from 1, of the first result that is what it expects, among the best 50
    of an ordinary search, in which each document counts once where a document is expected; null: not among them.
    `regressed`: it was found and is not any more, or has left the first three; `rank_before` then stays the rank from
    before, until it is good again.
    """

    id: UUID
    question: str
    document_id: UUID | None
    document_title: str
    passage: str
    passage_gone: bool
    state: str
    rank: int | None
    ranked_at: datetime | None
    rank_before: int | None
    ranked_before_at: datetime | None
    regressed: bool
    created_at: datetime


class GoldenRunOut(Out):
    """A run: why, with which embedding model, and how the questions stood at its end."""

    id: UUID
    state: str
    reasons: list[str]
    model: str
    questions: int
    regressed: int
    target_gone: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class GoldenResultOut(Out):
    """What one run found for the question."""

    rank: int | None
    rank_before: int | None
    regressed: bool
    at: datetime
    run: GoldenRunOut


class GoldenSummaryOut(Out):
    """All questions in numbers. `next_run` is being done, or waits; null when nothing is due."""

    questions: int
    most_questions: int
    regressed: int
    not_found: int
    target_gone: int
    waiting: int
    last_run: GoldenRunOut | None
    next_run: GoldenRunOut | None


class GoldenQuestionsOut(Out):
    """Every golden question, newest first."""

    items: list[GoldenQuestionOut]
    summary: GoldenSummaryOut


class GoldenRecordOut(GoldenQuestionOut):
    """A golden question with what the last runs found for it, newest first."""

    history: list[GoldenResultOut]
