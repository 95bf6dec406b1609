"""One reader per format, run inside the child. Each turns a file into sections or raises `ExtractionFailed`.

A reader is called with the file and a function to tell how many pages, slides, sheets or chapters it has read,
and how many there are.
"""

from collections.abc import Callable
from importlib import import_module

from apps.knowledge import media_types
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section
from apps.knowledge.extraction.source import Source

type Report = Callable[[int, int], None]

# By name, and loaded when needed: the child reads one file, and should start fast.
_READERS = {
    media_types.PDF: ("pdf", "read_pdf"),
    media_types.DOCX: ("word", "read_docx"),
    media_types.PPTX: ("slides", "read_pptx"),
    media_types.XLSX: ("sheets", "read_xlsx"),
    media_types.HTML: ("html", "read_html"),
    media_types.EPUB: ("epub", "read_epub"),
    media_types.EML: ("mail", "read_eml"),
    media_types.SRT: ("subtitles", "read_subtitles"),
    media_types.VTT: ("subtitles", "read_subtitles"),
    media_types.MARKDOWN: ("plain", "read_markdown"),
    media_types.TEXT: ("plain", "read_text"),
}
# What readers import at their first file.
_LIBRARIES = ("pypdfium2", "pypdfium2.raw", "selectolax.lexbor", "gcld3")
_REFUSED = {media_types.ENCRYPTED_OFFICE: "password_protected", media_types.EMPTY: "empty"}


def load_readers() -> None:
    """Import every reader and what they need, for a process that others are forked from."""
    for name in (*(f"{__name__}.{module}" for module, _ in _READERS.values()), *_LIBRARIES):
        import_module(name)


def read_sections(source: Source, media_type: str, *, report: Report = lambda done, total: None) -> list[Section]:
    """The text of a file as sections, in order; never an empty list. Raises `ExtractionFailed`.

    `report` is called with pages done and pages in all while formats that have pages are read.
    """
    if media_type not in _READERS:
        raise ExtractionFailed(_REFUSED.get(media_type, "unsupported_type"))
    module, name = _READERS[media_type]
    read: Callable[[Source, Report], list[Section]] = getattr(import_module(f"{__name__}.{module}"), name)
    return read(source, report)
