"""The worker's side of extraction: have a child read the file, watch its clock, judge how it ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from apps.knowledge.extraction import ocr
from apps.knowledge.extraction.failures import FAILURES, ExtractionFailed
from apps.knowledge.extraction.processes import run_child
from apps.knowledge.extraction.sections import Section
from shared.config.env_constants import get_env_value

# Text beyond this is no document a person wrote, and would be held in the worker's own memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_PAGES = 10_000_000
# What the database takes of a heading and of a number.
_LONGEST_HEADING = 200
_LARGEST_NUMBER = 2**31 - 1

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
    """Read a file in a child process of its own, bounded in time and memory and cut off from network and other files.

    It gets `seconds` to start with and more for every page it reads (EXTRACTION_SECONDS_PER_PAGE), up to a ceiling
    (EXTRACTION_MOST_SECONDS). A PDF of pictures goes through text recognition where Tesseract is installed; then
    `progress` counts from its first page again. Raises `ExtractionFailed`. Cancelling this kills the child and
    everything it started.
    """
    most = max(seconds, get_env_value("EXTRACTION_MOST_SECONDS", fallback=True))
    tell = progress or (lambda done, total: None)
    try:
        async with asyncio.timeout(most):
            try:
                return await _read(path, media_type, seconds, most, memory_bytes, tell)
            except ExtractionFailed as failed:
                if failed.failure.code != "image_only" or not ocr.is_possible(media_type):
                    raise
            sections = await ocr.recognise(path, memory_bytes=memory_bytes, progress=tell)
            return Extracted(sections, await ocr.language_of(sections, memory_bytes=memory_bytes))
    except TimeoutError:
        raise ExtractionFailed("too_slow") from None


async def _read(
    path: Path, media_type: str, seconds: float, most: float, memory_bytes: int, tell: Progress
) -> Extracted:
    per_page = get_env_value("EXTRACTION_SECONDS_PER_PAGE", fallback=True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds) as clock:

        def turned(done: int, total: int) -> None:
            clock.reschedule(began + min(seconds + per_page * done, most))
            tell(done, total)

        answer = _Document(turned)
        job = {"do": "read", "path": str(path), "media_type": media_type, "seconds": most}
        await run_child(job, memory_bytes=memory_bytes, answer=answer)
    return answer.extracted()


class _Document:
    """What a child says of a file, line by line. It may have been taken over, so nothing is believed blindly."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.begin()

    def begin(self) -> None:
        self._sections: list[Section] = []
        self._language: str | None = None
        self._rest, self._size, self._done = bytearray(), 0, 0

    def hear(self, block: bytes) -> None:
        self._size += len(block)
        if self._size > MAX_ANSWER_BYTES:
            raise ExtractionFailed("too_big")
        whole, newline, rest = block.rpartition(b"\n")
        self._rest += whole
        if not newline:
            self._rest += rest
            return
        lines, self._rest = self._rest.split(b"\n"), bytearray(rest)
        for line in lines:
            try:
                self._take(**orjson.loads(line))
            except (TypeError, ValueError):
                raise ExtractionFailed("corrupt") from None

    def _take(self, **said: Any) -> None:
        match said:
            case {"progress": [int(done), int(total)]} if self._done < done <= total <= MAX_PAGES:
                self._done = done
                self._progress(done, total)
            case {"section": [str(text), int() | None as page, str(heading), int() | None as seconds]} if (
                "\0" not in text + heading
                and len(heading) <= _LONGEST_HEADING
                and all(0 <= (number or 0) <= _LARGEST_NUMBER for number in (page, seconds))
            ):
                self._sections.append(Section(text, page, heading, seconds))
            case {"language": str(language)}:
                self._language = language[:2]
            case {"failure": str(code)} if code in FAILURES:
                raise ExtractionFailed(code)
            case {"progress": [int(), int()]}:
                return
            case _:
                raise ValueError

    def extracted(self) -> Extracted:
        """The document, once the child has ended well. One that said less than everything has told of damage."""
        if self._language is None or not self._sections:
            raise ExtractionFailed("corrupt")
        return Extracted(self._sections, self._language)
