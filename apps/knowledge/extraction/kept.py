"""Children that are kept for the next small file of the same creator.

Most files are small, and a child of its own costs a small file several times its reading. Files of two creators never
meet in one child. Whatever goes wrong in a child that is kept counts for nothing: it ends, and the file is read again
by one of its own, under its own limits, so a bad file cannot fail a good one.
"""

import asyncio
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import UUID

import orjson

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.heard import Extracted, Heard
from apps.knowledge.extraction.processes import WATCH_SECONDS, ServerLost, begin, resident_bytes

MOST_BYTES = 256 * 1024
MOST_FILES = 200
MOST_IDLE = 64
IDLE_SECONDS = 10.0
FILE_SECONDS = 2.0
# All that one may use in its life.
_PROCESSOR_SECONDS, _MOST_MEMORY_BYTES = 60, 512 * 1024 * 1024
# What one may hold while it waits. An ordinary one holds 25 MB, of which 2 are its own.
KEPT_BYTES = 96 * 1024 * 1024
_BLOCK = 1 << 18
_ENDED = (ExtractionFailed, ServerLost, OSError)

# The one that waits for the longest comes first.
_idle: list["_Kept"] = []


async def read_small(owner: UUID, path: Path, media_type: str, *, memory_bytes: int) -> Extracted | None:
    """What a small file holds; None for a larger one, and for one that needs a child of its own."""
    try:
        content = await asyncio.to_thread(_small, path)
        if content is None:
            return None
        child = _take(owner) or await _begin(owner, min(memory_bytes, _MOST_MEMORY_BYTES))
    except _ENDED:
        return None
    try:
        read = await child.read(content, media_type)
    except BaseException as error:
        child.close()
        if isinstance(error, _ENDED):
            return None
        raise
    _keep(child)
    return read


def close_all() -> None:
    """End those that are kept."""
    while _idle:
        _idle.pop().close()


class _Kept:
    """A child that serves one creator, from the event loop that it was asked for on."""

    def __init__(self, owner: UUID, memory_bytes: int) -> None:
        self.owner, self.files = owner, 0
        self.loop = asyncio.get_running_loop()
        self._memory_bytes, self._closing = memory_bytes, ExitStack()
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Raises one of `_ENDED`."""
        job = {"do": "serve", "seconds": _PROCESSOR_SECONDS, "memory_bytes": self._memory_bytes}
        self._answer, errors, self._line = await begin(job, self._closing)
        errors.close()  # what it complains of counts for nothing
        said = await self.loop.sock_recv(self._line, 64)
        if not said:
            raise ServerLost
        self._pid = int(said.split()[0])

    async def read(self, content: bytes, media_type: str) -> Extracted:
        """Have it read a file. Raises one of `_ENDED` unless all of it was read."""
        self.files += 1
        heard = Heard(lambda done, total: None)
        asked = orjson.dumps({"media_type": media_type, "bytes": len(content)})
        self._timer = self.loop.call_later(WATCH_SECONDS, self._watch_memory)
        try:
            async with asyncio.timeout(FILE_SECONDS):
                await self.loop.sock_sendall(self._answer, asked + b"\n" + content)
                while not heard.complete:
                    block = await self.loop.sock_recv(self._answer, _BLOCK)
                    if not block:
                        raise ConnectionError
                    heard.hear(block)
        finally:
            self._timer.cancel()
        return heard.extracted()

    def is_quiet(self) -> bool:
        """Whether it still runs, and says nothing that it was not asked for."""
        with suppress(BlockingIOError):
            self._answer.recv(1)
            return False
        return True

    def has_grown(self) -> bool:
        """Whether it holds more than one that waits should."""
        return resident_bytes(self._pid) > KEPT_BYTES

    def idle(self) -> None:
        """Wait for the next file, for a while."""
        self._timer = self.loop.call_later(IDLE_SECONDS, self._expire)

    def wake(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Kill it."""
        self.wake()
        self._closing.close()

    def _expire(self) -> None:
        _idle.remove(self)
        self.close()

    def _watch_memory(self) -> None:
        if resident_bytes(self._pid) > self._memory_bytes:
            self._line.shutdown(socket.SHUT_WR)  # the server, which collects it, kills it
            return
        self._timer = self.loop.call_later(WATCH_SECONDS, self._watch_memory)


async def _begin(owner: UUID, memory_bytes: int) -> _Kept:
    child = _Kept(owner, memory_bytes)
    try:
        await child.begin()
    except BaseException:
        child.close()
        raise
    return child


def _take(owner: UUID) -> _Kept | None:
    """One that waits for a file of this creator."""
    loop = asyncio.get_running_loop()
    for child in [child for child in reversed(_idle) if child.owner == owner]:
        _idle.remove(child)
        if child.loop is loop and child.is_quiet():
            child.wake()
            return child
        child.close()
    return None


def _keep(child: _Kept) -> None:
    if child.files >= MOST_FILES or child.has_grown():
        child.close()
        return
    child.idle()
    _idle.append(child)
    if len(_idle) > MOST_IDLE:
        _idle.pop(0).close()


def _small(path: Path) -> bytes | None:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    return content if len(content) <= MOST_BYTES else None
