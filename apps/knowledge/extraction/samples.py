"""Small documents of the hub's own, read once by the server: what a reader does only at its first file is then done.

A Word file costs a child 4 ms instead of 14, and a page of PDF looks no more for the system's fonts.
"""

import zipfile
from collections.abc import Callable
from io import BytesIO

from apps.knowledge import media_types

_WORDS = "Whatever is loaded at the first use of a reader is in memory then, for every child that comes after."
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
    "</Relationships>"
)
_BODY = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
    f"{_WORDS}</w:t></w:r></w:p></w:body></w:document>"
)
_SHOWN = f"BT /F1 12 Tf 72 720 Td ({_WORDS}) Tj ET"
_PDF = (
    "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
    "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>\n"
    "endobj\n"
    f"4 0 obj\n<</Length {len(_SHOWN)}>>\nstream\n{_SHOWN}\nendstream\nendobj\n"
    "5 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF"
)
_PLAIN = {
    media_types.PDF: _PDF,
    media_types.HTML: f"<html><body><h1>A</h1><p>{_WORDS}</p></body></html>",
    media_types.MARKDOWN: f"# A\n\n{_WORDS}",
    media_types.TEXT: _WORDS,
}


def read_samples(read: Callable[[bytes, str], None]) -> None:
    """Have one document of each kind of reader read."""
    for media_type, content in _PLAIN.items():
        read(content.encode(), media_type)
    word = BytesIO()
    with zipfile.ZipFile(word, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("_rels/.rels", _RELATIONS)
        package.writestr("word/document.xml", _BODY)
    read(word.getvalue(), media_types.DOCX)
