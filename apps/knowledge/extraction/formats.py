"""One reader per format, run inside the child. Each turns a file into sections or raises `ExtractionFailed`."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from apps.knowledge import media_types
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section, markdown_sections, normalise, reflow

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_NOTE_DEFINITION = re.compile(r"^\[\^[^\]\s]+\]:.*(?:\n[ \t]+\S.*)*", re.M)
_HEAD = re.compile(r"<head\b.*?</head\s*>", re.I | re.S)
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.I)
_MAX_MARKUP_PART = 64 * 1024 * 1024


def read_sections(path: Path, media_type: str) -> list[Section]:
    """The text of a file as sections, in order. Raises `ExtractionFailed` when there is none."""
    if media_type == media_types.ENCRYPTED_OFFICE:
        raise ExtractionFailed("password_protected")
    if media_type == media_types.EMPTY:
        raise ExtractionFailed("empty")
    reader = _READERS.get(media_type)
    if reader is None:
        raise ExtractionFailed("unsupported_type")
    return reader(path)


def read_pdf(path: Path) -> list[Section]:
    """A section per page that has text."""
    from kreuzberg import ExtractionConfig, PageConfig, extract_file_sync

    config = ExtractionConfig(use_cache=False, pages=PageConfig(extract_pages=True))
    try:
        result = extract_file_sync(path, mime_type=media_types.PDF, config=config)
    except Exception as error:  # the library's own classes differ by cause only in their text
        raise ExtractionFailed(_reason(error)) from error
    pages = [(page["page_number"], reflow(normalise(page["content"]))) for page in result.pages or []]
    sections = [Section(text, page=number) for number, text in pages if text.strip()]
    if not sections:
        raise ExtractionFailed("image_only")
    return sections


def read_docx(path: Path) -> list[Section]:
    """A section per heading; foot- and endnotes follow at the end, where Word keeps them too."""
    notes, has_pictures = _read_parts(path)
    markdown = _to_markdown(path.read_bytes(), media_types.DOCX)
    sections = markdown_sections(_NOTE_DEFINITION.sub("", markdown))
    if notes:
        sections.append(Section("\n\n".join(notes)))
    return _not_empty(sections, "image_only" if has_pictures else "empty")


def read_html(path: Path) -> list[Section]:
    """A section per heading. Scripts, styles and what the browser hides are left out."""
    content = path.read_bytes()
    declared = _META_CHARSET.search(content[:2048])
    html = _decode(content, declared[1].decode() if declared else None)
    # Its title and its descriptions would come back as text of the page.
    markdown = _to_markdown(_HEAD.sub("", html, count=1).encode(), media_types.HTML)
    return _not_empty(markdown_sections(re.sub(r"\A---\n\n(?:.*\n)?## title:.*\n", "", markdown)), "empty")


def read_markdown(path: Path) -> list[Section]:
    """A section per heading."""
    return _not_empty(markdown_sections(normalise(_decode(path.read_bytes()))), "empty")


def read_text(path: Path) -> list[Section]:
    """One section."""
    text = normalise(_decode(path.read_bytes()))
    return _not_empty([Section(text)] if text.strip() else [], "empty")


_READERS: dict[str, Callable[[Path], list[Section]]] = {
    media_types.PDF: read_pdf,
    media_types.DOCX: read_docx,
    media_types.HTML: read_html,
    media_types.MARKDOWN: read_markdown,
    media_types.TEXT: read_text,
}


def _not_empty(sections: list[Section], otherwise: str) -> list[Section]:
    if not any(section.text.strip() for section in sections):
        raise ExtractionFailed(otherwise)
    return sections


def _to_markdown(content: bytes, media_type: str) -> str:
    from kreuzberg import ExtractionConfig, extract_bytes_sync

    config = ExtractionConfig(use_cache=False, output_format="markdown")
    try:
        return extract_bytes_sync(content, mime_type=media_type, config=config).content
    except Exception as error:
        raise ExtractionFailed(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Told by text, because the library raises one class for a password and for damage."""
    said = str(error).lower()
    return "password_protected" if "password" in said or "encrypt" in said else "corrupt"


def _decode(content: bytes, declared: str | None = None) -> str:
    encoding = media_types.text_encoding(content)
    if encoding is None:
        raise ExtractionFailed("corrupt")
    if declared and encoding == "cp1252":
        try:
            return content.decode(declared)
        except (LookupError, UnicodeDecodeError):
            pass
    return content.decode(encoding, "replace")


def _read_parts(path: Path) -> tuple[list[str], bool]:
    """The notes of a Word file, and whether it has pictures.

    Read here because kreuzberg 4.10 takes the notes numbered 0 and 1 for separators and drops them, while Word
    numbers its first real note 1.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            notes: list[str] = []
            for part in ("word/footnotes.xml", "word/endnotes.xml"):
                if part in names and archive.getinfo(part).file_size <= _MAX_MARKUP_PART:
                    notes += _notes(archive.read(part))
            return notes, any(name.startswith("word/media/") for name in names)
    except (zipfile.BadZipFile, ET.ParseError, OSError, RuntimeError, NotImplementedError) as error:
        # An encrypted member raises RuntimeError; no Word version writes one.
        raise ExtractionFailed("corrupt") from error


def _notes(xml: bytes) -> list[str]:
    root = ET.fromstring(xml)
    notes = [note for note in root if note.get(f"{_WORD}type") in (None, "normal")]
    texts = ["\n".join(_paragraph(p) for p in note.iter(f"{_WORD}p")) for note in notes]
    return [text for text in (normalise(text).strip() for text in texts) if text]


def _paragraph(paragraph: ET.Element) -> str:
    breaks = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
    return "".join(
        node.text or "" if node.tag == f"{_WORD}t" else breaks.get(node.tag, "") for node in paragraph.iter()
    )
