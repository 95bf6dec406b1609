"""Trials: what the golden questions would find with a model that does not answer yet. Shown beside what they find now.

A trial is a run that is marked as one; `golden_runs` does it. It changes no question and warns nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.embedding.known import KnownModel
from apps.knowledge.errors import ModelNotFound, NoGoldenQuestions, TrialNotFound
from apps.knowledge.golden import Change, change_of
from apps.knowledge.models import GoldenQuestion, GoldenResult, GoldenRun
from apps.knowledge.search.coverage import answering_model, coverage
from apps.knowledge.services.golden import announce_run, delay_seconds, queue_run
from shared.tenancy.actor import Actor, Role


@dataclass(frozen=True, slots=True)
class Compared:
    """One question: its rank when the trial was made, and the trial's."""

    question_id: UUID
    question: str
    document_title: str
    rank_now: int | None
    rank_then: int | None
    change: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """A trial, question by question, and how many would be found further up, further down, or not any more."""

    run: GoldenRun
    better: int
    worse: int
    lost: int
    same: int
    items: list[Compared]


def start_trial(actor: Actor, *, model: UUID, known: Sequence[KnownModel]) -> GoldenRun:
    """Have the golden questions tried with a model; returns the trial that waits for its turn.

    Raises `ModelNotFound`, and `NoGoldenQuestions` (409).
    """
    actor.require(Role.EDITOR)
    if not GoldenQuestion.objects.exists():
        raise NoGoldenQuestions
    return _waiting(actor, _known(model, known), GoldenRun.Reason.ASKED_FOR)


def note_filled(actor: Actor, *, model: UUID, known: Sequence[KnownModel]) -> GoldenRun | None:
    """Have a model tried that has just come to have all passages, unless it answers or there is nothing to try."""
    if model == answering_model([one.id for one in known]) or not coverage(model).is_whole:
        return None
    if not GoldenQuestion.objects.exists():
        return None
    return _waiting(actor, _known(model, known), GoldenRun.Reason.MODEL_FILLED)


def get_comparison(actor: Actor, *, model: UUID, known: Sequence[KnownModel]) -> Comparison:
    """A model's last trial that is done, or else the one that will be. Raises `ModelNotFound`, `TrialNotFound`."""
    _known(model, known)
    comparison = last_comparison(model)
    if comparison is None:
        raise TrialNotFound
    return comparison


def last_comparison(model: UUID) -> Comparison | None:
    """The same; None before the first trial."""
    trials = GoldenRun.objects.filter(trial=True, embedder=model).order_by("-id")
    run = trials.filter(state=GoldenRun.State.DONE).first() or trials.first()
    if run is None:
        return None
    results = GoldenResult.objects.filter(run=run).select_related("golden_question").order_by("golden_question_id")
    items = [
        Compared(
            question_id=result.golden_question.id,
            question=result.golden_question.question,
            document_title=result.golden_question.document_title,
            rank_now=result.rank_before,
            rank_then=result.rank,
            change=change_of(result.rank_before, result.rank),
        )
        for result in results
    ]
    counts = {change: sum(item.change == change for item in items) for change in Change}
    # What would be lost stands first.
    items.sort(key=lambda item: list(Change).index(item.change))
    sums = {str(change): count for change, count in counts.items()}
    return Comparison(run, **sums, items=items)


def _waiting(actor: Actor, model: KnownModel, reason: str) -> GoldenRun:
    """The trial of this model that waits; many who ask at the same time ask for one."""
    mine = {"trial": True, "embedder": model.id, "state": GoldenRun.State.QUEUED}
    new = GoldenRun(model=model.label, reasons=[reason], **mine)
    GoldenRun.objects.bulk_create([new], ignore_conflicts=True)
    waiting: GoldenRun = GoldenRun.objects.get(**mine)
    if waiting.id == new.id:
        queue_run(actor, waiting, seconds=0 if reason == GoldenRun.Reason.ASKED_FOR else delay_seconds())
        announce_run(waiting)
    return waiting


def _known(model: UUID, known: Sequence[KnownModel]) -> KnownModel:
    found = next((one for one in known if one.id == model), None)
    if found is None:
        raise ModelNotFound
    return found
