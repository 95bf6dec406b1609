"""Small presentations and workbooks, made here: nothing of a stranger's is committed."""

from xml.sax.saxutils import escape

from tests.knowledge.files import archive, relations_xml

_OFFICE = "http://schemas.openxmlformats.org"
_NAMES = (
    f'xmlns:r="{_OFFICE}/officeDocument/2006/relationships" xmlns:a="{_OFFICE}/drawingml/2006/main" '
    f'xmlns:c="{_OFFICE}/drawingml/2006/chart" xmlns:dgm="{_OFFICE}/drawingml/2006/diagram" '
    f'xmlns:mc="{_OFFICE}/markup-compatibility/2006" xmlns:xdr="{_OFFICE}/drawingml/2006/spreadsheetDrawing"'
)
PRESENTATION = f'xmlns:p="{_OFFICE}/presentationml/2006/main" {_NAMES}'
SHEET = f'xmlns="{_OFFICE}/spreadsheetml/2006/main" {_NAMES}'
DRAWING = _NAMES


def shape(*paragraphs: str, kind: str = "") -> str:
    """A shape with text; `kind` is that of its placeholder ("title", "sldNum")."""
    place = f'<p:ph type="{kind}"/>' if kind else ""
    lines = "".join(f"<a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p>" for text in paragraphs)
    return f"<p:sp><p:nvSpPr><p:nvPr>{place}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def table(*rows: tuple[str | None, ...]) -> str:
    """A table; a cell that is None is covered by the merged one before it."""
    lines = "".join(f"<a:tr>{''.join(map(_cell, row))}</a:tr>" for row in rows)
    return graphic(f"<a:tbl>{lines}</a:tbl>")


def _cell(text: str | None) -> str:
    covered = ' hMerge="1"' if text is None else ""
    said = "covered" if text is None else escape(text)
    return f"<a:tc{covered}><a:txBody><a:p><a:r><a:t>{said}</a:t></a:r></a:p></a:txBody></a:tc>"


def pptx(
    *slides: str,
    notes: dict[int, str] | None = None,
    hidden: tuple[int, ...] = (),
    relations: dict[int, tuple[str, str]] | None = None,
    parts: dict[str, str] | None = None,
) -> bytes:
    """A presentation. Its slides are XML of shapes; `notes`, `hidden` and `relations` go by slide number.

    The files of the slides are numbered against their order: only the presentation itself knows it.
    """
    made = {}
    count = len(slides)
    for number, shapes in enumerate(slides, start=1):
        name = count + 1 - number
        show = ' show="0"' if number in hidden else ""
        made[f"ppt/slides/slide{name}.xml"] = (
            f"<p:sld {PRESENTATION}{show}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
        points_to = [relations[number]] if number in (relations or {}) else []
        if number in (notes or {}):
            points_to.append(("notesSlide", f"../notesSlides/notes{name}.xml"))
            made[f"ppt/notesSlides/notes{name}.xml"] = (
                f"<p:notes {PRESENTATION}><p:cSld><p:spTree>{shape(notes[number], kind='body')}"
                f"{shape('7', kind='sldNum')}</p:spTree></p:cSld></p:notes>"
            )
        made[f"ppt/slides/_rels/slide{name}.xml.rels"] = relations_xml(*points_to)
    listed = "".join(f'<p:sldId r:id="rId{number}"/>' for number in range(1, count + 1))
    listed = f"<p:sldIdLst>{listed}</p:sldIdLst>"
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relations_xml(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"<p:presentation {PRESENTATION}>{listed}</p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations_xml(
                *(("slide", f"/ppt/slides/slide{count + 1 - number}.xml") for number in range(1, count + 1))
            ),
        }
        | made
        | (parts or {})
    )


def chart(title: str, series: dict[str, list[float]], categories: list[str]) -> str:
    """The part of a chart."""
    points = "".join(f"<c:pt><c:v>{category}</c:v></c:pt>" for category in categories)
    drawn = ""
    for name, values in series.items():
        numbers = "".join(f"<c:pt><c:v>{value}</c:v></c:pt>" for value in values)
        drawn += f"<c:ser><c:tx><c:v>{name}</c:v></c:tx><c:cat>{points}</c:cat><c:val>{numbers}</c:val></c:ser>"
    said = f"<c:title><a:p><a:r><a:t>{title}</a:t></a:r></a:p></c:title>"
    return f"<c:chartSpace {DRAWING}><c:chart>{said}{drawn}</c:chart></c:chartSpace>"


def graphic(inside: str) -> str:
    """A frame on a slide around a table, a chart or a diagram."""
    return f"<p:graphicFrame><a:graphic><a:graphicData>{inside}</a:graphicData></a:graphic></p:graphicFrame>"


def xlsx(
    sheets: dict[str, str],
    *,
    texts: tuple[str, ...] = (),
    hidden: tuple[str, ...] = (),
    styles: str = "",
    properties: str = "",
    relations: dict[str, tuple[str, str]] | None = None,
    parts: dict[str, str] | None = None,
) -> bytes:
    """A workbook. Its sheets are XML of rows by name; `texts` are the shared ones, `styles` what is in styles.xml."""
    listed, points_to, made = "", [], {}
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        state = ' state="hidden"' if name in hidden else ""
        listed += f'<sheet name="{escape(name)}" sheetId="{number}"{state} r:id="rId{number}"/>'
        points_to.append(("worksheet", f"worksheets/sheet{number}.xml"))
        made[f"xl/worksheets/sheet{number}.xml"] = f"<worksheet {SHEET}><sheetData>{rows}</sheetData></worksheet>"
        if name in (relations or {}):
            made[f"xl/worksheets/_rels/sheet{number}.xml.rels"] = relations_xml(relations[name])
    shared = "".join(text if text.startswith("<si>") else f"<si><t>{escape(text)}</t></si>" for text in texts)
    points_to += [("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")]
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relations_xml(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f"<workbook {SHEET}>{properties}<sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": relations_xml(*points_to),
            "xl/sharedStrings.xml": f"<sst {SHEET}>{shared}</sst>",
            "xl/styles.xml": f"<styleSheet {SHEET}>{styles}</styleSheet>",
        }
        | made
        | (parts or {})
    )
