"""Tidying a creator's search index, a little at a time, so that nobody who searches or uploads waits for it."""

import asyncio
from uuid import UUID

from apps.knowledge.embedding import available_models
from apps.knowledge.search.cells import Sorting, find_centres
from apps.knowledge.search.tidying import Merging, WordSweep
from apps.knowledge.services import indexes
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as


async def tidy(actor: Actor) -> None:
    """Merge postings, sweep words that are gone, sort vectors into cells. Safe to stop anywhere and to begin again."""
    added = await run_as(actor, indexes.begin_tidying)
    for work in (Merging(), WordSweep()):
        while await run_as(actor, indexes.tidy_step, work=work):
            pass
    await run_as(actor, indexes.end_tidying, added=added)
    await sort_vectors(actor, await run_as(actor, indexes.model_to_sort, models=available_models()))


async def sort_vectors(actor: Actor, model: UUID) -> None:
    """Make cells, if they are due."""
    sample = await run_as(actor, indexes.sample_for_cells, model=model)
    if sample is None:
        return
    centres = await asyncio.to_thread(find_centres, sample)
    await run_as(actor, indexes.begin_cells, model=model, centres=centres)
    work = Sorting(model)
    while await run_as(actor, indexes.fill_cells, work=work):
        pass
    await run_as(actor, indexes.finish_cells, model=model)
