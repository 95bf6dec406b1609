"""Golden questions over REST."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from apps.knowledge.golden_schemas import (
    GoldenQuestionChange,
    GoldenQuestionIn,
    GoldenQuestionOut,
    GoldenQuestionsOut,
    GoldenRecordOut,
    GoldenRunOut,
)
from apps.knowledge.models import GoldenQuestion
from apps.knowledge.services import golden_questions
from apps.knowledge.services.golden_questions import Expected
from shared.api import answer_once, rendered
from shared.tenancy.run import run_as

router = Router(tags=["golden questions"])

# For an operation that reads no body, whatever a client sends with it.
_NO_BODY = b""


@router.get("/golden-questions", response=GoldenQuestionsOut)
async def list_golden_questions(request: HttpRequest) -> HttpResponse:
    """Every golden question with its rank of now and before, and how they stand together."""
    return rendered(GoldenQuestionsOut, await run_as(request.actor, golden_questions.list_questions))


@router.post("/golden-questions", response={200: GoldenQuestionOut, 201: GoldenQuestionOut})
async def pin_golden_question(request: HttpRequest, wanted: GoldenQuestionIn) -> HttpResponse:
    """Pin a question to the document, or the passage, that searches should find for it; it is tried soon.

    It is tried again after every change of documents, passages or the model. The same again answers 200 with the
    question that is there. With as many as a creator may have: 409 `golden_questions_full`.
    """
    return await answer_once(
        request,
        _pin_status,
        GoldenQuestionOut,
        golden_questions.pin_question,
        question=wanted.question,
        expected=Expected(wanted.document_id, wanted.chunk_id),
    )


def _pin_status(question: GoldenQuestion) -> int:
    return 201 if question.is_new else 200


@router.post("/golden-questions/run", response={202: GoldenRunOut})
async def run_golden_questions(request: HttpRequest) -> HttpResponse:
    """Have every golden question tried now: 202 with the run that is queued, or that waits already."""
    return await answer_once(request, 202, GoldenRunOut, golden_questions.run_now, fingerprint=_NO_BODY)


@router.get("/golden-questions/{uuid:question_id}", response=GoldenRecordOut)
async def get_golden_question(request: HttpRequest, question_id: UUID) -> HttpResponse:
    """One golden question, with what the last runs found for it."""
    question = await run_as(request.actor, golden_questions.get_question, question_id=question_id)
    return rendered(GoldenRecordOut, question)


@router.patch("/golden-questions/{uuid:question_id}", response=GoldenQuestionOut)
async def change_golden_question(request: HttpRequest, question_id: UUID, change: GoldenQuestionChange) -> HttpResponse:
    """Change what is asked, or what searches should find. Its ranks begin anew; saying the same accepts the rank."""
    names_target = {"document_id", "chunk_id"} & change.model_fields_set
    changed = await run_as(
        request.actor,
        golden_questions.change_question,
        question_id=question_id,
        question=change.question,
        expected=Expected(change.document_id, change.chunk_id) if names_target else None,
    )
    return rendered(GoldenQuestionOut, changed)


@router.delete("/golden-questions/{uuid:question_id}", response={204: None})
async def delete_golden_question(request: HttpRequest, question_id: UUID) -> Status:
    """Delete a golden question with its history."""
    await run_as(request.actor, golden_questions.delete_question, question_id=question_id)
    return Status(204, None)
