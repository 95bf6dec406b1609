"""What pages say about embedding models, in a person's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.golden_presentation import rank_words
from apps.knowledge.models import GoldenRun
from apps.knowledge.services.golden_trials import Comparison
from apps.knowledge.services.search_models import ModelState


@dataclass(frozen=True, slots=True)
class ComparedView:
    """A question with its rank of now, and that of the model."""

    question_id: UUID
    question: str
    now: str
    then: str
    change: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model. `sums` is "" before its first trial; `trying`: a trial waits or is being done."""

    id: UUID
    label: str
    answers: bool
    is_ready: bool
    standing: str
    colour: str
    done: int
    total: int
    trying: bool
    sums: str
    compared: list[ComparedView]


def present_models(states: Sequence[ModelState], comparisons: Mapping[UUID, Comparison]) -> list[ModelView]:
    """The one that answers first."""
    first = sorted(states, key=lambda state: not state.answers)
    return [_present(state, comparisons.get(state.id)) for state in first]


def _present(state: ModelState, comparison: Comparison | None) -> ModelView:
    compared = comparison if comparison is not None and comparison.run.state == GoldenRun.State.DONE else None
    standing, colour = _standing(state)
    return ModelView(
        id=state.id,
        label=state.label.partition(" ")[0],  # without the hash of the one that comes along
        answers=state.answers,
        is_ready=state.is_ready,
        standing=standing,
        colour=colour,
        done=state.passages_done,
        total=state.passages,
        trying=state.trial is not None and state.trial.is_unfinished,
        sums=_sums(compared) if compared else "",
        compared=[
            ComparedView(
                item.question_id, item.question, rank_words(item.rank_now), rank_words(item.rank_then), item.change
            )
            for item in (compared.items if compared else [])
        ],
    )


def _standing(state: ModelState) -> tuple[str, str]:
    if state.answers:
        return "Answers now", "ready"
    return ("Ready", "ready") if state.is_ready else ("Being built", "processing")


def _sums(comparison: Comparison) -> str:
    """ "2 would stand further up, 1 would be found no more, 4 as now"."""
    parts = [
        (comparison.lost, "would be found no more"),
        (comparison.worse, "would stand further down"),
        (comparison.better, "would stand further up"),
        (comparison.same, "would stand as now"),
    ]
    return ", ".join(f"{count} {words}" for count, words in parts if count)
