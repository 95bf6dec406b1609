import pytest

from apps.knowledge.extraction.formats import package
from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import XLSX
from tests.knowledge.files import relations_xml
from tests.knowledge.office_files import DRAWING, chart, xlsx

_STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="{pattern}"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="{number}"/></cellXfs>'
)


def row(*cells):
    return f"<row>{''.join(cells)}</row>"


def number(value, style=0, place=""):
    where = f' r="{place}"' if place else ""
    return f'<c s="{style}"{where}><v>{value}</v></c>'


def shared(index, place=""):
    where = f' r="{place}"' if place else ""
    return f'<c t="s"{where}><v>{index}</v></c>'


def test_each_shown_sheet_is_a_section_with_its_name_and_its_place(read):
    content = xlsx(
        {
            "Prices": row(shared(0), shared(1)) + row(shared(2), number(1.5)),
            "Secret": row(shared(3)),
            "Last": row(shared(4)),
        },
        texts=("Item", "Price", "Cup", "hidden", "end"),
        hidden=("Secret",),
    )

    assert read(content, XLSX) == [
        Section("Prices\n\nItem | Price\nCup | 1.5", page=1, heading="Prices"),
        Section("Last\n\nend", page=2, heading="Last"),
    ]


def test_empty_cells_keep_columns_in_line_and_stray_ones_cost_nothing(read):
    rows = (
        row(shared(0, "A1"), shared(1, "D1"))
        + row(shared(0, "B2"), '<c r="C2"/>', shared(1, "XFD2"))
        + row('<c r="A3"/>')
    )

    (section,) = read(xlsx({"S": rows}, texts=("a", "b")), XLSX)

    first, second = section.text.split("\n")[2:]
    assert first == "a |  |  | b"
    assert second.startswith("a | ")
    assert len(second) < 150


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c t="inlineStr"><is><t>in place</t></is></c>', "in place"),
        ('<c t="str"><f>A1</f><v>worked out</v></c>', "worked out"),
        ('<c t="b"><v>1</v></c>', "TRUE"),
        ('<c t="b"><v>0</v></c>', "FALSE"),
        ('<c t="e"><v>#N/A</v></c>', "#N/A"),
        ('<c t="d"><v>2024-05-06</v></c>', "2024-05-06"),
        ("<c><f>SUM(A1:A9)</f><v>0.30000000000000004</v></c>", "0.3"),
        ("<c><v>1234567</v></c>", "1234567"),
        ("<c><v>123456789012345678</v></c>", "123456789012345678"),
        ('<c s="99"><v>7</v></c>', "7"),
        (shared(0), "two lines"),
        (shared(1), "漢字"),
        (shared(2), "one two _x"),
    ],
)
def test_a_cell_reads_as_a_person_reads_it(read, cell, text):
    aloud = "<si><r><t>漢</t></r><r><t>字</t></r><rPh><t>かんじ</t></rPh></si>"

    (section,) = read(xlsx({"S": row(cell)}, texts=("two\nlines", aloud, "one_x000D_\ntwo_x0001_ _x")), XLSX)

    assert section.text == f"S\n\n{text}"


@pytest.mark.parametrize(
    ("pattern", "value", "text"),
    [
        (14, 45418, "2024-05-06"),
        (20, 0.5, "12:00"),
        (22, 45418.5, "2024-05-06 12:00"),
        (46, 1.5, "36:00"),
        (9, 0.25, "25%"),
        (4, 1234.5, "1234.5"),
        ("dd/mm/yyyy", 45418, "2024-05-06"),
        ("[$-409]mmm yy", 45418, "2024-05-06"),
        ("yyyy-mm-dd hh:mm:ss", 45418.000011574, "2024-05-06 00:00:01"),
        ("h:mm AM/PM", 0.75, "18:00"),
        ("[h]:mm", 2, "48:00"),
        ("0.0%", 0.125, "12.5%"),
        ("#,##0.00 [$€-407];[Red]-#,##0.00", 12, "12"),
        ("0 &quot;days&quot;", 12, "12"),
        ("General", 12, "12"),
        ("dd/mm/yyyy", -1, "-1"),
        ("dd/mm/yyyy", 99999999, "99999999"),
    ],
)
def test_a_number_reads_as_its_format_means(read, pattern, value, text):
    known = isinstance(pattern, int)
    styles = _STYLES.format(pattern="0" if known else pattern, number=pattern if known else 164)

    (section,) = read(xlsx({"S": row(number(value, style=1))}, styles=styles), XLSX)

    assert section.text == f"S\n\n{text}"


def test_a_book_may_count_its_days_from_1904(read):
    content = xlsx(
        {"S": row(number(1, style=1))},
        styles=_STYLES.format(pattern="0", number=14),
        properties='<workbookPr date1904="1"/>',
    )

    assert read(content, XLSX)[0].text == "S\n\n1904-01-02"


def test_text_boxes_and_charts_on_a_sheet_are_read(read):
    box = "<xdr:sp><xdr:txBody><a:p><a:r><a:t>Read me</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    drawing = f'<xdr:wsDr {DRAWING}>{box}<xdr:graphicFrame><c:chart r:id="rId1"/></xdr:graphicFrame></xdr:wsDr>'
    content = xlsx(
        {"S": row(number(1))},
        relations={"S": ("drawing", "../drawings/d.xml")},
        parts={
            "xl/drawings/d.xml": drawing,
            "xl/drawings/_rels/d.xml.rels": relations_xml(("chart", "../charts/c.xml")),
            "xl/charts/c.xml": chart("Sales", {"2024": [3]}, ["East"]),
        },
    )

    assert read(content, XLSX)[0].text == "S\n\n1\n\nRead me\n\nSales\n2024\nEast | 3"


def test_a_long_sheet_is_read_row_by_row_and_gives_the_same(read, monkeypatch):
    content = xlsx(
        {"A": row(shared(0)) * 50 + row("<c><is><t>x</t></is></c>"), "B": row(shared(1))}, texts=("one", "two")
    )
    whole = read(content, XLSX)

    monkeypatch.setattr(package, "_LONG_PART_BYTES", 0)

    assert read(content, XLSX) == whole
    assert whole[0].text.count("one") == 50


def test_a_book_without_words_says_why(refused):
    assert refused(xlsx({"S": row("<c/>")}), XLSX) == "empty"
    assert refused(xlsx({"S": ""}, parts={"xl/media/image1.png": "picture"}), XLSX) == "image_only"


def test_a_shared_text_that_is_missing_is_damage(refused):
    assert refused(xlsx({"S": row(shared(7))}), XLSX) == "corrupt"


def test_progress_is_told_sheet_by_sheet(read):
    told = []

    content = xlsx({"A": row(number(1)), "B": row(number(2))})
    read(content, XLSX, report=lambda done, total: told.append((done, total)))

    assert told == [(1, 2), (2, 2)]
