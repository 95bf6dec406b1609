"""Zip files of strangers: what one may hold, and reading a member without believing what it says of itself."""

import zipfile
import zlib
from collections.abc import Iterator
from copy import copy
from typing import IO

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.source import Source, opened

MAX_ENTRIES = 10_000
MAX_TOTAL_BYTES = 512 * 1024 * 1024
# A member may shrink to a hundredth and less while it is small: a repeated row is no bomb.
MAX_RATIO = 200
_RATIO_COUNTS_FROM_BYTES = 16 * 1024 * 1024
# What an entry takes in the directory at the end, apart from its name and its extra fields.
_LEAST_DIRECTORY_ENTRY_BYTES = 46
_BLOCK = 1024 * 1024
_ENCRYPTED = 0x1
# The only ones that office programs and EPUB use.
_BOUNDED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError)


def check_archive(source: Source) -> None:
    """Refuse a document that is a zip file and unpacks to more than a document holds, before any reader opens it.

    Everything is unpacked here once, into nothing, because the sizes that an archive declares may be lies. Archives
    inside stay closed. Raises `ExtractionFailed`: `archive_bomb`, `password_protected` or `corrupt`.
    """
    try:
        with opened(source) as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                members = check_members(archive)
                total = 0
                for member in members:
                    for block in _unpack(archive, member):
                        total += len(block)
                        if total > MAX_TOTAL_BYTES:
                            raise ExtractionFailed("archive_bomb")
    except _UNREADABLE as error:
        raise ExtractionFailed("corrupt") from error


def check_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members of an open archive, if what it declares about them is possible and within the limits.

    Their contents may still be longer than they say: `read_member` and `check_archive` bound that.
    """
    members = archive.infolist()
    if len(members) > MAX_ENTRIES or sum(member.file_size for member in members) > MAX_TOTAL_BYTES:
        raise ExtractionFailed("archive_bomb")
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise ExtractionFailed("password_protected")
    if sum(member.compress_size for member in members) > _size(archive):
        raise ExtractionFailed("archive_bomb")  # members that share their bytes: the flat bomb
    if len({member.filename for member in members}) < len(members):
        raise ExtractionFailed("corrupt")  # which of two would a reader take?
    return members


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The whole content of a member of at most `limit` bytes, whatever it declares.

    Raises `ExtractionFailed`: `archive_bomb` when it is longer, `password_protected` or `corrupt`.
    """
    if member.flag_bits & _ENCRYPTED:
        raise ExtractionFailed("password_protected")
    blocks, size = [], 0
    try:
        for block in _unpack(archive, member):
            blocks.append(block)
            size += len(block)
            if size > limit:
                raise ExtractionFailed("archive_bomb")
    except _UNREADABLE as error:
        raise ExtractionFailed("corrupt") from error
    return b"".join(blocks)


def directory_bytes(file: IO[bytes]) -> int:
    """How long a zip file says its directory is, 0 where it has none. To be asked before the directory is read.

    One of a million entries takes half a minute to list.
    """
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # the same reading as ZipFile's own
    return 0 if end is None else int(end[zipfile._ECD_SIZE])  # type: ignore[attr-defined]


def _check_directory(file: IO[bytes]) -> None:
    if directory_bytes(file) > MAX_ENTRIES * 4 * _LEAST_DIRECTORY_ENTRY_BYTES:
        raise ExtractionFailed("archive_bomb")
    file.seek(0)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member block by block. The size it declares bounds nothing here; its ratio does."""
    if member.compress_type not in _BOUNDED_METHODS:
        raise zipfile.BadZipFile("a method that unpacks in steps of any size")
    # ZipFile would stop at the size that the member declares, where other readers go on.
    doubted = copy(member)
    doubted.file_size = MAX_TOTAL_BYTES + 1
    size = 0
    with archive.open(doubted) as content:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > _RATIO_COUNTS_FROM_BYTES and size > member.compress_size * MAX_RATIO:
                raise ExtractionFailed("archive_bomb")
            yield block
    if size != member.file_size:
        raise zipfile.BadZipFile("a member is not as long as it says")


def _size(archive: zipfile.ZipFile) -> int:
    assert archive.fp is not None
    place = archive.fp.tell()
    try:
        return archive.fp.seek(0, 2)
    finally:
        archive.fp.seek(place)
