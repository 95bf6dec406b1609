"""Runs of the golden questions, for the worker: each writes down what every question finds, one run after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.knowledge.embedding import Vectors
from apps.knowledge.golden import is_regression
from apps.knowledge.models import GoldenQuestion, GoldenResult, GoldenRun
from apps.knowledge.search.coverage import answering_model, chosen_model, coverage
from apps.knowledge.services.golden import (
    UNFINISHED,
    announce_run,
    ask_for_run,
    be_alone,
    delay_seconds,
    queue_run,
)
from apps.knowledge.services.golden_ranks import find_rank
from apps.knowledge.services.versions import living_jobs
from shared.tenancy.actor import Actor
from shared.tenancy.run import announce
from shared.tenancy.scope import require_creator

log = structlog.get_logger(__name__)

# Runs that are kept, and with them what they found.
KEPT_RUNS = 20
KEPT_TRIALS = 6
# A run that was begun this often without trying a single question takes its worker down with it, or fails each time.
MOST_FRUITLESS = 5

_RANKS = ["rank", "ranked_at", "rank_before", "ranked_before_at", "regressed", "passage_gone"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was when its vector was made."""

    question: GoldenQuestion
    vector: Vectors
    model: UUID


def model_of_run(actor: Actor, *, run_id: UUID) -> UUID | None:
    """The model to try the questions with: what the run has begun with, or the one that answers. None: the primary."""
    run = GoldenRun.objects.find(run_id)
    return chosen_model() if run is None or run.embedder is None else run.embedder


def begin_run(actor: Actor, *, run_id: UUID, model: str, embedder: UUID) -> bool:
    """Take a run up, or up again; returns whether there is anything to do for it.

    One that again and again gets nowhere is given up.
    """
    be_alone()
    run = GoldenRun.objects.lock(run_id)
    if run is None or run.state not in UNFINISHED:
        return False
    if run.state == GoldenRun.State.QUEUED:
        running = GoldenRun.objects.filter(state=GoldenRun.State.RUNNING, trial=False)
        if not run.trial and running.exists():
            return False  # the end of that one queues this one
        run.state, run.started_at = GoldenRun.State.RUNNING, timezone.now()
        if not run.trial:
            run.model, run.embedder = model, embedder
        announce_run(run)
    run.fruitless += 1
    run.save(update_fields=["state", "started_at", "model", "embedder", "fruitless"])
    # A trial of a model that is configured no more tries nothing.
    if run.fruitless > MOST_FRUITLESS or (run.trial and run.embedder != embedder):
        log.error("golden_run_failed", creator_id=str(require_creator()), run_id=str(run_id))
        _end(actor, run, GoldenRun.State.FAILED)
        return False
    return True


def untried_questions(actor: Actor, *, run_id: UUID, limit: int) -> list[GoldenQuestion]:
    """Questions that this run has not tried; not those whose document is gone, which nothing can be found for."""
    tried = GoldenResult.objects.filter(run_id=run_id, golden_question=OuterRef("pk"))
    rows = GoldenQuestion.objects.filter(~Exists(tried), document__isnull=False)
    return list(rows.order_by("id")[:limit])


def try_questions(actor: Actor, *, run_id: UUID, asked: Sequence[Asked]) -> bool:
    """Search for some questions and put down their ranks. A question that was changed meanwhile is tried again.

    Returns whether the run goes on: not when another worker was at its end before.
    """
    found = {one.question.id: (one.question.edition, find_rank(one.question, one.vector, one.model)) for one in asked}
    rows = GoldenQuestion.objects.select_for_update().filter(id__in=list(found), document__isnull=False)
    questions = list(rows.order_by("id"))
    running = GoldenRun.objects.filter(id=run_id, state=GoldenRun.State.RUNNING)
    if not running.update(fruitless=0):
        return False
    is_trial = running.values_list("trial", flat=True).get()
    tried = GoldenResult.objects.filter(run_id=run_id, golden_question__in=list(found))
    done = set(tried.values_list("golden_question_id", flat=True))
    results, now = [], timezone.now()
    for question in questions:
        edition, finding = found[question.id]
        if question.id in done or question.edition != edition:
            continue
        if is_trial:
            results.append(_trial_result(question, run_id, finding.rank, now))
            continue
        newly = question.note_rank(finding.rank, at=now, passage_gone=finding.passage_gone)
        question.save(update_fields=_RANKS)
        results.append(_result(question, run_id, now))
        if newly:
            _warn(question)
    GoldenResult.objects.bulk_create(results)
    return True


def _result(question: GoldenQuestion, run_id: UUID, now: datetime) -> GoldenResult:
    return GoldenResult(
        golden_question=question,
        run_id=run_id,
        rank=question.rank,
        rank_before=question.rank_before,
        regressed=question.regressed,
        at=now,
    )


def _trial_result(question: GoldenQuestion, run_id: UUID, rank: int | None, now: datetime) -> GoldenResult:
    """What another model finds, beside the rank that stands. The question itself learns nothing of it."""
    worse = is_regression(question.rank, rank)
    return GoldenResult(
        golden_question=question, run_id=run_id, rank=rank, rank_before=question.rank, regressed=worse, at=now
    )


def _warn(question: GoldenQuestion) -> None:
    announce(
        "golden.regressed",
        question.id,
        rank=question.rank,
        rank_before=question.rank_before,
        document_id=str(question.document_id),
    )


def leave_run(actor: Actor, *, run_id: UUID, seconds: int = 0) -> None:
    """Leave the rest of a run for later, behind what waits already, and not before so many seconds have passed."""
    run = GoldenRun.objects.lock(run_id)
    if run.state == GoldenRun.State.RUNNING:
        GoldenRun.objects.filter(id=run_id).update(fruitless=0)
        queue_run(actor, run, seconds=seconds)


def finish_run(actor: Actor, *, run_id: UUID) -> None:
    """Note that a run has tried every question."""
    be_alone()
    run = GoldenRun.objects.lock(run_id)
    if run.state == GoldenRun.State.RUNNING:
        _end(actor, run, GoldenRun.State.DONE)


def _end(actor: Actor, run: GoldenRun, state: str) -> None:
    run.state, run.finished_at = state, timezone.now()
    results = GoldenResult.objects.filter(run=run)
    worse = results if run.trial else GoldenQuestion.objects
    run.questions = results.count()
    run.regressed = worse.filter(regressed=True).count()
    run.target_gone = GoldenQuestion.objects.filter(document__isnull=True).count()
    run.save(update_fields=["state", "finished_at", "questions", "regressed", "target_gone"])
    announce_run(run)
    same_kind = GoldenRun.objects.filter(trial=run.trial)
    ended = same_kind.exclude(state__in=UNFINISHED).order_by("-id")
    old = list(ended.values_list("id", flat=True)[KEPT_TRIALS if run.trial else KEPT_RUNS :])
    if old:
        GoldenRun.objects.filter(id__in=old).delete()
    waiting = same_kind.filter(state=GoldenRun.State.QUEUED).first()
    if waiting is not None and not run.trial:
        queue_run(actor, waiting, seconds=delay_seconds())


# ---- By the clock


def tend_runs(actor: Actor, *, models: Sequence[UUID]) -> int:
    """Queue again a run that has lost its job, or a first one of another model; returns how many jobs that makes.

    `models` are those that are configured, the primary first. One statement where there never was a run.
    """
    every = list(GoldenRun.objects.order_by("-id"))
    resumed = sum(_resume(actor, run) for run in every if run.trial and run.state in UNFINISHED)
    runs = [run for run in every if not run.trial]
    unfinished = [run for run in runs if run.state in UNFINISHED]
    if unfinished:
        return resumed + _resume(actor, unfinished[-1])  # the earlier one; its end queues the other
    answers = answering_model(models)
    # Before it has seen all passages, it would be blamed for what is only on its way.
    if not runs or runs[0].embedder == answers or not coverage(answers).is_whole:
        return resumed
    return resumed + int(ask_for_run(actor, GoldenRun.Reason.MODEL_CHANGED) is not None)


def _resume(actor: Actor, run: GoldenRun) -> bool:
    if living_jobs([run.job]):
        return False
    run = GoldenRun.objects.lock(run.id)  # as it is now that nobody else can change it
    if run is None or run.state not in UNFINISHED or living_jobs([run.job]):
        return False
    log.warning("golden_run_resumed", creator_id=str(require_creator()), run_id=str(run.id))
    queue_run(actor, run)
    return True
