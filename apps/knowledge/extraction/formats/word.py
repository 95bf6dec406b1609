"""Word files (.docx), read part by part: text boxes, tabs, formulas and merged cells come out once and whole."""

import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.drawing import MATH, graphic_text, without_fallbacks
from apps.knowledge.extraction.formats.flow import row
from apps.knowledge.extraction.formats.package import Package, Relation, open_package
from apps.knowledge.extraction.sections import Section, Sections, normalise
from apps.knowledge.extraction.source import Source

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BODY, _PARAGRAPH, _TABLE, _ROW, _CELL, _TEXT_BOX = (
    f"{_W}{name}" for name in ("body", "p", "tbl", "tr", "tc", "txbxContent")
)
_TEXT, _PARAGRAPH_PROPERTIES, _RUN_PROPERTIES, _HIDDEN = (f"{_W}{name}" for name in ("t", "pPr", "rPr", "vanish"))
_SAID = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_SAID = {f"{_W}{name}": text for name, text in _SAID.items()}
# Deleted or moved away, instructions of fields, properties, how a word is pronounced, headers and footers.
_UNSAID = frozenset(
    f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "tblPr", "sectPr", "rt")
)
_HEADING_NAME = re.compile(r"(?:heading\s?[1-9]|title)", re.I)
_MOST_ANCESTORS = 20  # Word allows eleven; a chain without end, or in a circle, is no style
_BODY_LEVEL = 9  # outline levels 0 to 8 are headings


def read_docx(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """A section per heading; foot- and endnotes follow at the end, where Word keeps them too.

    Left out: what is deleted or hidden, comments, and headers and footers, which repeat on every page.
    """
    with open_package(source) as package:
        main = package.main_part()
        headings = _heading_styles(package, main)
        reader = _Reader(package, package.relations(main))
        sections = Sections()
        for block in reader.blocks(package.children(main, _BODY)):
            if block.tag == _TABLE:
                sections.add(reader.table(block))
            elif (text := reader.paragraph(block)) and _is_heading(block, headings):
                sections.start(text)
            else:
                sections.add(text)
            sections.add(*reader.beside())
        found = sections.finish()
        notes = [note for kind in ("footnotes", "endnotes") for note in _notes(package, main, kind)]
        if notes:
            found.append(Section("\n\n".join(notes)))
        if not found:
            raise ExtractionFailed("image_only" if package.has_below("word/media/") else "empty")
        return found


class _Reader:
    """Text of paragraphs and tables of one part."""

    def __init__(self, package: Package, relations: dict[str, Relation]) -> None:
        self._package = package
        self._relations = relations
        self._beside: list[str] = []

    def blocks(self, elements: Iterator[ET.Element]) -> Iterator[ET.Element]:
        """Paragraphs and tables, also those that lie inside content controls and the like."""
        for element in elements:
            if element.tag in (_PARAGRAPH, _TABLE):
                yield element
            else:
                yield from self.blocks(without_fallbacks(element))

    def paragraph(self, paragraph: ET.Element) -> str:
        """Its text. What text boxes, charts and diagrams in it say is kept for `beside`."""
        return "".join(self._said(paragraph)).strip()

    def beside(self) -> list[str]:
        """What has been met in text boxes, charts and diagrams since the last call."""
        found, self._beside = self._beside, []
        return found

    def table(self, table: ET.Element) -> str:
        """Its rows, one a line; tables inside its cells become part of the cell."""
        rows = (line for line in _inside(table, _ROW) if line.find(f"{_W}trPr/{_W}del") is None)
        return "\n".join(filter(None, (row([self._cell(cell) for cell in _inside(line, _CELL)]) for line in rows)))

    def texts(self, elements: Iterator[ET.Element]) -> list[str]:
        """One text for each paragraph and table that says something."""
        blocks = self.blocks(elements)
        texts = (self.table(block) if block.tag == _TABLE else self.paragraph(block) for block in blocks)
        return [text for text in texts if text]

    def _cell(self, cell: ET.Element) -> str:
        return "\n".join(self.texts(iter(cell)))

    def _said(self, element: ET.Element) -> Iterator[str]:
        for part in without_fallbacks(element):
            if part.tag in (_TEXT, MATH):
                yield part.text or ""
            elif part.tag in _SAID:
                yield _SAID[part.tag]
            elif part.tag == _TEXT_BOX:
                self._beside += self.texts(iter(part))
            elif part.tag not in _UNSAID and not _is_hidden(part):
                if graphic := graphic_text(part, self._package, self._relations):
                    self._beside.append(graphic)
                yield from self._said(part)


def _inside(element: ET.Element, tag: str) -> Iterator[ET.Element]:
    """The rows of a table or the cells of a row, also where a content control stands between."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent"):
            yield from _inside(child, tag)


def _is_hidden(run: ET.Element) -> bool:
    properties = run.find(_RUN_PROPERTIES)
    hidden = properties.find(_HIDDEN) if properties is not None else None
    return hidden is not None and hidden.get(f"{_W}val", "1") not in ("0", "false", "off")


def _is_heading(paragraph: ET.Element, headings: frozenset[str]) -> bool:
    properties = paragraph.find(_PARAGRAPH_PROPERTIES)
    if properties is None:
        return False
    level = properties.find(f"{_W}outlineLvl")
    if level is not None:
        return _level(level) < _BODY_LEVEL
    name = _value(properties, "pStyle")
    return name in headings or bool(_HEADING_NAME.fullmatch(name))


def _heading_styles(package: Package, main: str) -> frozenset[str]:
    """The ids of the styles that make a heading: by name, by outline level, or because the style they build on does."""
    levels: dict[str, bool] = {}
    parents: dict[str, str] = {}
    for part in package.related(main, "styles"):
        for style in package.tree(part).iter(f"{_W}style"):
            name = style.get(f"{_W}styleId", "")
            parents[name] = _value(style, "basedOn")
            level = style.find(f"{_W}pPr/{_W}outlineLvl")
            if level is not None:
                levels[name] = _level(level) < _BODY_LEVEL
            elif _HEADING_NAME.fullmatch(_value(style, "name")):
                levels[name] = True
    return frozenset(name for name in parents if _inherited(name, levels, parents))


def _inherited(name: str, levels: dict[str, bool], parents: dict[str, str]) -> bool:
    for _ in range(_MOST_ANCESTORS):
        if name in levels:
            return levels[name]
        name = parents.get(name, "")
    return False


def _value(element: ET.Element, name: str) -> str:
    found = element.find(f"{_W}{name}")
    return found.get(f"{_W}val", "") if found is not None else ""


def _level(level: ET.Element) -> int:
    return int(level.get(f"{_W}val", str(_BODY_LEVEL)))


def _notes(package: Package, main: str, kind: str) -> Iterator[str]:
    for part in package.related(main, kind):
        reader = _Reader(package, package.relations(part))
        for note in package.tree(part):
            # The others are the lines that separate notes from text.
            if note.get(f"{_W}type") in (None, "normal"):
                texts = reader.texts(iter(note))
                if text := normalise("\n".join([*texts, *reader.beside()])).strip():
                    yield text
