import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import PPTX
from tests.knowledge.office_files import DRAWING, chart, graphic, pptx, shape, table


def test_each_slide_is_a_section_with_its_number_its_title_and_its_notes(read):
    content = pptx(
        shape("Body one") + shape("First", kind="ctrTitle"),
        shape("Second", "line", kind="title") + shape("a", "b") + shape("13", kind="sldNum"),
        shape("No title"),
        notes={2: "Say this aloud"},
    )

    assert read(content, PPTX) == [
        Section("First\n\nBody one", page=1, heading="First"),
        Section("Second\nline\n\na\nb\n\nSay this aloud", page=2, heading="Second line"),
        Section("No title", page=3),
    ]


def test_hidden_and_empty_slides_are_counted_and_left_out(read):
    content = pptx(shape("One"), shape("Secret"), shape(""), shape("Four"), hidden=(2,))

    assert [(section.page, section.text) for section in read(content, PPTX)] == [(1, "One"), (4, "Four")]


def test_tables_groups_and_what_is_there_twice_are_read_once(read):
    twice = f"<mc:AlternateContent><mc:Choice>{shape('new')}</mc:Choice><mc:Fallback>{shape('old')}</mc:Fallback>"
    group = f"<p:grpSp>{shape('grouped')}{twice}</mc:AlternateContent></p:grpSp>"

    (section,) = read(pptx(table(("a", "b"), ("wide", None), ("", "")) + group), PPTX)

    assert section.text == "a | b\nwide\n\ngrouped\n\nnew"


def test_a_line_break_and_a_formula_are_part_of_their_paragraph(read):
    math = '<m:t xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math">x²</m:t>'
    body = f"<a:p><a:r><a:t>one</a:t></a:r><a:br/><a:r><a:t>two </a:t></a:r>{math}</a:p>"

    (section,) = read(pptx(f"<p:sp><p:txBody>{body}</p:txBody></p:sp><p:sp/>"), PPTX)

    assert section.text == "one\ntwo x²"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            chart("Sales", {"2023": [1, 2], "2024": [3]}, ["East", "West"]),
            "Sales\n2023 | 2024\nEast | 1 | 3\nWest | 2",
        ),
        (chart("2024", {"2024": [3]}, ["East"]), "2024\nEast | 3"),
        (chart("Nothing drawn", {}, []), "Nothing drawn"),
    ],
    ids=["two series", "title is the series", "no series"],
)
def test_a_chart_is_a_line_per_category(read, part, text):
    content = pptx(
        graphic('<c:chart r:id="rId1"/>'), relations={1: ("chart", "../charts/c.xml")}, parts={"ppt/charts/c.xml": part}
    )

    (section,) = read(content, PPTX)

    assert section.text == text


def test_a_diagram_is_read(read):
    points = "".join(f"<a:p><a:r><a:t>{point}</a:t></a:r></a:p>" for point in ("Plan", "Do"))
    data = f"<dgm:dataModel {DRAWING}>{points}</dgm:dataModel>"
    content = pptx(
        graphic('<dgm:relIds r:dm="rId1"/>') + graphic('<dgm:relIds r:dm="rId8"/>'),
        relations={1: ("diagramData", "../diagrams/d.xml")},
        parts={"ppt/diagrams/d.xml": data},
    )

    (section,) = read(content, PPTX)

    assert section.text == "Plan\nDo"


def test_progress_is_told_slide_by_slide(read):
    told = []

    read(pptx(shape("a"), shape("b"), shape("c")), PPTX, report=lambda done, total: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_presentation_without_words_says_why(refused):
    assert refused(pptx(shape("")), PPTX) == "empty"
    assert refused(pptx(shape(""), parts={"ppt/media/image1.png": "picture"}), PPTX) == "image_only"


def test_a_slide_that_is_missing_is_damage(refused):
    listed = '<p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    listed += f'{DRAWING}><p:sldId r:id="rId7"/></p:presentation>'

    assert refused(pptx(shape("a"), parts={"ppt/presentation.xml": listed}), PPTX) == "corrupt"
