import io

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction.runner import extract
from apps.knowledge.media_types import detect_media_type
from tests.knowledge import files
from tests.knowledge.office_files import pptx, shape, xlsx

_FILES = {
    media_types.PDF: files.pdf("first", "The needle lies here.", "last"),
    media_types.DOCX: files.docx(("Heading1", "First"), "a", ("Heading1", "Second"), "The needle lies here.", "b"),
    media_types.PPTX: pptx(shape("first"), shape("Second", kind="title") + shape("The needle lies here."), shape("c")),
    media_types.XLSX: xlsx(
        {
            "First": "<row><c><v>1</v></c></row>",
            "Second": '<row><c t="inlineStr"><is><t>The needle lies here.</t></is></c></row>',
            "Third": "<row><c><v>3</v></c></row>",
        }
    ),
    media_types.HTML: b"<html><body><h1>First</h1>a<h1>Second</h1><p>The needle lies here.</p><h1>Third</h1>c",
    media_types.EPUB: files.epub(
        {
            "a.xhtml": "<h1>First</h1>",
            "b.xhtml": "<h1>Second</h1><p>The needle lies here.</p>",
            "c.xhtml": "<h1>Third</h1>",
        }
    ),
    media_types.MARKDOWN: b"# First\n\na\n\n# Second\n\nThe needle lies here.\n\n# Third\n\nc",
    media_types.TEXT: b"first\n\nThe needle lies here.\n\nlast",
    media_types.EML: b"From: a@a.example\nDate: x\nMIME-Version: 1.0\nSubject: Second\n\nThe needle lies here.",
    media_types.SRT: (
        b"1\n00:00:01,000 --> 00:00:40,000\nfirst\n\n2\n00:01:40,000 --> 00:01:50,000\nThe needle\nlies here.\n"
    ),
    media_types.VTT: b"WEBVTT\n\n00:01.000 --> 00:40.000\nfirst\n\n01:40.000 --> 01:50.000\nThe needle\nlies here.\n",
}
_NAMES = {media_type: f"file{suffixes[0]}" for media_type, suffixes in media_types.SUFFIXES.items()}


def test_there_is_a_file_of_every_format():
    assert set(_FILES) == set(media_types.SUPPORTED)


@pytest.mark.parametrize("media_type", _FILES, ids=_NAMES.get)
async def test_a_sentence_from_the_middle_is_found_at_its_place_by_the_locked_up_child(tmp_path, media_type):
    path = tmp_path / "stored"
    path.write_bytes(_FILES[media_type])
    assert detect_media_type(io.BytesIO(_FILES[media_type]), _NAMES[media_type]) == media_type

    extracted = await extract(path, media_type, seconds=20, memory_bytes=1024**3)

    (section,) = [section for section in extracted.sections if "The needle lies here." in section.text]
    assert section.page == (2 if media_types.place_kind(media_type) else None)
    headed = (media_types.PDF, media_types.TEXT, media_types.SRT, media_types.VTT)
    assert section.heading == ("" if media_type in headed else "Second")
    assert section.seconds == (100 if media_type in (media_types.SRT, media_types.VTT) else None)
