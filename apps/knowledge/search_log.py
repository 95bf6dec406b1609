"""The log of searches: what was asked waits here for a moment, and is written down beside the answers, in batches.

No answer waits for it, and a burst of searches costs a few transactions instead of one for each. What waits is bounded,
written at the end of the process, and kept while the database is away. See docs/decisions/0013-search-log.md.
"""

import asyncio
import time
from contextvars import Context
from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone

from apps.knowledge.errors import SearchNotFound
from apps.knowledge.searching import Answer
from apps.knowledge.services.asked import Asked, Opened, note_click, write_searches
from shared.exceptions import DatabaseUnavailable, from_exception
from shared.tenancy.actor import Actor, Asker, Role
from shared.tenancy.commands import OPERATOR
from shared.tenancy.ids import made_at
from shared.tenancy.run import run_as

log = structlog.get_logger(__name__)

# How long a search waits for others to be written with.
WRITE_EVERY_SECONDS = 0.5
# When the database could not take them.
RETRY_SECONDS = 5.0
# What comes on top is dropped and counted. One takes 2 KB, or 13 KB with a hundred results: 26 MB at the very most. Of
# what waits no creator has more than a quarter.
MOST_WAITING = 2000
MOST_OF_A_CREATOR = 500
# At the end of the process.
CLOSE_SECONDS = 3.0
# So long after its answer a search may still wait in another web process: a click on it is not refused before.
UNWRITTEN_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.25


def is_good(answer: Answer) -> bool:
    """Whether what was found answers the question. The one place that says so: for now, anything that was found."""
    return bool(answer.results)


def remember(who: Asker, answer: Answer) -> Answer:
    """Hand back the answer of a door, and put down that it was asked for: the words, never who said them."""
    if settings.SEARCHES_KEPT_DAYS:
        hits = tuple(result.hit.chunk_id for result in answer.results)
        asked = Asked(answer.id, answer.query, hits, is_good(answer), answer.took_ms, timezone.now())
        search_log.add(who.creator_id, asked)
    return answer


async def record_click(who: Asker, search_id: UUID, opened: Opened) -> None:
    """Note that a passage was opened, also when its search is yet to be written, by this process or by another.

    Raises `SearchNotFound`, `PassageNotFound`.
    """
    await search_log.write(who.creator_id)
    while True:
        try:
            await run_as(who, note_click, search_id=search_id, opened=opened)
            return
        except SearchNotFound:
            if not _may_be_unwritten(search_id):
                raise
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _may_be_unwritten(search_id: UUID) -> bool:
    """Whether an id is as young as that of a search that another process has just answered. Of whatever creator."""
    made = made_at(search_id)
    return bool(settings.SEARCHES_KEPT_DAYS) and made is not None and abs(time.time() - made) < UNWRITTEN_SECONDS


class SearchLog:
    """What waits to be written, of each creator. For one event loop at a time.

    `writes_by_itself` is False in tests whose transaction is rolled back: there only `write` does.
    """

    def __init__(self) -> None:
        self.writes_by_itself = True
        self._waiting: dict[UUID, list[Asked]] = {}
        self._writing: dict[UUID, asyncio.Task[bool]] = {}
        self._held = 0  # those that wait, and those that are being written
        self._dropped = 0
        self._writer: asyncio.Task[None] | None = None

    def add(self, creator_id: UUID, asked: Asked) -> None:
        """Let a search wait to be written. Takes no time, and never fails: one too many is dropped and counted."""
        if self._held >= MOST_WAITING or len(self._waiting.get(creator_id, ())) >= MOST_OF_A_CREATOR:
            self._dropped += 1
        else:
            self._waiting.setdefault(creator_id, []).append(asked)
            self._held += 1
        loop = asyncio.get_running_loop()
        idle = self._writer is None or self._writer.done() or self._writer.get_loop() is not loop
        if idle and self.writes_by_itself:
            # In a context of its own: it writes for every creator, and nothing in the name of who happened to ask.
            self._writer = loop.create_task(self._keep_writing(), context=Context())

    async def write(self, creator_id: UUID) -> bool:
        """Write what waits of a creator; True once all that was added before this call has been dealt with."""
        for _ in range(2):  # what is being written already, then what came after that had begun
            task = self._writing.get(creator_id) or self._begin(creator_id)
            if task is None:
                break
            if not await asyncio.shield(task):  # whoever waits may leave; the batch is written all the same
                return False
        return True

    async def close(self) -> None:
        """Write all that waits, for the end of the process."""
        if self._writer is not None:
            self._writer.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                creators = list({*self._writing, *self._waiting})
                for start in range(0, len(creators), settings.DATABASE_THREADS):
                    part = creators[start : start + settings.DATABASE_THREADS]
                    await asyncio.gather(*(self.write(creator_id) for creator_id in part))
        except TimeoutError:
            pass
        if lost := self._held + self._dropped:
            log.error("searches_lost", count=lost)

    def forget(self) -> None:
        """Hold nothing. For tests."""
        self.__init__()  # type: ignore[misc]

    async def _keep_writing(self) -> None:
        pause = WRITE_EVERY_SECONDS
        while self._waiting or self._dropped:
            await asyncio.sleep(pause)
            if self._dropped:
                log.warning("searches_dropped", count=self._dropped)
                self._dropped = 0
            pause = WRITE_EVERY_SECONDS
            for creator_id in list(self._waiting):  # one after the other: requests need the threads more
                if not await self.write(creator_id):
                    pause = RETRY_SECONDS
                    break

    def _begin(self, creator_id: UUID) -> asyncio.Task[bool] | None:
        batch = self._waiting.pop(creator_id, None)
        if batch is None:
            return None
        task = asyncio.get_running_loop().create_task(self._write(creator_id, batch))
        self._writing[creator_id] = task
        return task

    async def _write(self, creator_id: UUID, batch: list[Asked]) -> bool:
        """Whether the batch has been dealt with. When the database is away it waits again, and it is not."""
        actor = Actor(OPERATOR, creator_id, Role.VIEWER, acting_reason="the log of searches")
        waits_again = False
        try:
            await run_as(actor, write_searches, searches=batch)
        except Exception as error:
            reason = from_exception(error)
            waits_again = isinstance(reason, DatabaseUnavailable)
            told = {"creator_id": str(creator_id), "count": len(batch), "reason": reason.code}
            log.warning("searches_wait" if waits_again else "searches_not_written", **told)
        except asyncio.CancelledError:  # the loop ends
            waits_again = True
            raise
        finally:
            self._writing.pop(creator_id, None)
            if waits_again:
                self._waiting[creator_id] = batch + self._waiting.pop(creator_id, [])
            else:
                self._held -= len(batch)
        return not waits_again


search_log = SearchLog()
