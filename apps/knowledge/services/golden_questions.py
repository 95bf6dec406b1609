"""A creator's golden questions: list, read, pin, change, delete, run."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from apps.knowledge.errors import (
    DocumentNotFound,
    GoldenQuestionNotFound,
    GoldenQuestionsFull,
    NoGoldenQuestions,
    PassageNotFound,
)
from apps.knowledge.models import Chunk, Document, GoldenQuestion, GoldenResult, GoldenRun
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.golden import UNFINISHED, ask_for_run
from apps.knowledge.services.golden_runs import KEPT_RUNS
from shared.config.env_constants import get_env_value
from shared.tenancy.actor import Actor, Role
from shared.tenancy.names import lock_key
from shared.tenancy.run import announce


@dataclass(frozen=True, slots=True)
class Summary:
    """All questions in numbers, the last run that ended and the one that is being done or waits."""

    questions: int
    most_questions: int
    regressed: int
    not_found: int
    target_gone: int
    waiting: int
    last_run: GoldenRun | None
    next_run: GoldenRun | None


@dataclass(frozen=True, slots=True)
class Pinned:
    """Every golden question, newest first, and how they stand together."""

    items: list[GoldenQuestion]
    summary: Summary


@dataclass(frozen=True, slots=True)
class Expected:
    """What a search should find: a passage, or any passage of a document. No document: that of the question."""

    document_id: UUID | None = None
    chunk_id: UUID | None = None


def list_questions(actor: Actor) -> Pinned:
    """All of them: there are no more than a creator may have."""
    items = list(GoldenQuestion.objects.order_by("-id"))
    states = [question.state for question in items]
    runs = list(GoldenRun.objects.filter(trial=False).order_by("id"))
    summary = Summary(
        questions=len(items),
        most_questions=_most_questions(),
        regressed=states.count(GoldenQuestion.State.REGRESSED),
        not_found=states.count(GoldenQuestion.State.NOT_FOUND),
        target_gone=states.count(GoldenQuestion.State.TARGET_GONE),
        waiting=states.count(GoldenQuestion.State.WAITING),
        last_run=next((run for run in reversed(runs) if run.state not in UNFINISHED), None),
        next_run=next((run for run in runs if run.state in UNFINISHED), None),
    )
    return Pinned(items, summary)


def get_question(actor: Actor, *, question_id: UUID) -> GoldenQuestion:
    """One question, with what the last runs found for it as its `history`. Raises `GoldenQuestionNotFound`."""
    question: GoldenQuestion | None = GoldenQuestion.objects.find(question_id)
    if question is None:
        raise GoldenQuestionNotFound
    results = GoldenResult.objects.filter(golden_question=question, run__trial=False).select_related("run")
    question.history = list(results.order_by("-id")[:KEPT_RUNS])
    return question


def pin_question(actor: Actor, *, question: str, expected: Expected) -> GoldenQuestion:
    """Pin a question to what searches should find for it, and have it tried.

    The same again returns the one that is there; `is_new` on the result says which. Raises `DocumentNotFound`,
    `PassageNotFound`, and `GoldenQuestionsFull` (409).
    """
    actor.require(Role.EDITOR)
    with connection.cursor() as cursor:
        # Two requests at the same moment: the second waits, then counts the first one's row.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("golden questions")])
    pinned = GoldenQuestion(question=question)
    _expect(pinned, expected)
    same = GoldenQuestion.objects.filter(question=question, document=pinned.document)
    there: GoldenQuestion | None = same.filter(source=pinned.source, occurrence=pinned.occurrence).first()
    if there is not None:
        return there
    if GoldenQuestion.objects.count() >= _most_questions():
        raise GoldenQuestionsFull
    pinned.save(force_insert=True)
    pinned.is_new = True
    ask_for_run(actor, GoldenRun.Reason.QUESTIONS_CHANGED)
    _announce(pinned)
    return pinned


def change_question(
    actor: Actor, *, question_id: UUID, question: str | None = None, expected: Expected | None = None
) -> GoldenQuestion:
    """Change what is asked or what is expected; None leaves it as it is. The next run is its first.

    What says the same as before accepts the rank of now: the next run compares with that. Raises
    `GoldenQuestionNotFound`, `DocumentNotFound`, `PassageNotFound`.
    """
    actor.require(Role.EDITOR)
    before = GoldenQuestion.objects.find(question_id)
    if before is None:
        raise GoldenQuestionNotFound
    wanted = GoldenQuestion(question=question or before.question)
    if expected is not None:  # its document is locked before the question is
        _expect(wanted, Expected(expected.document_id or before.document_id, expected.chunk_id))
    pinned: GoldenQuestion | None = GoldenQuestion.objects.lock(question_id)
    if pinned is None:
        raise GoldenQuestionNotFound
    was = _asks_for(pinned)
    pinned.question = wanted.question
    if expected is not None:
        _take_over(pinned, wanted)
    if _asks_for(pinned) == was:
        pinned.accept()
    else:
        pinned.edition += 1
        pinned.begin_anew()
        GoldenResult.objects.filter(golden_question=pinned).delete()
        ask_for_run(actor, GoldenRun.Reason.QUESTIONS_CHANGED)
    pinned.save()
    _announce(pinned)
    return pinned


def delete_question(actor: Actor, *, question_id: UUID) -> None:
    """Delete a question with its history. Raises `GoldenQuestionNotFound`."""
    actor.require(Role.EDITOR)
    question = GoldenQuestion.objects.lock(question_id)
    if question is None:
        raise GoldenQuestionNotFound
    question.delete()
    announce("golden.deleted", question_id)


def run_now(actor: Actor) -> GoldenRun:
    """Queue a run, unless one waits already, and return it. Raises `NoGoldenQuestions` (409)."""
    actor.require(Role.EDITOR)
    run = ask_for_run(actor, GoldenRun.Reason.ASKED_FOR)
    if run is None:
        raise NoGoldenQuestions
    return run


def choosable_documents(actor: Actor, *, limit: int) -> list[Document]:
    """Documents that a question can be pinned to, by title: those that answer, the newest where there are too many."""
    newest = list(Document.objects.filter(live_version__isnull=False).order_by("-id")[:limit])
    return sorted(newest, key=lambda document: document.title.casefold())


def _expect(pinned: GoldenQuestion, expected: Expected) -> None:
    if expected.document_id is None:
        raise DocumentNotFound
    document = lock_document(expected.document_id)
    pinned.document, pinned.document_title = document, document.title
    if expected.chunk_id is None:
        return
    chunk = Chunk.objects.filter(document=document, id=expected.chunk_id).defer("lexemes").first()
    if chunk is None or chunk.source is None:
        raise PassageNotFound
    pinned.source, pinned.occurrence, pinned.passage = chunk.source, chunk.occurrence, chunk.text


def _take_over(pinned: GoldenQuestion, wanted: GoldenQuestion) -> None:
    pinned.document_id, pinned.document_title = wanted.document_id, wanted.document_title
    pinned.source, pinned.occurrence, pinned.passage = wanted.source, wanted.occurrence, wanted.passage
    pinned.passage_gone = False


def _asks_for(pinned: GoldenQuestion) -> tuple[object, ...]:
    return pinned.question, pinned.document_id, pinned.source, pinned.occurrence


def _most_questions() -> int:
    return int(get_env_value("GOLDEN_QUESTIONS", fallback=True))


def _announce(pinned: GoldenQuestion) -> None:
    announce("golden.changed", pinned.id, state=str(pinned.state))
