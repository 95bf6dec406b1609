"""Running the golden questions, in the worker: they are embedded some at a time, searched for and put down."""

import time
from typing import Any
from uuid import UUID

import structlog

from apps.knowledge.embedding import embedder_of
from apps.knowledge.golden import model_label
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.services.golden_runs import (
    Asked,
    begin_run,
    finish_run,
    leave_run,
    model_of_run,
    try_questions,
    untried_questions,
)
from shared.exceptions import ServiceUnavailable
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as

log = structlog.get_logger(__name__)

# Embedded in one call: a tenth of a second, so that documents get their turn at the model.
_BATCH = 16
# A run that takes longer goes on behind what waits by then.
_TURN_SECONDS = 10.0
# When a run is taken up again that could not embed.
_AWAY_SECONDS = 60


async def run(actor: Actor, run_id: UUID) -> None:
    """Try the questions that a run has not tried. Returns quietly when there is nothing to do, or later."""
    embedder = embedder_of(await run_as(actor, model_of_run, run_id=run_id))
    by: dict[str, Any] = {"model": model_label(embedder.name), "embedder": embedder_hash(embedder.name)}
    if not await run_as(actor, begin_run, run_id=run_id, **by):
        return
    began = time.monotonic()
    try:
        while questions := await run_as(actor, untried_questions, run_id=run_id, limit=_BATCH):
            if time.monotonic() - began > _TURN_SECONDS:
                await run_as(actor, leave_run, run_id=run_id)
                return
            vectors = await embedder.embed([question.question for question in questions])
            pairs = zip(questions, vectors, strict=True)
            asked = [Asked(question, vector, by["embedder"]) for question, vector in pairs]
            if not await run_as(actor, try_questions, run_id=run_id, asked=asked):
                return
    except ServiceUnavailable as away:
        log.warning("golden_run_waits", run_id=str(run_id), code=away.code)
        await run_as(actor, leave_run, run_id=run_id, seconds=_AWAY_SECONDS)
        return
    await run_as(actor, finish_run, run_id=run_id)
