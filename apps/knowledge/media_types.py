"""What a file is, decided by its content. Its name only tells Markdown from other plain text."""

import re
import zipfile
from typing import IO

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
SUPPORTED = (PDF, DOCX, HTML, MARKDOWN, TEXT)

# Recognised so that the reason of the refusal can be the right one.
EMPTY = "application/x-empty"
ENCRYPTED_OFFICE = "application/vnd.ms-office.encrypted"
UNKNOWN = "application/octet-stream"

_HEAD_BYTES = 64 * 1024
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY_MAGIC = (b"{\\rtf", b"%!PS", b"\x7fELF", b"MZ", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"Rar!")
# A stranger chooses the text, so nothing here may be read in two ways: possessive, and no repeat inside a repeat that
# could share its characters. `<!---->` forty times over would otherwise keep a process busy for ever.
_HTML_START = re.compile(
    r"\s*+(?:<\?xml[^>]*>\s*+)?(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_HTML_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
# A Word file has some dozens of entries. Listing a million of them takes half a minute of the web server's time.
_MOST_CENTRAL_DIRECTORY_BYTES = 1024 * 1024
_MARKDOWN_NAMES = (".md", ".markdown")
_HTML_NAMES = (".html", ".htm", ".xhtml")
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


def _detect(head: bytes, file: IO[bytes], name: str) -> str:
    if not head:
        return EMPTY
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return _detect_in_zip(file, name)
    if head.startswith(_OLE_MAGIC):
        return _detect_in_ole(file)
    if head.startswith(_BINARY_MAGIC):
        return UNKNOWN
    encoding = text_encoding(head)
    if encoding is None:
        return UNKNOWN
    text = head.decode(encoding, "ignore").lstrip("\ufeff")
    if not text.strip():
        return EMPTY if len(head) < _HEAD_BYTES else TEXT
    if _HTML_START.match(text) or (name.endswith(_HTML_NAMES) and _HTML_TAG.search(text)):
        return HTML
    return MARKDOWN if name.endswith(_MARKDOWN_NAMES) else TEXT


def _detect_in_zip(file: IO[bytes], name: str) -> str:
    try:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # the same reading as ZipFile's own
        if end is not None and end[zipfile._ECD_SIZE] > _MOST_CENTRAL_DIRECTORY_BYTES:  # type: ignore[attr-defined]
            return UNKNOWN
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        # A cut-off Word file still deserves "damaged", not "not a Word file".
        return DOCX if name.endswith(".docx") else UNKNOWN
    return DOCX if {"[Content_Types].xml", "word/document.xml"} <= names else UNKNOWN


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
