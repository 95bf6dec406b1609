"""Building the index of another model beside the one that answers, in the worker, a few passages at a time."""

import time
from uuid import UUID

import structlog
from pgvector import HalfVector

from apps.knowledge.embedding import Embedder, available_embedders, passage_text
from apps.knowledge.embedding.known import known_models
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.services import filling, golden_trials
from apps.knowledge.services.filling import Filled
from shared.exceptions import ServiceUnavailable
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as

log = structlog.get_logger(__name__)

# As in the pipeline: embedded between two writes, and how long before others go first.
_BATCH = 16
_TURN_SECONDS = 10.0
# How often open pages are told.
_TELL_SECONDS = 2.0


class GaveWay(Exception):
    """The rest is left to a later job."""


async def run(actor: Actor) -> None:
    """Give every passage that answers, or can be restored, the vectors that it lacks of the models configured.

    Safe to stop anywhere. Where an endpoint is away, the clock asks again.
    """
    deadline = time.monotonic() + _TURN_SECONDS
    for embedder in available_embedders():
        try:
            await _fill(actor, embedder, deadline)
        except ServiceUnavailable as away:
            log.warning("filling_waits", code=away.code)
        except GaveWay:
            await run_as(actor, filling.leave)
            return


async def _fill(actor: Actor, embedder: Embedder, deadline: float) -> None:
    model = embedder_hash(embedder.name)
    after: UUID | None = None
    seen: set[UUID] = set()
    changed, told = False, 0.0
    while rows := await run_as(actor, filling.passages_to_fill, model=model, after=after, limit=_BATCH):
        after = rows[0].version_id
        new = {row.version_id for row in rows} - seen
        seen |= new
        if new and await run_as(actor, filling.take_over, embedder=embedder.name, version_ids=sorted(new)):
            changed = True
            continue
        if time.monotonic() > deadline and await run_as(actor, filling.others_wait):
            raise GaveWay
        vectors = await embedder.embed([passage_text(row.title, row.heading, row.text) for row in rows])
        filled = [Filled(row, HalfVector(vector)) for row, vector in zip(rows, vectors, strict=True)]
        await run_as(actor, filling.fill, embedder=embedder.name, filled=filled)
        changed = True
        if time.monotonic() - told > _TELL_SECONDS:
            await run_as(actor, filling.note_progress, model=model)
            told = time.monotonic()
    if changed:
        await run_as(actor, filling.note_progress, model=model)
        await run_as(actor, golden_trials.note_filled, model=model, known=known_models())
