"""One reader per format, run inside the child. Each turns a file into sections or raises `ExtractionFailed`.

A reader takes the file's path and a function to tell how many pages, slides, sheets or chapters it has read, and how
many there are. Libraries that only one of them needs are loaded when it runs: the child must start fast.
"""

from collections.abc import Callable
from pathlib import Path

from apps.knowledge import media_types
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.epub import read_epub
from apps.knowledge.extraction.formats.html import read_html
from apps.knowledge.extraction.formats.mail import read_eml
from apps.knowledge.extraction.formats.pdf import read_pdf
from apps.knowledge.extraction.formats.plain import read_markdown, read_text
from apps.knowledge.extraction.formats.sheets import read_xlsx
from apps.knowledge.extraction.formats.slides import read_pptx
from apps.knowledge.extraction.formats.subtitles import read_subtitles
from apps.knowledge.extraction.formats.word import read_docx
from apps.knowledge.extraction.sections import Section

type Report = Callable[[int, int], None]

_READERS: dict[str, Callable[[Path, Report], list[Section]]] = {
    media_types.PDF: read_pdf,
    media_types.DOCX: read_docx,
    media_types.PPTX: read_pptx,
    media_types.XLSX: read_xlsx,
    media_types.HTML: read_html,
    media_types.EPUB: read_epub,
    media_types.EML: read_eml,
    media_types.SRT: read_subtitles,
    media_types.VTT: read_subtitles,
    media_types.MARKDOWN: read_markdown,
    media_types.TEXT: read_text,
}
_REFUSED = {media_types.ENCRYPTED_OFFICE: "password_protected", media_types.EMPTY: "empty"}


def read_sections(path: Path, media_type: str, *, report: Report = lambda done, total: None) -> list[Section]:
    """The text of a file as sections, in order; never an empty list. Raises `ExtractionFailed`.

    `report` is called with pages done and pages in all while formats that have pages are read.
    """
    reader = _READERS.get(media_type)
    if reader is None:
        raise ExtractionFailed(_REFUSED.get(media_type, "unsupported_type"))
    return reader(path, report)
