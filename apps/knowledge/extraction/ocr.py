"""Text recognition (OCR) for PDFs of pictures, with Tesseract where it is installed.

A child draws some pages, in the sandbox, and for each page another one becomes Tesseract: without network, other files
or the hub's environment, as bounded and as surely killed as every other reader. The pictures pass through memory, a
few at a time, and never through a file.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson

from apps.knowledge import media_types
from apps.knowledge.extraction.child import DOTS_PER_INCH, MAX_PIXELS
from apps.knowledge.extraction.failures import FAILURES, ExtractionFailed
from apps.knowledge.extraction.processes import run_child
from apps.knowledge.extraction.sections import Section, normalise, reflow
from shared.config.env_constants import get_env_value

# Pictures in the worker's memory at a time.
_BATCH = 4
_MAX_HEADER_BYTES = 200
_MAX_PAGE_TEXT_BYTES = 1024 * 1024
# Characters: a language shows in far fewer.
_ENOUGH_TO_TELL = 100_000


def is_possible(media_type: str) -> bool:
    """Whether files of this type can be recognised on this machine."""
    return media_type == media_types.PDF and shutil.which("tesseract") is not None


async def recognise(path: Path, *, memory_bytes: int, progress: Callable[[int, int], None]) -> list[Section]:
    """The text in the pictures of a PDF, a section per page that has any; calls `progress` page by page.

    Raises `ExtractionFailed`: `ocr_too_long`, `ocr_empty` or how a child failed; and `TimeoutError` when a page takes
    longer than OCR_SECONDS_PER_PAGE.
    """
    tesseract = Tesseract(memory_bytes)
    await tesseract.find_languages()
    sections: list[Section] = []
    number, total = 0, 1
    while number < total:
        pictures, total = await _draw(path, number, memory_bytes)
        if total > get_env_value("OCR_MOST_PAGES", fallback=True):
            raise ExtractionFailed("ocr_too_long")
        for picture in pictures:
            number += 1
            text = await tesseract.read(picture)
            progress(number, total)
            if text.strip():
                sections.append(Section(text, page=number))
    if not sections:
        raise ExtractionFailed("ocr_empty")
    return sections


async def language_of(sections: list[Section], *, memory_bytes: int) -> str:
    """ISO 639-1 code of the language of recognised text, told in a child too: a stranger wrote it."""
    seconds = _seconds_per_page()
    answer = _Bytes(_MAX_HEADER_BYTES)
    text = "\n".join(section.text for section in sections)[:_ENOUGH_TO_TELL]
    async with asyncio.timeout(seconds):
        job = {"do": "tell", "seconds": seconds}
        await run_child(job, memory_bytes=memory_bytes, answer=answer, given=text.encode("utf-8", "replace"))
    try:
        return str(orjson.loads(answer.content)["language"])[:2]
    except (KeyError, TypeError, ValueError):
        raise ExtractionFailed("corrupt") from None


class Tesseract:
    """The program, each time in a process of its own."""

    def __init__(self, memory_bytes: int) -> None:
        self._program = shutil.which("tesseract") or ""
        self._memory_bytes = memory_bytes
        self._languages = ""

    async def find_languages(self) -> None:
        """Of the languages that the operator wants, those that are installed; else whatever is."""
        said = await self._run("--list-langs")
        installed = said.split("\n")[1:]  # after a title
        wanted = [code for code in get_env_value("OCR_LANGUAGES", fallback=True) if code in installed]
        self._languages = "+".join(wanted or [code for code in installed if code not in ("", "osd")][:1])

    async def read(self, picture: bytes) -> str:
        """The text in a picture: lines that its margin broke are joined again."""
        arguments = ("stdin", "stdout", "--dpi", str(DOTS_PER_INCH), "-l", self._languages)
        return reflow(normalise(await self._run(*arguments, given=picture)))

    async def _run(self, *arguments: str, given: bytes = b"") -> str:
        seconds = _seconds_per_page()
        answer = _Bytes(_MAX_PAGE_TEXT_BYTES)
        job = {"do": "recognise", "arguments": [self._program, *arguments], "seconds": seconds}
        async with asyncio.timeout(seconds):
            await run_child(job, memory_bytes=self._memory_bytes, answer=answer, given=given)
        return answer.content.decode("utf-8", "replace")


async def _draw(path: Path, first: int, memory_bytes: int) -> tuple[list[bytes], int]:
    """Some pages from the `first` (which is 0) on as pictures, at least one, and how many pages there are."""
    seconds = _seconds_per_page() * _BATCH
    answer = _Bytes(_BATCH * (MAX_PIXELS + _MAX_HEADER_BYTES))
    job = {"do": "draw", "path": str(path), "first": first, "count": _BATCH, "seconds": seconds}
    async with asyncio.timeout(seconds):
        await run_child(job, memory_bytes=memory_bytes, answer=answer)
    # It drew a stranger's file and may have been taken over.
    try:
        return _pictures(answer.content, first)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ExtractionFailed("corrupt") from None


def _pictures(content: bytearray, first: int) -> tuple[list[bytes], int]:
    pictures: list[bytes] = []
    place = total = 0
    while place < len(content):
        end = content.index(b"\n", place)
        said = orjson.loads(content[place:end])
        if said.get("failure") in FAILURES:
            raise ExtractionFailed(said["failure"])
        page, total, size = map(int, said["picture"])
        place = end + 1 + size
        if page != first + len(pictures) + 1 or not 0 < size <= len(content) - end - 1:
            raise ValueError
        pictures.append(bytes(content[end + 1 : place]))
    if not pictures:
        raise ValueError
    return pictures, total


def _seconds_per_page() -> int:
    seconds: int = get_env_value("OCR_SECONDS_PER_PAGE", fallback=True)
    return seconds


class _Bytes:
    """An answer of at most `limit` bytes, kept whole."""

    def __init__(self, limit: int) -> None:
        self.limit, self.content = limit, bytearray()

    def begin(self) -> None:
        self.content = bytearray()

    def hear(self, block: bytes) -> None:
        self.content += block
        if len(self.content) > self.limit:
            raise ExtractionFailed("too_big")
