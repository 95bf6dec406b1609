import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import DOCX
from tests.knowledge import files, office_files

_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_TEXT_BOX = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
_TWICE = (
    '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
    f"<mc:Choice><w:drawing>{_TEXT_BOX}</w:drawing></mc:Choice><mc:Fallback><w:pict>{_TEXT_BOX}</w:pict></mc:Fallback>"
    "</mc:AlternateContent>"
)


def paragraph(inside, properties=""):
    return f"<w:p><w:pPr>{properties}</w:pPr>{inside}</w:p>"


def run(text, properties=""):
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


def cell(*blocks):
    return f"<w:tc>{''.join(blocks)}</w:tc>"


def said(read, body, *more):
    return "\n--\n".join(section.text for section in read(files.word(body, *more), DOCX))


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (run("a") + "<w:r><w:tab/></w:r>" + run("b"), "a\tb"),
        (run("a") + "<w:r><w:br/></w:r>" + run("b"), "a\nb"),
        (run("e") + "<w:r><w:noBreakHyphen/></w:r>" + run("mail"), "e-mail"),
        (f"<w:hyperlink>{run('link')}</w:hyperlink>", "link"),
        (f"<w:ins>{run('new')}</w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>", "new"),
        (f"<w:moveFrom>{run('here')}</w:moveFrom>{run('stays')}", "stays"),
        (f"<w:sdt><w:sdtContent>{run('filled in')}</w:sdtContent></w:sdt>", "filled in"),
        (f"<w:r><w:instrText>PAGE</w:instrText></w:r>{run('7')}", "7"),
        (run("seen ") + run("secret", "<w:vanish/>") + run("too", '<w:vanish w:val="0"/>'), "seen too"),
        (run("E=") + f'<m:oMath xmlns:m="{_MATH}"><m:r><m:t>mc</m:t></m:r></m:oMath>', "E=mc"),
        (run("before ") + f"<w:r>{_TWICE}</w:r>" + run("after"), "before after\n\nboxed"),
    ],
    ids=["tab", "break", "hyphen", "link", "change", "move", "control", "field", "hidden", "formula", "box"],
)
def test_a_paragraph_comes_out_once_and_whole(read, inside, text):
    assert said(read, paragraph(inside)) == text


def test_paragraphs_inside_a_content_control_are_text(read):
    assert said(read, f"<w:sdt><w:sdtContent>{paragraph(run('inside'))}</w:sdtContent></w:sdt>") == "inside"


def test_a_table_is_a_line_per_row_and_nothing_is_there_twice(read):
    inner = f"<w:tbl><w:tr>{cell(paragraph(run('inner')))}</w:tr></w:tbl>"
    wide = cell('<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>', paragraph(run("wide")))
    control = f"<w:sdt><w:sdtContent>{cell(paragraph(run('three')))}</w:sdtContent></w:sdt>"
    rows = (
        f"<w:tr>{cell(paragraph(run('one')), paragraph(run('more')))}{cell(paragraph(run('two')))}</w:tr>"
        f"<w:tr>{control}{cell(inner)}</w:tr><w:tr>{wide}</w:tr>"
        f"<w:tr><w:trPr><w:del/></w:trPr>{cell(paragraph(run('gone')))}</w:tr>"
    )

    assert said(read, f"<w:tbl>{rows}</w:tbl>") == "one more | two\nthree | inner\nwide"


def test_headings_are_found_by_style_name_by_level_and_by_what_a_style_builds_on(read):
    styles = (
        f"<w:styles {files.WORD}>"
        '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Mine"><w:name w:val="My own"/><w:basedOn w:val="berschrift1"/></w:style>'
        '<w:style w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style>'
        '<w:style w:styleId="Deep"><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
        '<w:style w:styleId="Flat"><w:basedOn w:val="Deep"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>'
        "</w:styles>"
    )
    body = "".join(
        paragraph(run(style or "plain"), f'<w:pStyle w:val="{style}"/>' if style else "")
        for style in ("berschrift1", "Mine", "Loop", "Deep", "Flat", "Title", "")
    ) + paragraph(run("by itself"), '<w:outlineLvl w:val="0"/>')
    body += paragraph(run("not at all"), '<w:pStyle w:val="Title"/><w:outlineLvl w:val="9"/>')

    sections = read(files.word(body, {"word/styles.xml": styles}, ("styles", "styles.xml")), DOCX)

    assert [(section.heading, section.text) for section in sections] == [
        ("berschrift1", "berschrift1"),
        ("Mine", "Mine\n\nLoop"),
        ("Deep", "Deep\n\nFlat"),
        ("Title", "Title\n\nplain"),
        ("by itself", "by itself\n\nnot at all"),
    ]


def test_a_chart_in_a_document_is_read_where_it_stands(read):
    chart = office_files.chart("Sales", {"2024": [1.5]}, ["East"])
    drawing = f'<w:r><w:drawing {office_files.DRAWING}><c:chart r:id="rId1"/></w:drawing></w:r>'
    body = paragraph(run("Look:") + drawing) + paragraph(run("Well."))

    assert said(read, body, {"word/charts/c.xml": chart}, ("chart", "charts/c.xml")) == (
        "Look:\n\nSales\n2024\nEast | 1.5\n\nWell."
    )


def test_a_chart_whose_part_is_missing_says_nothing(read):
    drawing = f'<w:r><w:drawing {office_files.DRAWING}><c:chart r:id="rId9"/></w:drawing></w:r>'

    assert said(read, paragraph(run("Look.") + drawing)) == "Look."


def test_notes_follow_at_the_end_and_headers_are_left_out(read):
    notes = f'<w:endnotes {files.WORD}><w:endnote w:id="1">{paragraph(run("A note."))}</w:endnote></w:endnotes>'
    header = f"<w:hdr {files.WORD}>{paragraph(run('On every page'))}</w:hdr>"
    parts = {"word/endnotes.xml": notes, "word/header1.xml": header}

    sections = read(
        files.word(paragraph(run("Text.")), parts, ("endnotes", "endnotes.xml"), ("header", "header1.xml")), DOCX
    )

    assert sections == [Section("Text."), Section("A note.")]


def test_the_strict_variant_of_the_standard_is_the_same(read):
    usual = files.docx(("Heading1", "Refunds"), "Within thirty days.")
    content = files.changed(
        usual,
        lambda xml: xml.replace(
            "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            "http://purl.oclc.org/ooxml/wordprocessingml/main",
        ),
    )

    assert content != usual
    assert read(content, DOCX) == read(usual, DOCX) == [Section("Refunds\n\nWithin thirty days.", heading="Refunds")]
