"""Unpacking archives in the worker, one file at a time, each a document as if it had been uploaded.

A zip file of a stranger promises anything. What its directory declares is judged before a byte is unpacked, and an
entry is never read beyond what it declares: `ZipFile` stops there, and its checksum then shows the lie.
"""

import asyncio
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from uuid import UUID

import structlog
from django.conf import settings
from django.core.files import File

from apps.knowledge import storage
from apps.knowledge.extraction.archives import directory_bytes
from apps.knowledge.filenames import LONGEST_NAME, display_name, title_of
from apps.knowledge.media_types import UNKNOWN, ZIP, detect_media_type
from apps.knowledge.models import Import
from apps.knowledge.services import imports
from apps.knowledge.services.imports import NotTheNext
from apps.knowledge.storage import StoredFile
from shared.exceptions import HubError
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from shared.text import clean_line

log = structlog.get_logger(__name__)

MOST_ENTRIES = 2000
MOST_TOTAL_BYTES = 1024 * 1024 * 1024
# A small file may shrink to nothing, a repeated row say; a large one that does is a bomb.
MOST_RATIO, RATIO_COUNTS_FROM_BYTES = 200, 16 * 1024 * 1024
_MOST_DIRECTORY_BYTES = 1024 * 1024
_BLOCK = 256 * 1024
# Others unpack in steps of any size.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError)
_OTHER_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf\x27\x1c", b"Rar!")
# What programs leave in archives and nobody meant to bring.
_LITTER = (".ds_store", "thumbs.db", "desktop.ini")
# A long import lets others go first after so long.
_TURN_SECONDS = 10.0


class ArchiveRefused(Exception):
    """None of an archive can be taken, for the reason with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def unpack(actor: Actor, import_id: UUID) -> None:
    """Do what is left to do of an import. Returns quietly when that is nothing, or another run has come further."""
    archive = await run_as(actor, imports.continue_import, import_id=import_id)
    if archive is None:
        return
    code = ""
    copy = storage.local_copy(archive.storage_path)
    try:
        path = await storage.on_thread(actor, copy.__enter__)
    except FileNotFoundError:
        code = "file_missing"
    else:
        try:
            if not await _Unpacking(actor, archive, path).run():
                return
        except NotTheNext:
            return
        except ArchiveRefused as refused:
            code = refused.code
        finally:
            await asyncio.to_thread(copy.__exit__, None, None, None)
    log.info("import_finished", import_id=str(import_id), code=code)
    gone = await run_as(actor, imports.finish_import, import_id=import_id, code=code)
    await storage.on_thread(actor, storage.remove, gone)


class _Unpacking:
    """One run over an archive's entries."""

    def __init__(self, actor: Actor, archive: Import, path: Path) -> None:
        self._actor = actor
        self._archive = archive
        self._path = path

    async def run(self) -> bool:
        """Whether it came to the end; else the rest is queued. Raises `ArchiveRefused`, `NotTheNext`."""
        began = time.monotonic()
        zip_file, entries = await asyncio.to_thread(open_archive, self._path)
        with zip_file:
            await run_as(self._actor, imports.count_entries, import_id=self._archive.id, total=len(entries))
            for position in range(self._archive.done, len(entries)):
                if time.monotonic() - began > _TURN_SECONDS:
                    await run_as(self._actor, imports.give_way, import_id=self._archive.id)
                    return False
                await self._entry(zip_file, position, entries[position])
        return True

    async def _entry(self, zip_file: zipfile.ZipFile, position: int, entry: zipfile.ZipInfo) -> None:
        filename = display_name(entry.filename)
        code = problem_of(entry)
        stored = None
        if not code:
            stored, code = await storage.on_thread(self._actor, _store, zip_file, entry, filename)
        place = {"import_id": self._archive.id, "position": position, "name": shown_path(entry)}
        if stored is None:
            await run_as(self._actor, imports.skip_entry, **place, code=code)
        else:
            await self._take(stored, filename, place)

    async def _take(self, stored: StoredFile, filename: str, place: dict[str, object]) -> None:
        arguments = {**place, "stored": stored, "filename": filename, "title": title_of(filename)}
        try:
            document = await run_as(self._actor, imports.take_entry, **arguments)
        except (HubError, NotTheNext):
            # Refused, so undone. After anything else the row may well be there, and the worker sweeps what is not.
            await storage.on_thread(self._actor, storage.remove, stored.path)
            raise
        unused = document.replaced_path if document.taken else stored.path
        if unused:
            await storage.on_thread(self._actor, storage.remove, unused)


def open_archive(path: Path) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """An open archive and those of its entries that somebody meant to bring. Blocking. Raises `ArchiveRefused`."""
    try:
        with path.open("rb") as file:
            size = directory_bytes(file)
        if size > _MOST_DIRECTORY_BYTES:
            raise ArchiveRefused("archive_too_many")
        archive = zipfile.ZipFile(path)
    except _BROKEN:
        raise ArchiveRefused("archive_unreadable") from None
    entries = [entry for entry in archive.infolist() if not _is_litter(entry)]
    code = _problem_of_all(entries, path.stat().st_size)
    if code:
        archive.close()
        raise ArchiveRefused(code)
    return archive, entries


def _problem_of_all(entries: list[zipfile.ZipInfo], size: int) -> str:
    if len(entries) > MOST_ENTRIES:
        return "archive_too_many"
    shared = sum(entry.compress_size for entry in entries) > size  # entries that share their bytes: a bomb
    return "archive_too_large" if shared or sum(entry.file_size for entry in entries) > MOST_TOTAL_BYTES else ""


def _is_litter(entry: zipfile.ZipInfo) -> bool:
    parts = entry.filename.lower().split("/")
    return entry.is_dir() or "__macosx" in parts or parts[-1] in _LITTER


def problem_of(entry: zipfile.ZipInfo) -> str:
    """Why an entry becomes no document, by what the directory says of it; "" when nothing speaks against it."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "entry_not_a_file"
    if entry.flag_bits & _ENCRYPTED:
        return "entry_encrypted"
    if entry.file_size > settings.MAX_UPLOAD_BYTES:
        return "entry_too_large"
    if entry.file_size > max(RATIO_COUNTS_FROM_BYTES, entry.compress_size * MOST_RATIO):
        return "entry_too_large"
    return "" if entry.compress_type in _METHODS else "entry_unreadable"


def shown_path(entry: zipfile.ZipInfo) -> str:
    """An entry's name with its folders, for the eye only."""
    return clean_line(entry.filename)[-LONGEST_NAME:] or "?"


def _store(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, filename: str) -> tuple[StoredFile | None, str]:
    """Unpack an entry into storage, block by block; or say why not."""
    with TemporaryFile() as file:
        for block in _blocks(archive, entry):
            if block is None:
                return None, "entry_unreadable"
            file.write(block)
        kind = detect_media_type(file, filename)
        if kind == ZIP or (kind == UNKNOWN and file.read(8).startswith(_OTHER_ARCHIVES)):
            return None, "entry_archive"
        return storage.store(File(file), filename), ""


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes | None]:
    """An entry's content; None where it cannot be read on, or is not as long as it says."""
    size = 0
    try:
        with archive.open(entry) as content:
            while block := content.read(_BLOCK):
                size += len(block)
                yield block
    except _BROKEN:
        yield None
        return
    if size != entry.file_size:
        yield None
