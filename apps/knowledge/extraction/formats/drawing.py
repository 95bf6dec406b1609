"""Text in the drawings of Office files: text boxes, tables, charts, diagrams. The same in Word, Excel, PowerPoint."""

from collections.abc import Iterator
from itertools import zip_longest
from xml.etree import ElementTree as ET

from apps.knowledge.extraction.formats.flow import row
from apps.knowledge.extraction.formats.package import Package, Relation

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
FALLBACK = f"{_COMPATIBLE}Fallback"
CHOICE = f"{_COMPATIBLE}Choice"


def relation_id(element: ET.Element) -> str:
    """The id of the relation that an element stands for."""
    return element.get(f"{_REFERENCE}id", "")


def without_fallbacks(element: ET.Element) -> Iterator[ET.Element]:
    """The children of an element; of what is there twice, for new programs and for old ones, only the first."""
    for child in element:
        if child.tag != FALLBACK or element.find(CHOICE) is None:
            yield child


def body_text(body: ET.Element) -> str:
    """The paragraphs of a text body, one a line."""
    return "\n".join(filter(None, (_paragraph(paragraph).strip() for paragraph in body.iter(f"{_A}p"))))


def _paragraph(paragraph: ET.Element) -> str:
    said = []
    for part in paragraph.iter():
        if part.tag in (f"{_A}t", MATH):
            said.append(part.text or "")
        elif part.tag == f"{_A}br":
            said.append("\n")
    return "".join(said)


def table_text(table: ET.Element) -> str:
    """The rows of a table, one a line. What a merged cell covers is left out, so nothing is there twice."""
    rows = (row([_cell(cell) for cell in line.iter(f"{_A}tc")]) for line in table.iter(f"{_A}tr"))
    return "\n".join(filter(None, rows))


def _cell(cell: ET.Element) -> str:
    return "" if cell.get("hMerge") or cell.get("vMerge") else body_text(cell)


def graphic_text(element: ET.Element, package: Package, relations: dict[str, Relation]) -> str:
    """What a table, a chart or a diagram says; "" for any other element.

    `relations` are those of the part that the element is in: charts and diagrams are parts of their own.
    """
    if element.tag == f"{_A}tbl":
        return table_text(element)
    if element.tag == f"{_CHART}chart":
        chart = _target(relation_id(element), package, relations)
        return _chart(package.tree(chart)) if chart else ""
    if element.tag == f"{_DIAGRAM}relIds":
        data = _target(element.get(f"{_REFERENCE}dm", ""), package, relations)
        return body_text(package.tree(data)) if data else ""
    return ""


def _target(name: str, package: Package, relations: dict[str, Relation]) -> str:
    found = relations.get(name)
    return found.target if found and found.target in package else ""


def _chart(root: ET.Element) -> str:
    """Titles, then a line per category with the value of each series."""
    titles = [body_text(title) for title in root.iter(f"{_CHART}title")]
    series = [(_values(one, "tx"), _values(one, "cat"), _values(one, "val")) for one in root.iter(f"{_CHART}ser")]
    if not series:
        return "\n".join(titles)
    categories = next((found for _, found, _ in series if found), [])
    head = row([" ".join(name) for name, _, _ in series])
    lines = zip_longest(categories, *(values for _, _, values in series), fillvalue="")
    # The title of a chart with one series often is the name of the series.
    return "\n".join(filter(None, [*dict.fromkeys([*titles, head]), *(row(list(line)) for line in lines)]))


def _values(series: ET.Element, name: str) -> list[str]:
    found = series.find(f"{_CHART}{name}")
    return [value.text or "" for value in found.iter(f"{_CHART}v")] if found is not None else []
