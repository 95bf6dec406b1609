"""PDF files that loop, lie and swell."""

import re
import zlib

from tests.knowledge import files
from tests.knowledge.hostile_files import LITTLE, Hostile, Says

MIB = 1024**2
PAGE = files.pdf("Herons fish at dawn.")
LONG = files.pdf(*(f"Page {number} of herons" for number in range(1, 41)))
READ = Says("Herons fish at dawn.")


def replaced(old, new, content=PAGE):
    """The same file with other words; its table of contents is wrong then, as in many files."""
    assert old in content
    return content.replace(old, new)


def catalog(more):
    return replaced(b"/Type /Catalog", b"/Type /Catalog " + more)


def with_stream(data, filters):
    """The page's content is this stream instead."""
    head = b"<< /Length %d /Filter [%s] >>\nstream\n" % (len(data), filters)
    return re.sub(
        rb"<< /Length \d+ >>\nstream\n.*?\nendstream", lambda found: head + data + b"\nendstream", PAGE, flags=re.S
    )


def flate_bomb(size):
    packer, text = zlib.compressobj(9), b"BT /F1 12 Tf 72 720 Td (Herons) Tj ET\n"
    blocks = [packer.compress(text)] + [packer.compress(b" " * MIB) for _ in range(size // MIB)]
    return with_stream(b"".join(blocks) + packer.flush(), b"/FlateDecode")


def flate_of_flate():
    data = bytes(100 * MIB)
    for _ in range(3):
        data = zlib.compress(data, 9)
    return with_stream(data, b"/FlateDecode /FlateDecode /FlateDecode")


def form_of_itself():
    form = (
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 80 0 R >> >> /Length 5 >>\n"
        b"stream\n/X Do\nendstream"
    )
    content = replaced(b"/Resources <<", b"/Resources << /XObject << /X 80 0 R >>")
    return content.replace(b"xref\n0", b"80 0 obj\n" + form + b"\nendobj\nxref\n0").replace(b" ET", b" ET /X Do")


def xref_loop():
    start = int(PAGE.rsplit(b"startxref\n", 1)[1].split()[0])
    return replaced(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)


def with_embedded_file():
    names = b"/Names << /EmbeddedFiles << /Names [(x.exe) << /Type /Filespec /F (x.exe) /EF << /F 81 0 R >> >>] >> >>"
    stream = b"81 0 obj\n<< /Type /EmbeddedFile /Length 6 >>\nstream\nsecret\nendstream\nendobj\nxref\n0"
    return catalog(names).replace(b"xref\n0", stream)


SCRIPT = b"/OpenAction << /S /JavaScript /JS (while(1){app.alert(1);}) >>"
LAUNCH = b"/OpenAction << /S /Launch /F (/bin/sh) >>"

PDFS = [
    Hostile("page tree that loops", "a.pdf", lambda: replaced(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), "corrupt"),
    Hostile(
        "page tree that loops and has a page", "a.pdf", lambda: replaced(b"/Kids [3 0 R]", b"/Kids [2 0 R 3 0 R]"), READ
    ),
    Hostile("page that is its own parent", "a.pdf", lambda: replaced(b"/Parent 2 0 R", b"/Parent 3 0 R"), READ),
    Hostile("claims two thousand million pages", "a.pdf", lambda: replaced(b"/Count 1", b"/Count 2147483647"), READ),
    Hostile("claims fewer than no pages", "a.pdf", lambda: replaced(b"/Count 1", b"/Count -5"), READ),
    Hostile("claims a million pages", "a.pdf", lambda: replaced(b"/Count 1", b"/Count 1000000"), "corrupt"),
    Hostile("broken xref", "a.pdf", lambda: re.sub(rb"\d{10} 00000 n", b"9999999999 00000 n", PAGE), READ),
    Hostile("xref that loops", "a.pdf", xref_loop, READ),
    Hostile(
        "xref beyond the end",
        "a.pdf",
        lambda: re.sub(rb"startxref\n\d+", b"startxref\n99999999999999999999", PAGE),
        READ,
    ),
    Hostile("flate bomb", "a.pdf", lambda: flate_bomb(100 * MIB), "too_big", LITTLE),
    Hostile("flate of flate of flate", "a.pdf", flate_of_flate, "too_big", LITTLE),
    Hostile("stream that is no flate", "a.pdf", lambda: with_stream(b"x" * 999, b"/FlateDecode"), "image_only"),
    Hostile("arrays in arrays", "a.pdf", lambda: catalog(b"/Odd " + b"[" * 200_000 + b"]" * 200_000), READ),
    Hostile(
        "dictionaries in dictionaries",
        "a.pdf",
        lambda: catalog(b"/Odd " + b"<</A" * 200_000 + b">>" * 200_000),
        "corrupt",
    ),
    Hostile(
        "states saved without end",
        "a.pdf",
        lambda: with_stream(zlib.compress(b"q " * 3_000_000), b"/FlateDecode"),
        "too_big",
    ),
    Hostile("form of itself", "a.pdf", form_of_itself, READ),
    Hostile("JavaScript", "a.pdf", lambda: catalog(SCRIPT), READ),
    Hostile("starts a program", "a.pdf", lambda: catalog(LAUNCH), READ),
    Hostile("embedded file", "a.pdf", with_embedded_file, READ),
    Hostile("page of a million inches", "a.pdf", lambda: replaced(b"[0 0 612 792]", b"[0 0 1e8 1e8]"), READ),
    Hostile("encrypted", "a.pdf", files.locked_pdf, "password_protected"),
    Hostile(
        "unknown encryption",
        "a.pdf",
        lambda: files.pdf("a", extra_trailer="/Encrypt << /Filter /Mine >>"),
        "password_protected",
    ),
    Hostile("only its head", "a.pdf", lambda: PAGE[:9], "corrupt"),
    Hostile("cut after a quarter", "a.pdf", lambda: LONG[: len(LONG) // 4], "corrupt"),
    Hostile("cut after a half", "a.pdf", lambda: LONG[: len(LONG) // 2], "corrupt"),
    Hostile("cut after three quarters", "a.pdf", lambda: LONG[: len(LONG) * 3 // 4], "corrupt"),
    Hostile("cut before its end", "a.pdf", lambda: PAGE[:-10], READ),
    Hostile("a thousand bytes before it", "a.pdf", lambda: b"\0" * 900 + PAGE, READ),
    Hostile("PDF called Word", "a.docx", lambda: PAGE, READ),
    Hostile("picture called PDF", "a.pdf", lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "unsupported_type"),
]
