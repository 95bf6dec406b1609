"""What doors do around a service: files, vectors and streams, which no transaction may wait for.

Shared by the API and the pages, so that both do the same.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from pgvector import HalfVector

from apps.knowledge import media_types, storage
from apps.knowledge.chunking import count_tokens
from apps.knowledge.embedding import embedder_of, passage_text
from apps.knowledge.errors import ContentMissing, FileMissing, UploadTooLarge
from apps.knowledge.filenames import display_name, title_of
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Chunk, Document
from apps.knowledge.search.vectors import made_of
from apps.knowledge.services import corrections
from apps.knowledge.services.documents import delete_document, get_content
from apps.knowledge.services.imports import Report, begin_import
from apps.knowledge.services.uploads import add_version, create_document
from apps.knowledge.storage import StoredFile
from shared.exceptions import HubError
from shared.tenancy.actor import Actor, Asker, Role
from shared.tenancy.reads import confirm_actor
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from shared.text import clean_line


@dataclass(slots=True)
class Upload:
    """An upload in storage, waiting for its row. `arguments` are those of `service`."""

    service: Callable[..., Any]
    arguments: dict[str, Any]
    fingerprint: bytes
    taken: bool = False
    replaced: str = ""

    def create(self, actor: Actor, **arguments: Any) -> Any:
        """Call the service, remembering whether the stored file is in use now."""
        document = self.service(actor, **arguments)
        self.taken, self.replaced = document.taken, document.replaced_path
        return document


@asynccontextmanager
async def stored_upload(
    who: Asker, file: UploadedFile | None, *, title: str = "", tags: list[str] | None = None
) -> AsyncIterator[Upload]:
    """An upload that makes a document: see `create_document`, and `_stored` for what it raises."""
    stored, name = await _stored(who, file)
    title = clean_line(title)[:200] or title_of(name)
    fingerprint = "\x1f".join([stored.sha256, title, *(tags or [])]).encode()
    arguments = {"stored": stored, "filename": name, "title": title, "tags": tags or []}
    upload = Upload(create_document, arguments, fingerprint)
    async with _settled(who, stored, upload):
        yield upload


@dataclass(slots=True)
class ArchiveUpload(Upload):
    """An archive in storage. Every one is taken; the documents that it makes are found or made later."""

    def create(self, actor: Actor, **arguments: Any) -> Report:
        """Call the service."""
        report: Report = self.service(actor, **arguments)
        self.taken = True
        return report


@asynccontextmanager
async def stored_archive(who: Asker, file: UploadedFile | None, *, tags: list[str]) -> AsyncIterator[ArchiveUpload]:
    """An upload that makes an import: see `begin_import`, and `_stored` for what it raises."""
    stored, name = await _stored(who, file)
    arguments = {"stored": stored, "filename": name, "tags": tags}
    upload = ArchiveUpload(begin_import, arguments, "\x1f".join([stored.sha256, *tags]).encode())
    async with _settled(who, stored, upload):
        yield upload


@asynccontextmanager
async def stored_version(who: Asker, document_id: UUID, file: UploadedFile | None) -> AsyncIterator[Upload]:
    """An upload that makes a new version of a document: see `add_version`, and `_stored` for what it raises."""
    stored, name = await _stored(who, file)
    arguments = {"document_id": document_id, "stored": stored, "filename": name}
    upload = Upload(add_version, arguments, f"{document_id}\x1f{stored.sha256}".encode())
    async with _settled(who, stored, upload):
        yield upload


async def _stored(who: Asker, file: UploadedFile | None) -> tuple[StoredFile, str]:
    """Store a file; returns it with its name.

    Raises `FileMissing` (422), `UploadTooLarge` (413), `RoleRequired` (403), each before anything is stored.
    """
    actor = await confirm_actor(who)
    actor.require(Role.EDITOR)
    if file is None:
        raise FileMissing
    if (file.size or 0) > settings.MAX_UPLOAD_BYTES:
        raise UploadTooLarge(f"A file may have at most {settings.MAX_UPLOAD_BYTES} bytes.")
    name = display_name(file.name or "")
    return await _store(actor, file, name), name


@asynccontextmanager
async def _settled(who: Asker, stored: StoredFile, upload: Upload) -> AsyncIterator[None]:
    """Remove, by the end of the block, what no row has taken."""
    try:
        yield
    except HubError:
        # Refused, so undone. After anything else (a client that left, a connection lost at the commit) the row may
        # well be there: a file too many, which the worker sweeps, is better than a document without its file.
        await _with_files_of(who, storage.remove, stored.path)
        raise
    unused = [upload.replaced] if upload.taken else [stored.path]
    for path in filter(None, unused):
        await _with_files_of(who, storage.remove, path)


async def _store(actor: Actor, file: UploadedFile, name: str) -> StoredFile:
    """Store a file. When the client leaves meanwhile, the file leaves too: no row will ever name it."""
    storing = asyncio.ensure_future(_with_files_of(actor, storage.store, file, name))
    try:
        return await asyncio.shield(storing)
    except asyncio.CancelledError:
        stored = await storing
        await _with_files_of(actor, storage.remove, stored.path)
        raise


async def upload_document(
    who: Asker, file: UploadedFile | None, *, title: str = "", tags: list[str] | None = None
) -> Document:
    """Store a file and queue its processing; the same content again returns the document that has it."""
    async with stored_upload(who, file, title=title, tags=tags) as upload:
        return await run_as(who, upload.create, **upload.arguments)


async def is_archive(file: UploadedFile) -> bool:
    """Whether an upload is a zip file of files, by its content."""
    found = await asyncio.to_thread(media_types.detect_media_type, file, file.name or "")  # type: ignore[arg-type]
    return found == media_types.ZIP


async def upload_archive(who: Asker, file: UploadedFile) -> Report:
    """Store an archive and queue its unpacking, each of its files a document."""
    async with stored_archive(who, file, tags=[]) as upload:
        report: Report = await run_as(who, upload.create, **upload.arguments)
        return report


async def upload_version(who: Asker, document_id: UUID, file: UploadedFile | None) -> Document:
    """Store a file and queue its processing as a new version of a document."""
    async with stored_version(who, document_id, file) as upload:
        document: Document = await run_as(who, upload.create, **upload.arguments)
        return document


async def remove_document(who: Asker, document_id: UUID) -> None:
    """Delete a document, its passages and its files."""
    for path in await run_as(who, delete_document, document_id=document_id):
        await _with_files_of(who, storage.remove, path)


async def document_content(who: Asker, document_id: UUID, version: int | None = None) -> StreamingHttpResponse:
    """The file as it was brought, for saving only: what a stranger wrote must never run as a page of the hub.

    Raises `DocumentNotFound`, `VersionNotFound`, `ContentMissing` (404).
    """
    found = await run_as(who, get_content, document_id=document_id, number=version)
    if not found.storage_path:
        raise ContentMissing
    try:
        file = await _with_files_of(who, storage.open_stored, found.storage_path)
    except FileNotFoundError as error:
        raise ContentMissing from error
    known = found.media_type in media_types.SUPPORTED
    response = StreamingHttpResponse(
        storage.read_blocks(file),
        content_type=found.media_type if known else "application/octet-stream",
    )
    response.headers["Content-Length"] = str(found.bytes)
    response.headers["Content-Disposition"] = content_disposition_header(True, found.filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def correct_passage(
    who: Asker,
    document_id: UUID,
    chunk_id: UUID,
    *,
    text: str | None,
    restore: bool = False,
    hidden: bool | None = None,
) -> Chunk:
    """Change what a passage says (`restore`: back to what was read) or whether searches find it.

    The new text is embedded before the row is locked. Raises `DocumentNotFound`, `PassageNotFound`,
    `EmbeddingUnavailable`, `RoleRequired`.
    """
    actor = await confirm_actor(who)
    actor.require(Role.EDITOR)
    new = None
    if text is not None or restore:
        passage = await run_as(actor, corrections.get_passage, document_id=document_id, chunk_id=chunk_id)
        text = passage.original if restore or text is None else text
        embedder = embedder_of(passage.model)
        lead = (passage.title, passage.chunk.heading)
        (numbers,) = await embedder.embed([passage_text(*lead, text)])
        tokens = await asyncio.to_thread(count_tokens, text)
        new = corrections.NewText(
            text,
            tokens,
            vector=HalfVector(numbers),
            model=embedder_hash(embedder.name),
            made_of=made_of(embedder.name, *lead, text),
        )
    change = {"document_id": document_id, "chunk_id": chunk_id, "new": new, "hidden": hidden}
    return await run_as(who, corrections.correct_passage, **change)


async def _with_files_of[**P, R](who: Asker, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of `storage` on a thread, in the scope that says whose files these are."""
    with creator_scope(who.creator_id):
        return await sync_to_async(function, thread_sensitive=False)(*args, **kwargs)
