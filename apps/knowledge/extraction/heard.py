"""What a child says of a file, checked line by line: it may have been taken over, so nothing is believed blindly."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from apps.knowledge.extraction.failures import FAILURES, ExtractionFailed
from apps.knowledge.extraction.sections import Section

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


class Heard:
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

    @property
    def complete(self) -> bool:
        """Whether everything was said. Nothing may follow."""
        return self._language is not None

    def _take(self, **said: Any) -> None:
        match said:
            case _ if self.complete:
                raise ValueError
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
