"""Small documents, made here: nothing of a stranger's is committed."""

import io
import zipfile
from collections.abc import Callable
from urllib.parse import quote
from xml.sax.saxutils import escape

_OFFICE = "http://schemas.openxmlformats.org"
_LINKS = f'xmlns:r="{_OFFICE}/officeDocument/2006/relationships"'
WORD = f'xmlns:w="{_OFFICE}/wordprocessingml/2006/main" {_LINKS}'
_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)


def relations_xml(*relations: tuple[str, str]) -> str:
    """What a part points to: kind and target, with the ids rId1, rId2 and so on."""
    lines = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(relations, start=1)
    )
    return f'<Relationships xmlns="{_OFFICE}/package/2006/relationships">{lines}</Relationships>'


def pdf(*pages: str, extra_trailer: str = "") -> bytes:
    """A PDF with one line of text per line of each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    font = len(pages) * 2 + 3
    kids = []
    for number, text in enumerate(pages):
        page, content = 3 + number * 2, 4 + number * 2
        kids.append(f"{page} 0 R")
        shown = " ".join(f"({_pdf_string(line)}) Tj T*" for line in text.split("\n"))
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R {extra_trailer} >>"
    return (
        out
        + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}\nstartxref\n{len(out)}\n%%EOF".encode()
    )


def locked_pdf() -> bytes:
    """A PDF whose password nobody has."""
    key = "<" + "AB" * 32 + ">"
    encrypt = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >> /ID [<00> <00>]"
    return pdf("secret", extra_trailer=encrypt)


def docx(*paragraphs: str | tuple[str, str], notes: dict[int, str] | None = None, picture: bool = False) -> bytes:
    """A Word file. A pair is a style and a text; `notes` hang on the last paragraph."""
    body = ""
    for paragraph in paragraphs:
        style, text = paragraph if isinstance(paragraph, tuple) else ("", paragraph)
        kind = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        body += f"<w:p>{kind}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"
    references = "".join(f'<w:r><w:footnoteReference w:id="{number}"/></w:r>' for number in notes or {})
    body += f"<w:p>{references}</w:p>" if references else ""
    separators = '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>'
    footnotes = "".join(
        f'<w:footnote w:id="{number}"><w:p><w:r><w:t>{escape(text)}</w:t><w:tab/><w:t>.</w:t></w:r></w:p></w:footnote>'
        for number, text in (notes or {}).items()
    )
    parts = {"word/footnotes.xml": f"<w:footnotes {WORD}>{separators}{footnotes}</w:footnotes>"} if notes else {}
    if picture:
        parts["word/media/image1.png"] = "picture"
    return word(body, parts, ("footnotes", "footnotes.xml") if notes else None)


def word(body: str, parts: dict[str, str] | None = None, *relations: tuple[str, str] | None) -> bytes:
    """A Word file whose body is this XML; `relations` are kinds and targets of what the document points to."""
    return archive(
        {
            "[Content_Types].xml": _TYPES,
            "_rels/.rels": relations_xml(("officeDocument", "word/document.xml")),
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations_xml(*filter(None, relations)),
        }
        | (parts or {})
    )


def archive(parts: dict[str, str]) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def locked_office() -> bytes:
    """The first bytes of a Word file with a password, and the name of its stream."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\x00" * 99


def _pdf_string(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def changed(content: bytes, change: Callable[[str], str]) -> bytes:
    """The same zip file with each part changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return archive({name: change(file.read(name).decode()) for name in file.namelist()})


def pdf_form(label: str, value: str) -> bytes:
    """A PDF of one page with a text, and a field into which somebody has typed a value."""
    field = (
        f"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V ({_pdf_string(value)}) "
        "/DA (/F1 12 Tf 0 g) /Rect [200 600 400 620] /F 4 >>"
    )
    form = "/AcroForm << /Fields [90 0 R] /DA (/F1 12 Tf 0 g) /DR << /Font << /F1 5 0 R >> >> >>"
    content = pdf(label).decode("latin-1")
    content = content.replace("/Type /Catalog", f"/Type /Catalog {form}")
    content = content.replace("/Contents", "/Annots [90 0 R] /Contents")
    # Its table of contents is wrong now, as in many files: a reader looks for the objects themselves.
    return content.replace("xref\n0", f"90 0 obj\n{field}\nendobj\nxref\n0").encode("latin-1")


def epub(
    chapters: dict[str, str], contents: tuple[str, str] | None = None, *, more: dict[str, str | None] | None = None
) -> bytes:
    """A book of these chapters; `contents` is the part with the titles. A part that is None in `more` is left out."""
    items, spine = "", ""
    for number, name in enumerate(chapters):
        kind = "image/svg+xml" if name.endswith(".svg") else "application/xhtml+xml"
        items += f'<item id="c{number}" href="{quote(name)}" media-type="{kind}"/>'
        spine += f'<itemref idref="c{number}"/>'
    if contents:
        old = contents[0].endswith(".ncx")
        kind = "application/x-dtbncx+xml" if old else "application/xhtml+xml"
        items += f'<item id="toc" href="{contents[0]}" media-type="{kind}" properties="{"" if old else "nav"}"/>'
    items += '<item id="gone" href="gone.ncx" media-type="application/x-dtbncx+xml"/>'
    root = '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles>'
    parts: dict[str, str | None] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": (
            f'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">{root}</container>'
        ),
        "OEBPS/book.opf": (
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>'
        ),
        **{f"OEBPS/{name}": content for name, content in [*chapters.items(), *([contents] if contents else [])]},
        **(more or {}),
    }
    return archive({name: content for name, content in parts.items() if content is not None})
