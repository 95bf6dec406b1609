"""The worker's side of extraction: start the child, watch its clock and memory, judge how it ended."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section
from shared.config.env_constants import bare_environment

_ROOT = Path(__file__).resolve().parents[3]
_WATCH_SECONDS = 0.05
_BURIAL_SECONDS = 2.0
# Text beyond this is no document a person wrote, and would be held in the worker's own memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


# Called on the event loop with how many pages have been read, and how many there are.
type Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a document, in reading order. `language` is its ISO 639-1 code, "" where that cannot be told."""

    sections: list[Section]
    language: str = ""

    @property
    def page_count(self) -> int | None:
        """The last page that has text; None for formats without pages."""
        return max((section.page for section in self.sections if section.page), default=None)


async def extract(
    path: Path, media_type: str, *, seconds: int, memory_bytes: int, progress: Progress | None = None
) -> Extracted:
    """Read a file in a child process of its own, bounded in time and memory and cut off from the network.

    Raises `ExtractionFailed`. Cancelling this kills the child and everything it started.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "apps.knowledge.extraction.child",
        *(str(path), media_type, str(seconds), str(memory_bytes), str(os.getpid())),
        cwd=_ROOT,
        # The hub's secrets are in its environment; a file that takes the child over should find none.
        env=bare_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    watch = asyncio.create_task(_watch_memory(child.pid, memory_bytes))
    readers = [asyncio.create_task(_read(child.stdout)), asyncio.create_task(_read(child.stderr, keep=8192))]
    try:
        async with asyncio.timeout(seconds):
            answer, errors = await asyncio.gather(*readers)
            status = await child.wait()
    except TimeoutError:
        raise ExtractionFailed("too_slow") from None
    finally:
        outgrown = watch.done()
        watch.cancel()
        _kill(child)
        await _bury(child, readers)
    return _judge(status, answer, errors, outgrown=outgrown)


async def _bury(child: asyncio.subprocess.Process, readers: list[asyncio.Task[bytes]]) -> None:
    """Collect a killed child. asyncio does so only once its pipes are empty, and waits for whoever holds them."""
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(_BURIAL_SECONDS):
            await asyncio.gather(_read(child.stdout, keep=0), _read(child.stderr, keep=0))
            await child.wait()


def _judge(status: int, answer: bytes, errors: bytes, *, outgrown: bool) -> Extracted:
    if outgrown or b"memory allocation of" in errors or b"MemoryError" in errors or b"bad_alloc" in errors:
        raise ExtractionFailed("too_big")
    if status == -signal.SIGXCPU:
        raise ExtractionFailed("too_slow")
    if status != 0:
        # A reader that crashes on a file has met a file that no reader should have to open.
        raise ExtractionFailed("corrupt")
    said = json.loads(answer)
    if "failure" in said:
        raise ExtractionFailed(said["failure"])
    return Extracted([Section(*fields) for fields in said["sections"]], said["language"])


async def _read(stream: asyncio.StreamReader | None, *, keep: int = MAX_ANSWER_BYTES) -> bytes:
    """Everything a stream says. Standard output beyond its limit ends the matter; errors are only cut off."""
    assert stream is not None
    parts, size = [], 0
    while part := await stream.read(1 << 16):
        size += len(part)
        if size <= keep:
            parts.append(part)
        elif keep == MAX_ANSWER_BYTES:
            raise ExtractionFailed("too_big")
    return b"".join(parts)


async def _watch_memory(pid: int, limit: int) -> None:
    """Return, having killed the child, once it holds more than `limit` bytes; wait for ever otherwise."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        if _resident_bytes(pid) > limit:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            return


def _resident_bytes(pid: int) -> int:
    """0 for a process that is gone, and on a system without /proc, where the child's own limit has to do."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _kill(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
