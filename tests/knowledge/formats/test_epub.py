import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import EPUB
from tests.knowledge.files import changed, epub

_NAV = (
    "nav.xhtml",
    '<html><body><nav><ol><li><a href="one.xhtml">The Start</a></li>'
    '<li><a href="sub/two%20b.xhtml#x">The <i>Second</i></a></li>'
    '<li><a href="sub/two%20b.xhtml#y">A part of it</a></li></ol></nav>'
    '<nav><a href="one.xhtml">Cover</a></nav></body></html>',
)
_NCX = (
    "toc.ncx",
    '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Old Start</text></navLabel>'
    '<content src="one.xhtml"/><navPoint><navLabel><text>Inside</text></navLabel><content src="one.xhtml#x"/>'
    "</navPoint></navPoint><navPoint/></navMap></ncx>",
)
_CHAPTERS = {
    "one.xhtml": '<?xml version="1.0"?><!DOCTYPE html><html><body><h1>Head</h1><p>Grüße&nbsp;one</p></body></html>',
    "sub/two b.xhtml": "<html><body><p>two</p><h2>More</h2><p>of it</p></body></html>",
}


def test_each_chapter_is_a_section_with_its_number_and_its_title(read):
    assert read(epub(_CHAPTERS, _NAV), EPUB) == [
        Section("Head\n\nGrüße\N{NO-BREAK SPACE}one", page=1, heading="The Start"),
        Section("two\n\nMore\n\nof it", page=2, heading="The Second"),
    ]


def test_an_old_book_has_its_titles_elsewhere_and_a_chapter_may_have_none(read):
    assert [section.heading for section in read(epub(_CHAPTERS, _NCX), EPUB)] == ["Old Start", "More"]


@pytest.mark.parametrize("contents", [None, ("toc.ncx", "<ncx"), ("nav.xhtml", "<html><body>no nav</body></html>")])
def test_without_a_usable_table_of_contents_the_chapters_own_headings_do(read, contents):
    assert [section.heading for section in read(epub(_CHAPTERS, contents), EPUB)] == ["Head", "More"]


def test_chapters_of_pictures_and_empty_ones_are_counted(read):
    chapters = {"cover.svg": "<svg/>", "blank.xhtml": "<html><body></body></html>", **_CHAPTERS}
    told = []

    sections = read(epub(chapters), EPUB, report=lambda done, total: told.append((done, total)))

    assert [section.page for section in sections] == [3, 4]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_book_that_only_the_sellers_program_opens_says_so(read, refused):
    def locked(part):
        reference = f'<CipherReference xmlns="http://www.w3.org/2001/04/xmlenc#" URI="{part}"/>'
        return {"META-INF/encryption.xml": f"<encryption><EncryptedData>{reference}</EncryptedData></encryption>"}

    assert refused(epub(_CHAPTERS, more=locked("OEBPS/sub/two%20b.xhtml")), EPUB) == "copy_protected"
    assert len(read(epub(_CHAPTERS, more=locked("OEBPS/fonts/a.otf")), EPUB)) == 2


def test_a_chapter_that_is_counted_but_not_listed_is_passed_over(read):
    content = changed(epub(_CHAPTERS), lambda part: part.replace("<spine>", '<spine><itemref idref="lost"/>'))
    assert content != epub(_CHAPTERS)

    assert [section.page for section in read(content, EPUB)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (epub({}), "corrupt"),
        (epub({"cover.svg": "<svg/>"}), "image_only"),
        (epub(_CHAPTERS, more={"META-INF/container.xml": "<container/>"}), "corrupt"),
        (epub(_CHAPTERS, more={"OEBPS/one.xhtml": None}), "corrupt"),
    ],
    ids=["no chapters", "pictures", "no list", "a chapter is missing"],
)
def test_a_book_that_cannot_be_read_says_why(refused, content, code):
    assert refused(content, EPUB) == code
