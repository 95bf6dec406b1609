import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction.failures import FAILURES, ExtractionFailed
from apps.knowledge.extraction.formats import read_sections
from apps.knowledge.extraction.sections import Section
from tests.knowledge import files
from tests.knowledge.readers import read


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "stored"
        path.write_bytes(content)
        return path

    return save


async def test_each_page_of_a_pdf_is_a_section_and_blank_ones_are_skipped(saved):
    extracted = await read(saved(files.pdf("alpha", "", "gamma (third)")), media_types.PDF)

    assert extracted.sections == [Section("alpha", page=1), Section("gamma (third)", page=3)]
    assert extracted.page_count == 3


async def test_a_word_file_has_headings_and_keeps_every_note(saved):
    content = files.docx(
        ("Heading1", "Refunds"), "Within thirty days.", notes={1: "The first note", 2: "The second note"}
    )

    extracted = await read(saved(content), media_types.DOCX)

    assert extracted.sections[0] == Section("Refunds\n\nWithin thirty days.", heading="Refunds")
    assert "The first note" in extracted.sections[-1].text
    assert "The second note" in extracted.sections[-1].text
    assert "line" not in extracted.sections[-1].text
    assert extracted.page_count is None


async def test_html_has_headings_and_no_scripts(saved):
    html = (
        "<!doctype html><head><title>Shop</title><style>.x{}</style></head><body><h1>Refunds</h1>"
        "<p>Within <b>thirty</b> days.</p><script>alert('boo')</script><h2>How</h2><p>By mail.</p></body>"
    )

    extracted = await read(saved(html.encode()), media_types.HTML)

    assert [(s.heading, s.text) for s in extracted.sections] == [
        ("Refunds", "Refunds\n\nWithin thirty days."),
        ("How", "How\n\nBy mail."),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
async def test_text_is_read_in_any_common_encoding(saved, encoding):
    extracted = await read(saved("Grüße und weitere Wörter".encode(encoding)), media_types.TEXT)

    assert extracted.sections == [Section("Grüße und weitere Wörter")]


def test_html_is_read_in_the_encoding_that_it_names(saved):
    html = '<html><meta charset="iso-8859-2"><body><p>Zażółć gęślą jaźń</p></body></html>'.encode("iso-8859-2")
    assert "Zażółć gęślą jaźń" in read_sections(saved(html), media_types.HTML)[0].text

    odd = '<html><meta charset="klingon"><body><p>Größe</p></body></html>'.encode("latin-1")
    assert "Größe" in read_sections(saved(odd), media_types.HTML)[0].text


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (files.locked_pdf(), media_types.PDF, "password_protected"),
        (files.locked_office(), media_types.ENCRYPTED_OFFICE, "password_protected"),
        (files.pdf("", ""), media_types.PDF, "image_only"),
        (b"%PDF-1.4 and then nothing of a PDF", media_types.PDF, "corrupt"),
        (files.docx(""), media_types.DOCX, "empty"),
        (files.docx("", picture=True), media_types.DOCX, "image_only"),
        (files.docx("hello")[:300], media_types.DOCX, "corrupt"),
        (files.archive({"[Content_Types].xml": "<", "word/document.xml": "<"}), media_types.DOCX, "corrupt"),
        (files.archive({"word/footnotes.xml": "<", "word/document.xml": "<"}), media_types.DOCX, "corrupt"),
        (b"<html><script>x</script></html>", media_types.HTML, "empty"),
        (b"***\n\n[](x)", media_types.MARKDOWN, None),
        (b" \n ", media_types.TEXT, "empty"),
        (b"", media_types.EMPTY, "empty"),
        (b"MZ\x90", media_types.UNKNOWN, "unsupported_type"),
        (b"\x00\x00", media_types.TEXT, "corrupt"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(saved, content, media_type, code):
    if code is None:
        assert read_sections(saved(content), media_type)
        return
    with pytest.raises(ExtractionFailed) as caught:
        read_sections(saved(content), media_type)
    assert caught.value.failure.code == code


async def test_the_reason_crosses_the_process(saved):
    with pytest.raises(ExtractionFailed, match="password_protected"):
        await read(saved(files.locked_pdf()), media_types.PDF)


def test_every_failure_is_one_sentence_and_what_to_do():
    for failure in FAILURES.values():
        assert failure.sentence.endswith(".")
        assert failure.action.endswith(".")
        assert len(failure.sentence) <= 200 >= len(failure.action)
        assert len(failure.code) <= 40


def test_readers_give_the_same_inside_and_outside_the_child(saved):
    assert read_sections(saved(files.pdf("alpha", "beta")), media_types.PDF)[1] == Section("beta", page=2)

    word = read_sections(saved(files.docx("body", notes={1: "first", 2: "second"})), media_types.DOCX)
    assert [section.text for section in word] == ["body", "first\t.\n\nsecond\t."]
