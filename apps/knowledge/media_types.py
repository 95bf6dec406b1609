"""What a file is, decided by its content. Its name decides only where the content fits more than one type."""

import re
import zipfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO

from apps.knowledge.extraction.archives import directory_bytes

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
EPUB = "application/epub+zip"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
EML = "message/rfc822"
SRT = "application/x-subrip"
VTT = "text/vtt"

# The usual name's end first.
SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        PDF: (".pdf",),
        DOCX: (".docx",),
        PPTX: (".pptx",),
        XLSX: (".xlsx",),
        HTML: (".html", ".htm", ".xhtml"),
        EPUB: (".epub",),
        MARKDOWN: (".md", ".markdown"),
        TEXT: (".txt",),
        EML: (".eml",),
        SRT: (".srt",),
        VTT: (".vtt",),
    }
)
SUPPORTED = tuple(SUFFIXES)
# For the `accept` of a file field.
ACCEPT = ",".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)

# Recognised, to be unpacked or refused for the right reason.
ZIP = "application/zip"
EMPTY = "application/x-empty"
ENCRYPTED_OFFICE = "application/vnd.ms-office.encrypted"
UNKNOWN = "application/octet-stream"

_PLACES = {PDF: "page", PPTX: "slide", XLSX: "sheet", EPUB: "chapter"}

_HEAD_BYTES = 64 * 1024
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY_MAGIC = (b"{\\rtf", b"%!PS", b"\x7fELF", b"MZ", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"Rar!")
# A stranger chooses the text, so nothing here may be read in two ways: possessive, and no repeat inside a repeat that
# could share its characters. `<!---->` forty times over would otherwise keep a process busy for ever.
_HTML_START = re.compile(
    r"\s*+(?:<\?xml[^>]*>\s*+)?(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_HTML_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_MOST_CENTRAL_DIRECTORY_BYTES = 1024 * 1024
_OFFICE_PARTS = (
    (DOCX, re.compile(r"word/document\d*\.xml")),
    (PPTX, re.compile(r"ppt/presentation\d*\.xml")),
    (XLSX, re.compile(r"xl/workbook\d*\.xml")),
)
# The parts that say a zip is some other program's own format: OpenDocument, iWork, Java, Android.
_OTHERS_PARTS = frozenset(
    ("META-INF/manifest.xml", "Index/Document.iwa", "META-INF/MANIFEST.MF", "AndroidManifest.xml")
)
_SRT_START = re.compile(r"\s*+(?:\d++\s*+)?\d++:\d\d?:\d\d?[,.]\d++[ \t]*+-->[ \t]*+\d++:\d\d?:\d\d?[,.]\d")
_VTT_START = re.compile(r"WEBVTT(?=[ \t\r\n]|\Z)")
_MAIL_HEADER = re.compile(r"([!-9;-~]++):")
# Every mail has the first; what a mail program or a server adds tells a mail from a text that looks like one.
_MAIL_WRITTEN = frozenset(("from", "date"))
_MAIL_SENT = frozenset(("message-id", "mime-version", "received", "return-path", "delivered-to", "dkim-signature"))
_MAIL_NAMED = frozenset(("from", "to", "subject", "date", "received", "message-id", "return-path"))
# Bytes that no text in a one-byte encoding holds: C0 controls other than tab, line ends, form feed, escape.
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def detect_media_type(file: IO[bytes], name: str) -> str:
    """The media type of a seekable binary file, `UNKNOWN` when it is none the hub can read.

    Leaves the position at the start.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    try:
        return _detect(head, file, name.lower())
    finally:
        file.seek(0)


def place_kind(media_type: str) -> str:
    """What `Section.page` counts: "page", "slide", "sheet" or "chapter"; "" where the format has none of them."""
    return _PLACES.get(media_type, "")


def _detect(head: bytes, file: IO[bytes], name: str) -> str:
    if not head:
        return EMPTY
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _detect_in_zip(file, name)
    if head.startswith(_OLE_MAGIC):
        return _detect_in_ole(file)
    if head.startswith(_BINARY_MAGIC):
        return UNKNOWN
    encoding = text_encoding(head)
    if encoding is None:
        bare = without_controls(head).decode("latin-1")
        return HTML if b"\x00" not in head and _HTML_START.match(bare) else UNKNOWN
    text = head.decode(encoding, "ignore").lstrip("\ufeff")
    if not text.strip():
        return EMPTY if len(head) < _HEAD_BYTES else TEXT
    return _detect_in_text(text, name)


def _detect_in_text(text: str, name: str) -> str:
    if _VTT_START.match(text):
        return VTT
    if _SRT_START.match(text):
        return SRT
    if _HTML_START.match(text) or (name.endswith(SUFFIXES[HTML]) and _HTML_TAG.search(text)):
        return HTML
    if _is_mail(text, name):
        return EML
    return MARKDOWN if name.endswith(SUFFIXES[MARKDOWN]) else TEXT


def _is_mail(text: str, name: str) -> bool:
    """Whether a text begins as RFC 5322 has it: nothing but headers, among them those that every mail has."""
    found: set[str] = set()
    for line in text.splitlines():
        if line.startswith((" ", "\t")) and found:
            continue
        header = _MAIL_HEADER.match(line)
        if not header:
            if line:
                return False
            break
        found.add(header[1].lower())
    if name.endswith(SUFFIXES[EML]):
        return len(found & _MAIL_NAMED) > 1
    return found >= _MAIL_WRITTEN and bool(found & _MAIL_SENT)


def _detect_in_zip(file: IO[bytes], name: str) -> str:
    try:
        if directory_bytes(file) > _MOST_CENTRAL_DIRECTORY_BYTES:
            return ZIP if name.endswith(".zip") else UNKNOWN
        with zipfile.ZipFile(file) as archive:
            return _type_of_zip(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        # A cut-off Word file still deserves "damaged", not "not a Word file".
        named = {SUFFIXES[kind][0]: kind for kind in (DOCX, PPTX, XLSX, EPUB)} | {".zip": ZIP}
        return next((kind for suffix, kind in named.items() if name.endswith(suffix)), UNKNOWN)


def _type_of_zip(archive: zipfile.ZipFile) -> str:
    names = frozenset(archive.namelist())
    if "[Content_Types].xml" in names:
        found = (kind for kind, part in _OFFICE_PARTS if any(part.fullmatch(name) for name in names))
        return next(found, UNKNOWN)
    if "META-INF/container.xml" in names and any(name.lower().endswith(".opf") for name in names):
        return EPUB
    return UNKNOWN if names & _OTHERS_PARTS else ZIP


def _detect_in_ole(file: IO[bytes]) -> str:
    """Word wraps a file with a password in the old container; an old .doc has the same first bytes."""
    marker, overlap = "EncryptedPackage".encode("utf-16-le"), b""
    file.seek(0)
    while block := file.read(1024 * 1024):
        if marker in overlap + block:
            return ENCRYPTED_OFFICE
        overlap = block[-len(marker) :]
    return UNKNOWN


def text_encoding(head: bytes) -> str | None:
    """The encoding of a text that begins with `head`; None when this is no text.

    A byte-order mark decides; then UTF-16 by where its zero bytes stand; then UTF-8; then Windows-1252, which
    covers Latin-1's printable part. Anything with a zero byte or other control bytes left is not text.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return encoding if _decodes(head, encoding) else None
    if b"\x00" in head:
        return _utf16_without_mark(head)
    if _CONTROLS.search(head):
        return None
    return "utf-8" if _decodes(head, "utf-8") else "cp1252"


def without_controls(content: bytes) -> bytes:
    """A text without the control bytes that no text has: LibreOffice leaves those of form fields in its HTML."""
    return _CONTROLS.sub(b"", content)


def _utf16_without_mark(head: bytes) -> str | None:
    even, odd, pairs = head[0::2].count(0), head[1::2].count(0), len(head) // 2
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > pairs * 0.7 and others == 0 and _decodes(head, encoding):
            text = head.decode(encoding, "ignore")
            return None if _CONTROLS.search(text.encode("utf-8")) else encoding
    return None


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        head.decode(encoding)
    except UnicodeDecodeError as error:
        # The head may end inside a character.
        return error.start >= len(head) - 4 and len(head) >= _HEAD_BYTES
    return True
