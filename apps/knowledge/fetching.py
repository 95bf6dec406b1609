"""Fetching documents from addresses, in the worker: network and files between two calls of services."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

import structlog
from django.conf import settings
from django.core.files import File

from apps.knowledge import storage
from apps.knowledge.errors import ContentElsewhere
from apps.knowledge.filenames import display_name
from apps.knowledge.services import sources
from apps.knowledge.services.ledger import Superseded
from apps.knowledge.services.sources import Found, Look
from shared.config.env_constants import get_env_value
from shared.exceptions import HubError
from shared.security.fetching import Fetched, FetchFailed, fetch, read_url
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as

log = structlog.get_logger(__name__)


async def refresh(actor: Actor, source_id: UUID) -> None:
    """Look at an address again and put down what came of it. Raises `DocumentNotFound` when its document is gone."""
    look = await run_as(actor, sources.begin_look, source_id=source_id)
    if look is None:
        return
    try:
        async with looked_at(actor, look) as found:
            taken = await run_as(actor, sources.finish_look, source_id=source_id, found=found)
            if found.stored is not None and not taken:
                await storage.on_thread(actor, storage.remove, found.stored.path)
    except (FetchFailed, ContentElsewhere) as failed:
        log.info("refresh_failed", source_id=str(source_id), code=failed.code)
        await run_as(actor, sources.fail_look, source_id=source_id, code=failed.code)


@asynccontextmanager
async def looked_at(actor: Actor, look: Look) -> AsyncIterator[Found]:
    """What is at an address now, in storage. Removed again when the block refuses it. Raises a `FetchFailed`.

    After anything else (a worker that is stopped, a connection lost at the commit) a row may well name the file: one
    too many, which the worker sweeps, is better than a document without its file.
    """
    found = await _look(actor, look)
    try:
        yield found
    except (HubError, Superseded):
        if found.stored is not None:
            await storage.on_thread(actor, storage.remove, found.stored.path)
        raise


async def _look(actor: Actor, look: Look) -> Found:
    file = await asyncio.to_thread(TemporaryFile)
    try:
        fetched = await fetch(
            look.url,
            file,
            most_bytes=settings.MAX_UPLOAD_BYTES,
            seconds=get_env_value("IMPORT_SECONDS", fallback=True),
            etag=look.etag,
            last_modified=look.last_modified,
        )
        return Found(fetched) if fetched.not_modified else await _store(actor, file, fetched)
    finally:
        await asyncio.to_thread(file.close)


async def _store(actor: Actor, file: IO[bytes], fetched: Fetched) -> Found:
    name = name_of(fetched)
    return Found(fetched, name, await storage.on_thread(actor, storage.store, File(file), name))


def name_of(fetched: Fetched) -> str:
    """What a fetched file is called: with the suffix of what its server says it is, where its name has none."""
    name = display_name(fetched.filename)
    known, _ = mimetypes.guess_type(name)
    if known is None or name == read_url(fetched.url).host:
        name = display_name(name + (mimetypes.guess_extension(fetched.media_type) or ""))
    return name
