"""Uploaded files in Django's storage: on disk or in a bucket. Blocking: called on threads, never in a transaction."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone

from apps.knowledge.media_types import detect_media_type
from shared.tenancy.actor import Asker
from shared.tenancy.ids import uuid7
from shared.tenancy.names import own_path, storage_path
from shared.tenancy.scope import creator_scope

_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in storage, and what its content says about it."""

    path: str
    media_type: str
    bytes: int
    sha256: str


def store(file: File, name: str) -> StoredFile:
    """Hash a file, find out what it is, and store it below the creator in scope under a name nobody chose.

    Reads block by block: never whole in memory. A full disk keeps nothing of it: `OSError`.
    """
    file.seek(0)
    sha256, size = _hash(file)
    media_type = detect_media_type(file, name)  # leaves the position at the start
    wanted = storage_path("documents", uuid7())
    try:
        path = default_storage.save(wanted, File(file))
    except OSError:
        with suppress(OSError):
            default_storage.delete(wanted)  # the part that was written takes up the room that is missing
        raise
    return StoredFile(path, media_type, size, sha256)


def inspect(path: str, name: str) -> StoredFile | None:
    """What the content of a stored file of the creator in scope says about it now; None when it is not there."""
    try:
        with default_storage.open(own_path(path)) as file:
            sha256, size = _hash(file)
            return StoredFile(path, detect_media_type(file, name), size, sha256)
    except FileNotFoundError:
        return None


def _hash(file: IO[bytes] | File) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def remove(path: str) -> None:
    """Delete a stored file of the creator in scope; one that is gone already is fine."""
    default_storage.delete(own_path(path))


def files_older_than(age: timedelta) -> list[str]:
    """The stored files of the creator in scope that have been there for longer."""
    folder = storage_path("documents")
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    paths = [f"{folder}/{name}" for name in names]
    before = timezone.now() - age
    return [path for path in paths if default_storage.get_modified_time(path) < before]


def open_stored(path: str) -> IO[bytes]:
    """Open a stored file of the creator in scope. Raises `FileNotFoundError`."""
    return default_storage.open(own_path(path))


@contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """The stored file as a file on this machine: itself where storage is local, a temporary copy elsewhere.

    Of the creator in scope. Raises `FileNotFoundError`.
    """
    own_path(path)
    try:
        here = Path(default_storage.path(path))
    except NotImplementedError:
        with NamedTemporaryFile(prefix="hub-") as copy:
            with default_storage.open(path) as stored:
                shutil.copyfileobj(stored, copy, _BLOCK)
            copy.flush()
            yield Path(copy.name)
        return
    if not here.is_file():
        raise FileNotFoundError(path)
    yield here


async def on_thread[**P, R](who: Asker, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that works with files, in the scope that says whose they are."""
    with creator_scope(who.creator_id):
        return await sync_to_async(function, thread_sensitive=False)(*args, **kwargs)


async def read_blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The content of an open file, block by block, each read on a thread; closes the file at the end."""
    read = sync_to_async(file.read, thread_sensitive=False)
    try:
        while block := await read(_BLOCK):
            yield block
    finally:
        await sync_to_async(file.close, thread_sensitive=False)()
