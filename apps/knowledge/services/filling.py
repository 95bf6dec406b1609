"""Giving passages the vectors that they lack, of every model that is configured. For the worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from pgvector import HalfVector

from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Chunk, Document, SearchIndex, Version
from apps.knowledge.search import coverage
from apps.knowledge.search.coverage import Lacking
from apps.knowledge.search.vectors import Meaning, made_of, store_meanings, take_over_meanings
from apps.knowledge.services.versions import living_jobs, next_turn, turns_wait
from shared.tenancy.actor import Actor
from shared.tenancy.run import announce


@dataclass(frozen=True, slots=True)
class Filled:
    """A passage as it was when its vector was made."""

    passage: Lacking
    value: HalfVector


def tend_vectors(actor: Actor, *, models: Sequence[UUID]) -> int:
    """Queue the filling when a passage lacks a vector and nobody is at it; returns how many jobs that makes."""
    index = SearchIndex.objects.first()
    if index is None or living_jobs([index.filling]):
        return 0
    if not any(coverage.lacks_vectors(model) for model in models):
        return 0
    index = SearchIndex.objects.lock(index.id)  # as it is now that nobody else can change it
    if index is None or living_jobs([index.filling]):
        return 0
    queue_filling(actor)
    return 1


def queue_filling(actor: Actor) -> None:
    """Queue it behind all that its creator has queued already: what is being processed comes first."""
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import embed_again

    SearchIndex.objects.update(filling=embed_again.defer(actor, priority=-next_turn()))


def passages_to_fill(actor: Actor, *, model: UUID, after: UUID | None, limit: int) -> list[Lacking]:
    """The next passages without a vector of this model, those of the oldest versions first."""
    return coverage.passages_lacking(model, after=after, limit=limit)


def take_over(actor: Actor, *, embedder: str, version_ids: Sequence[UUID]) -> int:
    """Give passages the vectors of those with the same text in other versions; returns how many got one."""
    taken = 0
    versions = Version.objects.filter(id__in=version_ids).order_by("document_id", "id")
    for version in versions:
        document = Document.objects.lock(version.document_id)
        if document is not None:
            about = {"document_id": document.id, "version_id": version.id, "title": document.title}
            taken += take_over_meanings(embedder=embedder, **about)
    return taken


def fill(actor: Actor, *, embedder: str, filled: Sequence[Filled]) -> int:
    """Store vectors of passages that still say what these were made of; returns how many that are.

    An edit, or a deletion, waits for the document's lock as this does: no vector of an old text is left behind.
    """
    stored = 0
    for (document_id, version_id), group in groupby(sorted(filled, key=_version), _version):
        document = Document.objects.lock(document_id)
        if document is None:
            continue
        rows = list(group)
        chunks = Chunk.objects.filter(version_id=version_id, position__in=[row.passage.position for row in rows])
        now = {
            position: made_of(embedder, document.title, heading, text)
            for position, heading, text in chunks.values_list("position", "heading", "text")
        }
        meanings = [
            Meaning(row.passage.position, row.value, _made_of(embedder, row.passage))
            for row in rows
            if now.get(row.passage.position) == _made_of(embedder, row.passage)
        ]
        stored += store_meanings(version_id=version_id, model=embedder_hash(embedder), meanings=meanings)
    return stored


def others_wait(actor: Actor) -> bool:
    """Whether any file waits for its turn, of this creator or another."""
    return turns_wait(())


def leave(actor: Actor) -> None:
    """Go on later, behind what waits now."""
    queue_filling(actor)


def note_progress(actor: Actor, *, model: UUID) -> None:
    """Tell open pages how far a model is."""
    covered = coverage.coverage(model)
    index = SearchIndex.objects.first()
    if index is not None:
        announce("search.model_filled", index.id, model=str(model), done=covered.done, total=covered.passages)


def drop_other_models(actor: Actor, *, models: Sequence[UUID], at_most: int) -> int:
    """Delete some vectors of models that are configured no more; returns how many."""
    return coverage.drop_models_except(models, at_most=at_most)


def _version(one: Filled) -> tuple[UUID, UUID]:
    return one.passage.document_id, one.passage.version_id


def _made_of(embedder: str, passage: Lacking) -> UUID:
    return made_of(embedder, passage.title, passage.heading, passage.text)
