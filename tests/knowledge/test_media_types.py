import io
import subprocess
import sys
import zipfile

import pytest

from apps.knowledge import media_types
from apps.knowledge.media_types import detect_media_type, text_encoding
from tests.knowledge import files
from tests.knowledge.office_files import pptx, shape, xlsx

_MAIL = b"From: ann@a.example\nDate: Mon, 1 Jan 2024 10:00:00 +0100\nMessage-ID: <1@a.example>\n\nHello"


def detected(content, name="file"):
    file = io.BytesIO(content)
    found = detect_media_type(file, name)
    assert file.tell() == 0
    return found


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (files.pdf("hello"), "report.txt", media_types.PDF),
        (b"junk before\n%PDF-1.4\n", "x", media_types.PDF),
        (files.docx("hello"), "x.pdf", media_types.DOCX),
        (files.archive({"[Content_Types].xml": "", "word/document2.xml": ""}), "x", media_types.DOCX),
        (pptx(shape("hello")), "x.docx", media_types.PPTX),
        (xlsx({"S": ""}), "x.docx", media_types.XLSX),
        (files.archive({"[Content_Types].xml": "", "visio/document.xml": ""}), "x.docx", media_types.UNKNOWN),
        (files.epub({"one.xhtml": ""}), "x.zip", media_types.EPUB),
        (files.archive({"META-INF/container.xml": ""}), "x.epub", media_types.ZIP),
        (files.archive({"META-INF/manifest.xml": "", "content.xml": ""}), "x.odt", media_types.UNKNOWN),
        (files.archive({"a.txt": "hello"}), "x.docx", media_types.ZIP),
        (files.archive({}), "x", media_types.ZIP),
        (files.docx("hello")[:300], "x.docx", media_types.DOCX),
        (files.docx("hello")[:300], "x.pptx", media_types.PPTX),
        (files.docx("hello")[:300], "x.zip", media_types.ZIP),
        (files.docx("hello")[:300], "x.bin", media_types.UNKNOWN),
        (files.locked_office(), "x.docx", media_types.ENCRYPTED_OFFICE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 3_000_000, "x.doc", media_types.UNKNOWN),
        (b"", "x.txt", media_types.EMPTY),
        (b" \n\t ", "x.txt", media_types.EMPTY),
        (b"\xef\xbb\xbf", "x.txt", media_types.EMPTY),
        (b" " * 70_000 + b"word", "x.txt", media_types.TEXT),
        (b"hello", "x.txt", media_types.TEXT),
        (b"hello", "x.pdf", media_types.TEXT),
        (b"# hello", "x.MD", media_types.MARKDOWN),
        (b"<!-- hi -->\n<!DOCTYPE html><p>x", "x.txt", media_types.HTML),
        (b"<p>part of a page</p>", "x.html", media_types.HTML),
        (b"<p>part of a page</p>", "x.txt", media_types.TEXT),
        (b"no tags at all", "x.html", media_types.TEXT),
        (b"WEBVTT", "x.txt", media_types.VTT),
        (b"\xef\xbb\xbfWEBVTT - a title\n\n", "x.srt", media_types.VTT),
        (b"WEBVTTX is a word", "x.vtt", media_types.TEXT),
        (b"1\r\n00:00:01,000 --> 00:00:04,000\r\nHello", "x.txt", media_types.SRT),
        (b"\n00:00:01.000 --> 00:00:04.000\nHello", "x.txt", media_types.SRT),
        (b"1\nsome text --> more text", "x.srt", media_types.TEXT),
        (_MAIL, "x.txt", media_types.EML),
        (b"X-Spam: no\n folded\n" + _MAIL, "x.html", media_types.EML),
        (b"From: Ann\nDate: today\n\nNotes of a meeting", "x.txt", media_types.TEXT),
        (b"From: Ann\nDate: today\n\nNotes of a meeting", "x.eml", media_types.EML),
        (b"To: Ann\n\nA letter", "x.eml", media_types.TEXT),
        (b"Message-ID: 7\nReceived: today\n\nA list of things", "x.txt", media_types.TEXT),
        (b"From: Ann\nDate: today\nMessage-ID: <1>\nand then prose\n", "x.txt", media_types.TEXT),
        (b"Question: what?\nAnswer: that.\n", "x.md", media_types.MARKDOWN),
        (b" folded\nFrom: a", "x.eml", media_types.TEXT),
        (b"MZ\x90\x00\x03", "x.pdf", media_types.UNKNOWN),
        (b"{\\rtf1 hello}", "x.txt", media_types.UNKNOWN),
        (b"<html><body>\x04Name: \x07", "x.txt", media_types.HTML),
        (b"<html><body>\x00\x04", "x.html", media_types.UNKNOWN),
        (b"text with\x00a zero", "x.txt", media_types.UNKNOWN),
        (b"\x01\x02\x03 binary", "x.txt", media_types.UNKNOWN),
    ],
)
def test_content_decides_what_a_file_is(content, name, expected):
    assert detected(content, name) == expected


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("Grüße".encode(), "utf-8"),
        ("Grüße".encode("utf-8-sig"), "utf-8-sig"),
        ("Grüße".encode("utf-16"), "utf-16"),
        ("\ufeffGrüße".encode("utf-16-be"), "utf-16"),
        ("Grüße und mehr Wörter".encode("utf-16-le"), "utf-16-le"),
        ("Grüße und mehr Wörter".encode("utf-16-be"), "utf-16-be"),
        ("Grüße".encode("latin-1"), "cp1252"),
        (b"\xff\xfe\x00", None),
        (b"\x00\x00\x00\x00", None),
        ("a\x01b c d e".encode("utf-16-le"), None),
    ],
)
def test_the_encoding_of_a_text_is_found(content, encoding):
    assert text_encoding(content) == encoding


def test_a_character_cut_at_the_end_of_the_head_does_not_matter():
    content = b"a" * (64 * 1024 - 1) + "ü".encode()

    assert detected(content, "x.txt") == media_types.TEXT
    assert text_encoding(content[: 64 * 1024]) == "utf-8"


def steps_are_few(content, name="file"):
    """Decided in a child that is killed after ten seconds: a pattern that hangs holds on to its whole process."""
    code = (
        "import io, sys; from apps.knowledge.media_types import detect_media_type; "
        f"print(detect_media_type(io.BytesIO(sys.stdin.buffer.read()), {name!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, timeout=20, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<!---->" * 40 + b"x", "file"),
        (b"<!-- a -->\n" * 4000 + b"x", "file"),
        (b" " * 60_000 + b"x", "file"),
        (b"<a" * 32_000, "page.html"),
        (b"<?xml" * 10_000, "page.html"),
        (b"1" * 60_000, "file"),
        (b"1 " * 30_000, "file"),
        (b"00:00:01,000 -->" + b" " * 60_000, "file"),
        (b"a" * 60_000, "mail.eml"),
        (b"a:\n" * 20_000 + b"x", "mail.eml"),
    ],
    ids=[
        "comments",
        "many comments",
        "spaces",
        "tags that never end",
        "declarations",
        "digits",
        "numbers",
        "timing",
        "name",
        "headers",
    ],
)
def test_no_text_keeps_a_process_busy(content, name):
    assert steps_are_few(content, name) == media_types.TEXT


def test_comments_before_html_are_still_html():
    assert detected(b"<?xml version='1.0'?>\n<!-- one --><!-- two -->\n <html><body>x") == media_types.HTML


def test_a_zip_of_a_million_entries_is_not_listed(monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for number in range(20_000):
            made.writestr(f"{number:06}" + "x" * 20, b"")
    listed = []
    monkeypatch.setattr(zipfile.ZipFile, "namelist", lambda self: listed.append(1) or [])

    assert detected(archive.getvalue(), "bomb.docx") == media_types.UNKNOWN
    assert detected(archive.getvalue(), "many.zip") == media_types.ZIP
    assert listed == []


def test_every_format_has_its_suffixes_and_some_count_places():
    assert set(media_types.SUFFIXES) == set(media_types.SUPPORTED)
    assert media_types.ZIP not in media_types.SUPPORTED
    assert media_types.ACCEPT.startswith(".pdf,.docx,.pptx,.xlsx,.html,.htm,")
    kinds = {media_type: media_types.place_kind(media_type) for media_type in media_types.SUPPORTED}
    assert {kind: media_type for media_type, kind in kinds.items() if kind} == {
        "page": media_types.PDF,
        "slide": media_types.PPTX,
        "sheet": media_types.XLSX,
        "chapter": media_types.EPUB,
    }
