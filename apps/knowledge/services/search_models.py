"""Which embedding model answers for a creator: how far each has come, and the switch from one to the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.embedding.known import KnownModel
from apps.knowledge.errors import ModelNotFound, ModelNotReady
from apps.knowledge.models import GoldenRun, SearchIndex
from apps.knowledge.search.coverage import Coverage, answering_model, chosen_model, coverage
from apps.knowledge.services import golden
from shared.tenancy.actor import Actor, Role
from shared.tenancy.run import announce


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that is configured, and how it stands with the creator's passages."""

    id: UUID
    label: str
    answers: bool
    passages_done: int
    passages: int
    trial: GoldenRun | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        return Coverage(self.passages_done, self.passages).is_whole


def model_that_answers(actor: Actor) -> UUID | None:
    """The model that the creator has chosen. None: the primary."""
    return chosen_model()


def list_models(actor: Actor, *, known: Sequence[KnownModel]) -> list[ModelState]:
    """Each model that is configured, the primary one first, with its last trial."""
    answers = answering_model([model.id for model in known])
    trials = {run.embedder: run for run in GoldenRun.objects.filter(trial=True).order_by("id")}
    states = []
    for model in known:
        covered = coverage(model.id)
        trial = trials.get(model.id)
        state = ModelState(model.id, model.label, model.id == answers, covered.done, covered.passages, trial)
        states.append(state)
    return states


def choose_model(actor: Actor, *, model: UUID, known: Sequence[KnownModel]) -> list[ModelState]:
    """Let another model answer from this commit on, and have the golden questions tried; the same again does nothing.

    The vectors of the other stay, so the way back is the same. Raises `ModelNotFound` for one that is not configured,
    `ModelNotReady` (409) while passages that answer lack its vectors.
    """
    actor.require(Role.ADMIN)
    models = [one.id for one in known]
    if model not in models:
        raise ModelNotFound
    index = locked_index()
    changes = answering_model(models) != model
    if changes and not coverage(model).is_whole:
        raise ModelNotReady
    if index.model != model:
        index.model = model
        index.save(update_fields=["model"])
    if changes:
        golden.ask_for_run(actor, GoldenRun.Reason.MODEL_CHANGED)
        announce("search.model_changed", index.id)
    return list_models(actor, known=known)


def locked_index() -> SearchIndex:
    """The creator's row, made where there is none yet, kept from others until the transaction ends."""
    index: SearchIndex | None = SearchIndex.objects.select_for_update().first()
    if index is not None:
        return index
    SearchIndex.objects.bulk_create([SearchIndex()], ignore_conflicts=True)
    made: SearchIndex = SearchIndex.objects.select_for_update().get()
    return made
