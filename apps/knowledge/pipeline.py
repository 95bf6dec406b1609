"""Take a version from a stored file to passages that a search has found, step by step as in `Stage.Name`.

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

from apps.knowledge import fetching, storage
from apps.knowledge.chunking import cut_into_passages
from apps.knowledge.embedding import available_models, embedder_of, passage_text
from apps.knowledge.errors import ContentElsewhere
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.heard import Extracted
from apps.knowledge.extraction.runner import extract
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Stage
from apps.knowledge.search.finder import Question
from apps.knowledge.search.query import plain
from apps.knowledge.search.vectors import Meaning, made_of
from apps.knowledge.services import ledger, passages, sources, switching
from apps.knowledge.services.ledger import Superseded, Work
from apps.knowledge.services.passages import Facts
from shared.config.env_constants import get_env_value
from shared.exceptions import ServiceUnavailable
from shared.security.fetching import FetchFailed
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope

log = structlog.get_logger(__name__)

# Passages embedded between two writes: about a second of work, so pages see it move and a kill loses little.
_EMBED_BATCH = 16
# How soon a run notices that it was cancelled, and how many such checks later it says that it is alive.
_CLAIM_CHECK_SECONDS, _CHECKS_A_BEAT = 0.5, 5
# A version that takes longer lets others go first, if any wait.
_TURN_SECONDS = 10.0
# How long a run waits for a database that restarts before it leaves the job to be taken up again.
_PATIENCE_SECONDS = 60.0
# What an ordinary search takes and gives at most.
_PROBES, _PROBE_CHARACTERS, _PROBE_RESULTS = 4, 500, 50


class GaveWay(Exception):
    """This run has left its version to a later job."""


async def run(actor: Actor, version_id: UUID) -> None:
    """Do what is left to do for a version. Returns quietly when that is nothing, or when somebody else took over."""
    work = await _steadily(actor, ledger.claim_version, version_id=version_id)
    if work is None:
        return
    try:
        await _Run(actor, work).all_stages()
    except GaveWay:
        log.info("processing_gave_way", version_id=str(version_id))
    except Superseded:
        log.info("processing_superseded", version_id=str(version_id))
    except (ExtractionFailed, FetchFailed, ContentElsewhere) as failed:
        code = failed.failure.code if isinstance(failed, ExtractionFailed) else failed.code
        log.info("processing_failed", version_id=str(version_id), code=code)
        with suppress(Superseded):
            await _steadily(actor, ledger.fail_version, work=work, code=code)


@dataclass(slots=True)
class _Run:
    """One run over the stages, holding the claim."""

    actor: Actor
    work: Work
    began: float = field(default_factory=time.monotonic)
    extracted: Extracted | None = None
    # Pages read so far and in all, as the reader's process reports them.
    pages: tuple[int, int] | None = None

    async def all_stages(self) -> None:
        for name in Stage.Name:
            # The text itself is not stored, so it is read again unless its passages already are.
            needed = name is Stage.Name.EXTRACT and Stage.Name.CHUNK not in self.work.finished
            if needed or name not in self.work.finished:
                await self._one_stage(name)
        await self._write(switching.go_live)

    async def _one_stage(self, name: Stage.Name) -> None:
        fruitless = await self._write(ledger.begin_stage, name=name)
        if fruitless > ledger.MOST_FRUITLESS:
            raise ExtractionFailed("internal")
        began = time.perf_counter()
        try:
            total = await self._while_claimed(name, getattr(self, f"_{name.value}")())
        except ServiceUnavailable:
            # Somebody else is away, the embedding endpoint say: no fault of the document's. The job is tried again.
            await self._write(ledger.forgive_attempt, name=name)
            raise
        except GaveWay:
            await self._write(ledger.give_way, name=name, milliseconds=_since(began))
            raise
        await self._write(ledger.finish_stage, name=name, milliseconds=_since(began), total=total)

    async def _store(self) -> int:
        """Fetch what comes from an address. Whatever came through a door was stored there."""
        look = await self._read(sources.first_look)
        if look is None:
            raise ExtractionFailed("file_missing")
        async with fetching.looked_at(self.actor, look) as found:
            self.work = await self._write(sources.take_first, found=found)
        return 1

    async def _scan(self) -> int:
        """Whether the stored file is still the one that was brought, and what it is by its content."""
        stored = await self._on_thread(storage.inspect, self.work.storage_path, self.work.filename)
        if stored is None:
            raise ExtractionFailed("file_missing")
        if stored.sha256 != self.work.content_sha256:
            raise ExtractionFailed("file_changed")
        self.work = await self._write(ledger.note_media_type, media_type=stored.media_type)
        return 1

    async def _extract(self) -> int:
        copy = storage.local_copy(self.work.storage_path)
        try:
            path = await self._on_thread(copy.__enter__)
        except FileNotFoundError:
            raise ExtractionFailed("file_missing") from None
        try:
            self.extracted = await extract(
                path,
                self.work.media_type,
                owner=self.actor.creator_id,
                seconds=get_env_value("EXTRACTION_SECONDS", fallback=True),
                memory_bytes=get_env_value("EXTRACTION_MEMORY_BYTES", fallback=True),
                progress=self._note_pages,
            )
        finally:
            await asyncio.to_thread(copy.__exit__, None, None, None)
        return self.extracted.page_count or 1

    def _note_pages(self, done: int, total: int) -> None:
        self.pages = (done, total)

    async def _chunk(self) -> int:
        assert self.extracted is not None
        cut = await asyncio.to_thread(cut_into_passages, self.extracted.sections)
        if not cut:
            raise ExtractionFailed("empty")
        facts = Facts(self.extracted.page_count, self.extracted.language)
        await self._write(passages.store_passages, passages=cut, facts=facts)
        return len(cut)

    async def _embed(self) -> int:
        # The one that answers. Whatever else is configured follows when this version answers.
        embedder = embedder_of(await self._read(passages.model_to_embed_with))
        model = embedder_hash(embedder.name)
        await self._write(passages.take_over_vectors, embedder=embedder.name)
        while True:
            rows, done, total = await self._read(passages.passages_without_vector, model=model, limit=_EMBED_BATCH)
            if not rows:
                return int(total)
            if time.monotonic() - self.began > _TURN_SECONDS and await self._read(ledger.others_wait):
                raise GaveWay
            title = self.work.title
            found = await embedder.embed([passage_text(title, row.heading, row.text) for row in rows])
            meanings = [
                Meaning(row.position, HalfVector(vector), made_of(embedder.name, title, row.heading, row.text))
                for row, vector in zip(rows, found, strict=True)
            ]
            stored = {"model": model, "meanings": meanings, "done": done + len(rows), "total": total}
            await self._write(passages.store_vectors, **stored)

    async def _index(self) -> int:
        return int(await self._write(passages.index_passages))

    async def _verify(self) -> int:
        """Ready means found: by the search that everybody uses, among everything the creator has."""
        probes = await self._read(passages.choose_probes, count=_PROBES)
        if not probes:
            return 0
        embedder = embedder_of(await self._read(passages.model_to_verify_with, models=available_models()))
        about = {"model": embedder_hash(embedder.name), "limit": _PROBE_RESULTS, "instead": self.work.version_id}
        for place, text in enumerate(probes, start=1):
            asked = plain(text[:_PROBE_CHARACTERS])
            (vector,) = await embedder.embed([asked])
            question = Question(asked, vector, **about)
            if await self._read(passages.is_found, question=question):
                return place
        raise ExtractionFailed("not_searchable")

    async def _write(self, service: Callable[..., Any], **arguments: Any) -> Any:
        return await _steadily(self.actor, service, work=self.work, **arguments)

    _read = _write

    async def _on_thread[R](self, function: Callable[..., R], *arguments: Any) -> R:
        """Call a function of `storage` in the scope that says whose files these are."""
        with creator_scope(self.actor.creator_id):
            return await asyncio.to_thread(function, *arguments)

    async def _while_claimed[R](self, name: Stage.Name, step: Awaitable[R]) -> R:
        """Do a step, and drop it when the claim is lost: a cancelled document stops within about a second."""
        doing = asyncio.ensure_future(step)
        watch = asyncio.create_task(self._watch_claim(name))
        try:
            await asyncio.wait({doing, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                watch.result()
            return await doing
        finally:
            for task in (doing, watch):
                task.cancel()
            await asyncio.gather(doing, watch, return_exceptions=True)

    async def _watch_claim(self, name: Stage.Name) -> None:
        """Say that the step is alive, and how far it is; raise `Superseded` when it need not go on."""
        said, beats = None, 0
        while True:
            await asyncio.sleep(_CLAIM_CHECK_SECONDS)
            beats += 1
            if name is Stage.Name.EXTRACT and self.pages is not None and self.pages != said:
                said = self.pages
                await self._write(ledger.report_progress, name=name, done=said[0], total=said[1])
            elif beats % _CHECKS_A_BEAT == 0:
                await self._write(ledger.beat, name=name)
            else:
                await self._read(ledger.hold_claim)


def _since(began: float) -> int:
    """Milliseconds."""
    return round((time.perf_counter() - began) * 1000)


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
