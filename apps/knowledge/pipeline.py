"""Take a version from a stored file to passages that a search has found: extract, chunk, embed, index, verify.

Runs in the worker. Every step may be interrupted at any point and done again: what is finished is not repeated, what
was half done is replaced. Database work goes through services; everything slow happens between them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from pgvector import HalfVector

from apps.knowledge import storage
from apps.knowledge.chunking import cut_into_passages
from apps.knowledge.embedding import current_embedder, passage_text
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.runner import Extracted, extract
from apps.knowledge.models import Stage
from apps.knowledge.search.finder import Question
from apps.knowledge.services import processing
from apps.knowledge.services.processing import Superseded, Work
from shared.config.env_constants import get_env_value
from shared.exceptions import ServiceUnavailable
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)

# Passages embedded between two writes: about a second of work, so pages see it move and a kill loses little.
_EMBED_BATCH = 16
_CLAIM_CHECK_SECONDS = 1.0
# How long a run waits for a database that restarts before it leaves the job to be taken up again.
_PATIENCE_SECONDS = 60.0
_PROBES = 3
_PROBE_RESULTS = 100


async def run(actor: Actor, version_id: UUID) -> None:
    """Do what is left to do for a version. Returns quietly when that is nothing, or when somebody else took over."""
    work = await _steadily(actor, processing.claim_version, version_id=version_id)
    if work is None:
        return
    try:
        await _Run(actor, work).all_stages()
    except Superseded:
        log.info("processing_superseded", version_id=str(version_id))
    except ExtractionFailed as failed:
        log.info("processing_failed", version_id=str(version_id), code=failed.failure.code)
        with suppress(Superseded):
            await _steadily(actor, processing.fail_version, work=work, code=failed.failure.code)


@dataclass(slots=True)
class _Run:
    """One run over the stages, holding the claim."""

    actor: Actor
    work: Work
    extracted: Extracted | None = field(default=None)

    async def all_stages(self) -> None:
        for name in Stage.Name:
            # The text itself is not stored, so it is read again unless its passages already are.
            needed = name is Stage.Name.EXTRACT and Stage.Name.CHUNK not in self.work.finished
            if needed or name not in self.work.finished:
                await self._one_stage(name)
        await self._write(processing.go_live)

    async def _one_stage(self, name: Stage.Name) -> None:
        attempts = await self._write(processing.begin_stage, name=name)
        if attempts > processing.MOST_ATTEMPTS:
            raise ExtractionFailed("internal")
        began = time.perf_counter()
        try:
            total = await self._while_claimed(getattr(self, f"_{name.value}")())
        except ServiceUnavailable:
            # Somebody else is away, the embedding endpoint say: no fault of the document's. The job is tried again.
            await self._write(processing.forgive_attempt, name=name)
            raise
        milliseconds = round((time.perf_counter() - began) * 1000)
        await self._write(processing.finish_stage, name=name, milliseconds=milliseconds, total=total)

    async def _extract(self) -> int:
        copy = storage.local_copy(self.work.storage_path)
        try:
            with creator_scope(self.actor.creator_id):
                path = await asyncio.to_thread(copy.__enter__)
        except FileNotFoundError:
            raise ExtractionFailed("file_missing") from None
        try:
            self.extracted = await extract(
                path,
                self.work.media_type,
                seconds=get_env_value("EXTRACTION_SECONDS", fallback=True),
                memory_bytes=get_env_value("EXTRACTION_MEMORY_BYTES", fallback=True),
            )
        finally:
            await asyncio.to_thread(copy.__exit__, None, None, None)
        return self.extracted.page_count or 1

    async def _chunk(self) -> int:
        assert self.extracted is not None
        passages = await asyncio.to_thread(cut_into_passages, self.extracted.sections)
        if not passages:
            raise ExtractionFailed("empty")
        await self._write(processing.store_passages, passages=passages, page_count=self.extracted.page_count)
        return len(passages)

    async def _embed(self) -> int:
        embedder = current_embedder()
        while True:
            rows, done, total = await self._read(processing.passages_without_vector, limit=_EMBED_BATCH)
            if not rows:
                return int(total)
            texts = [passage_text(self.work.title, row.heading, row.text) for row in rows]
            vectors = [HalfVector(vector).to_text() for vector in await embedder.embed(texts)]
            await self._write(
                processing.store_vectors,
                ids=[row.id for row in rows],
                vectors=vectors,
                done=done + len(rows),
                total=total,
            )

    async def _index(self) -> int:
        return int(await self._write(processing.index_passages))

    async def _verify(self) -> int:
        """Ready means found: by the search that everybody uses, among everything the creator has."""
        probes = await self._read(processing.choose_probes, count=_PROBES)
        for place, text in enumerate(probes, start=1):
            (vector,) = await current_embedder().embed([text])
            question = Question(text, vector, limit=_PROBE_RESULTS, instead=self.work.version_id)
            if await self._read(processing.is_found, question=question):
                return place
        raise ExtractionFailed("not_searchable")

    async def _write(self, service: Callable[..., Any], **arguments: Any) -> Any:
        return await _steadily(self.actor, service, work=self.work, **arguments)

    _read = _write

    async def _while_claimed[R](self, step: Awaitable[R]) -> R:
        """Do a step, and drop it when the claim is lost: a cancelled document stops within about a second."""
        doing = asyncio.ensure_future(step)
        watch = asyncio.create_task(self._watch_claim())
        try:
            await asyncio.wait({doing, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                watch.result()
            return await doing
        finally:
            for task in (doing, watch):
                task.cancel()
            await asyncio.gather(doing, watch, return_exceptions=True)

    async def _watch_claim(self) -> None:
        while True:
            await asyncio.sleep(_CLAIM_CHECK_SECONDS)
            await self._read(processing.hold_claim)


async def _steadily(actor: Actor, service: Callable[..., Any], **arguments: Any) -> Any:
    """Call a service, again and again for a minute while Postgres restarts. Each may safely be repeated."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    wait = 0.2
    while True:
        try:
            return await run_as(actor, service, **arguments)
        except settings.DATABASE_ERRORS:
            if time.monotonic() + wait > deadline:
                raise
            log.warning("database_away", service=service.__name__, wait=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)
