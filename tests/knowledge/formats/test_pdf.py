import pytest

from apps.knowledge.extraction.formats.pdf import pages_without_text
from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import PDF
from tests.knowledge import files


def test_each_page_with_text_is_a_section_and_progress_counts_them_all(read):
    told = []

    sections = read(files.pdf("alpha", "", "gamma"), PDF, report=lambda done, total: told.append((done, total)))

    assert sections == [Section("alpha", page=1), Section("gamma", page=3)]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_was_filled_into_a_form_is_read(read):
    (section,) = read(files.pdf_form("Name:", "Maria Lopez"), PDF)

    assert section.text == "Name:\nMaria Lopez"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("a long sen-\ntence that goes on", "a long sentence that goes on"),
        ("the Baden-\nBaden spa", "the Baden-Baden spa"),
    ],
)
def test_a_word_that_the_margin_broke_is_whole_again(read, lines, text):
    (section,) = read(files.pdf(lines), PDF)

    assert section.text == text


def test_pages_without_text_are_known(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(files.pdf("", "typed", "", ""))

    assert pages_without_text(path) == [1, 3, 4]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (files.locked_pdf(), "password_protected"),
        (files.pdf("", ""), "image_only"),
        (b"%PDF-1.4 and then nothing of a PDF", "corrupt"),
        (files.pdf("one", "two").replace(b"/Count 2", b"/Count 9"), "corrupt"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why(refused, content, code):
    assert refused(content, PDF) == code
