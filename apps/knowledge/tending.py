"""What is done for every creator in turn, by the clock: each in a scope and a transaction of their own."""

from collections.abc import AsyncIterator
from datetime import timedelta

import structlog
from django.conf import settings

from apps.accounts.services import list_creator_ids
from apps.knowledge import storage
from apps.knowledge.embedding import available_models
from apps.knowledge.services import asked, filling
from apps.knowledge.services.indexes import tend_index
from apps.knowledge.services.tending import claimed_paths, tend
from shared.config.env_constants import get_env_value
from shared.tenancy.actor import Actor, Role
from shared.tenancy.commands import OPERATOR
from shared.tenancy.run import run_as, run_global

log = structlog.get_logger(__name__)

# A step says that it is alive every few seconds. One that is silent for so many times the worker's own limit hangs.
_PATIENCE = 6
# No upload takes so long between its file and its row.
UNCLAIMED_AFTER = timedelta(hours=6)
SEARCHES_AT_ONCE = VECTORS_AT_ONCE = 1000


async def tend_everybody() -> int:
    """Queue what nobody is at and what is due, for each creator; returns how many jobs that makes."""
    silent = get_env_value("JOB_STALLED_SECONDS", fallback=True) * _PATIENCE
    models = available_models()
    queued = 0
    async for actor in every_creator():
        queued += await run_as(actor, tend, silent_seconds=silent, models=models)
    return queued


async def tidy_indexes() -> int:
    """Queue the tidying of each search index that anything was added to or is gone from; returns how many these are.

    Before that the vectors of models that are configured no more are deleted, some in a transaction.
    """
    models = available_models()
    queued = 0
    async for actor in every_creator():
        gone = VECTORS_AT_ONCE
        while gone == VECTORS_AT_ONCE:
            gone = await run_as(actor, filling.drop_other_models, models=models, at_most=VECTORS_AT_ONCE)
        queued += await run_as(actor, tend_index, models=models, untidy=1)
    return queued


async def remove_unclaimed_files() -> int:
    """Delete each stored file that no version names and that has had the time to be named; returns how many."""
    removed = 0
    async for actor in every_creator():
        old = await storage.on_thread(actor, storage.files_older_than, UNCLAIMED_AFTER)
        claimed = await run_as(actor, claimed_paths, paths=old) if old else set()
        for path in set(old) - claimed:
            await storage.on_thread(actor, storage.remove, path)
            log.warning("unclaimed_file_removed", creator_id=str(actor.creator_id), path=path)
            removed += 1
    return removed


async def trim_searches() -> int:
    """Delete each creator's searches that have had their time, some in a transaction; returns how many."""
    trimmed = 0
    async for actor in every_creator():
        gone = SEARCHES_AT_ONCE
        while gone == SEARCHES_AT_ONCE:
            limits = {"kept_days": settings.SEARCHES_KEPT_DAYS, "at_most": SEARCHES_AT_ONCE}
            gone = await run_as(actor, asked.trim_searches, **limits)
            trimmed += gone
    return trimmed


async def every_creator() -> AsyncIterator[Actor]:
    """Each creator in turn, as their owner, for what nobody asked for."""
    for creator_id in await run_global(list_creator_ids):
        yield Actor(OPERATOR, creator_id, Role.OWNER, acting_reason="the worker, by the clock")
