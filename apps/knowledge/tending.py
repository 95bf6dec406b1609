"""What is done for every creator in turn, by the clock: each in a scope and a transaction of their own."""

from collections.abc import AsyncIterator
from datetime import timedelta

import structlog
from django.conf import settings

from apps.accounts.services import list_creator_ids
from apps.knowledge import storage
from apps.knowledge.embedding import current_embedder
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.services import asked
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
SEARCHES_AT_ONCE = 1000


async def tend_everybody() -> int:
    """Queue what nobody is at and what is due, for each creator; returns how many jobs that makes."""
    silent = get_env_value("JOB_STALLED_SECONDS", fallback=True) * _PATIENCE
    embedder = embedder_hash(current_embedder().name)
    queued = 0
    async for actor in _every_creator():
        queued += await run_as(actor, tend, silent_seconds=silent, embedder=embedder)
    return queued


async def tidy_indexes() -> int:
    """Queue the tidying of each search index that anything was added to or is gone from; returns how many these are."""
    model = embedder_hash(current_embedder().name)
    return sum([await run_as(actor, tend_index, model=model, untidy=1) async for actor in _every_creator()])


async def remove_unclaimed_files() -> int:
    """Delete each stored file that no version names and that has had the time to be named; returns how many."""
    removed = 0
    async for actor in _every_creator():
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
    async for actor in _every_creator():
        gone = SEARCHES_AT_ONCE
        while gone == SEARCHES_AT_ONCE:
            limits = {"kept_days": settings.SEARCHES_KEPT_DAYS, "at_most": SEARCHES_AT_ONCE}
            gone = await run_as(actor, asked.trim_searches, **limits)
            trimmed += gone
    return trimmed


async def _every_creator() -> AsyncIterator[Actor]:
    for creator_id in await run_global(list_creator_ids):
        yield Actor(OPERATOR, creator_id, Role.OWNER, acting_reason="the worker, by the clock")
