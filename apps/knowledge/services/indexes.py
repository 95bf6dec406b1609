"""A creator's search index by itself: merging its postings, sorting its vectors. For the worker."""

from collections.abc import Sequence
from uuid import UUID

from apps.knowledge.models import SearchIndex
from apps.knowledge.search import cells, tidying
from apps.knowledge.search.cells import Matrix, Sample, Sorting
from apps.knowledge.search.coverage import answering_model
from apps.knowledge.search.tidying import Merging, WordSweep
from apps.knowledge.services.versions import living_jobs
from shared.tenancy.actor import Actor

# Versions that came or went before the clock has the postings merged; each night it is one.
UNTIDY = 200


def tend_index(actor: Actor, *, models: Sequence[UUID], untidy: int = UNTIDY) -> int:
    """Queue the tidying of the index when it is due and nobody is at it; returns how many jobs that makes."""
    # Here, because the tasks call services of this package.
    from apps.knowledge.tasks import tidy_index

    index = SearchIndex.objects.first()
    if index is None:
        return 0
    model = answering_model(models)
    if not (tidying.untidy(index) >= untidy or cells.cells_are_due(index, model=model)):
        return 0
    if living_jobs([index.job]):
        return 0
    index = SearchIndex.objects.lock(index.id)  # as it is now that nobody else can change it
    if index is None or living_jobs([index.job]):
        return 0
    index.job = tidy_index.defer(actor)
    index.save(update_fields=["job"])
    return 1


def model_to_sort(actor: Actor, *, models: Sequence[UUID]) -> UUID:
    """The model that answers: only its vectors need cells."""
    return answering_model(models)


def begin_tidying(actor: Actor) -> int:
    """How many of the versions that were added are about to be merged."""
    index = SearchIndex.objects.first()
    return 0 if index is None else index.added


def tidy_step(actor: Actor, *, work: Merging | WordSweep) -> bool:
    """The next part, with nothing indexed meanwhile; returns whether there is more."""
    return _locked() is not None and work.step()


def end_tidying(actor: Actor, *, added: int) -> None:
    """Put down that it is done."""
    index = _locked()
    if index is not None:
        tidying.note_tidied(index, added=added)


def sample_for_cells(actor: Actor, *, model: UUID) -> Sample | None:
    """Vectors to find the middle of each region in; None when no cells are due."""
    index = SearchIndex.objects.first()
    if index is None or not cells.cells_are_due(index, model=model):
        return None
    sample = cells.read_sample(model=model, rows=cells.answering_passages())
    return sample if len(sample.vectors) else None


def begin_cells(actor: Actor, *, model: UUID, centres: Matrix) -> None:
    """Put new cells in place of the old ones: searches look at every vector until they are full."""
    index = _locked()
    if index is not None:
        cells.begin_cells(index, model=model, centres=centres)


def fill_cells(actor: Actor, *, work: Sorting) -> bool:
    """Sort some vectors; returns whether there are more."""
    return work.step()


def finish_cells(actor: Actor, *, model: UUID) -> None:
    """Let searches use them."""
    index = _locked()
    if index is not None:
        cells.finish_cells(index, model=model)


def _locked() -> SearchIndex | None:
    found: SearchIndex | None = SearchIndex.objects.select_for_update().first()
    return found
