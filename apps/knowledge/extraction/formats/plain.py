"""Plain text and Markdown, in any common encoding."""

from collections.abc import Callable

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section, markdown_sections, normalise
from apps.knowledge.extraction.source import Source, whole
from apps.knowledge.media_types import text_encoding


def read_text(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """One section."""
    text = normalise(decode(whole(source)))
    if not text.strip():
        raise ExtractionFailed("empty")
    return [Section(text)]


def read_markdown(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """A section per heading."""
    sections = markdown_sections(normalise(decode(whole(source))))
    if not sections:
        raise ExtractionFailed("empty")
    return sections


def decode(content: bytes, declared: str | None = None) -> str:
    """Text whatever its encoding; `declared` is what the file says of itself, believed where its bytes allow it."""
    encoding = text_encoding(content)
    if encoding is None:
        raise ExtractionFailed("corrupt")
    if declared and encoding == "cp1252":
        try:
            return content.decode(declared)
        except (LookupError, UnicodeDecodeError):
            pass
    return content.decode(encoding, "replace")
