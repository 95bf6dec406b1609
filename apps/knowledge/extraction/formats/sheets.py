"""Excel files (.xlsx): a section per sheet, a line per row, with dates and percentages as a person reads them."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.drawing import body_text, graphic_text, relation_id, without_fallbacks
from apps.knowledge.extraction.formats.package import Package, Relation, open_package
from apps.knowledge.extraction.sections import Section, normalise
from apps.knowledge.extraction.source import Source

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_SHAPE_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}txBody"
# Formats that have a number instead of a pattern, those of East Asian dates included.
_DATES = frozenset({*range(14, 18), *range(27, 32), *range(34, 37), *range(50, 59)})
_TIMES = frozenset({*range(18, 22), *range(32, 34), *range(45, 48)})
_PERCENTAGES = frozenset({9, 10})
# Colours, conditions and fixed words of a pattern say nothing about what the number is; [h] does.
_ASIDE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.I)
# How Excel writes what XML cannot hold, and the end of a line: _x000D_.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_COLUMN = re.compile(r"[A-Z]+")
# Empty cells between two others are kept, so that columns stay in line; not the sixteen thousand of a stray one.
_WIDEST_GAP = 30
_LONGEST_PATTERN = 255
_LAST_DAY = 2_958_466  # of the year 9999


def read_xlsx(source: Source, report: Callable[[int, int], None]) -> list[Section]:
    """A section per sheet; `page` counts the sheets that are shown, `heading` is the sheet's name.

    Formulas are read as the values they had when the file was saved. Hidden sheets are left out.
    """
    with open_package(source) as package:
        main = package.main_part()
        relations, book = package.relations(main), package.tree(main)
        shown = [sheet for sheet in book.iter(f"{_S}sheet") if sheet.get("state", "visible") == "visible"]
        values = _Values(package, main, book)
        sections = []
        for number, sheet in enumerate(shown, start=1):
            name = " ".join(normalise(sheet.get("name", "")).split())
            part = relations[relation_id(sheet)].target
            text = normalise(
                "\n\n".join(filter(None, ["\n".join(_rows(package, part, values)), *_drawn(package, part)]))
            )
            if text:
                sections.append(Section(f"{name}\n\n{text}".strip(), page=number, heading=name[:200]))
            report(number, len(shown))
        if not sections:
            raise ExtractionFailed("image_only" if package.has_below("xl/media/") else "empty")
        return sections


def _rows(package: Package, part: str, values: "_Values") -> Iterator[str]:
    for line in package.children(part, f"{_S}sheetData"):
        cells: list[str] = []
        last = 0
        for place, cell in enumerate(line, start=1):
            if text := " ".join(values.of(cell).split()):
                column = _column(cell.get("r", "")) or place
                cells += [""] * min(column - last - 1, _WIDEST_GAP) if cells else []
                cells.append(text)
                last = column
        if cells:
            yield " | ".join(cells)


def _column(reference: str) -> int:
    letters = _COLUMN.match(reference)
    number = 0
    for letter in letters[0][:3] if letters else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _drawn(package: Package, part: str) -> Iterator[str]:
    """What text boxes, charts and diagrams on a sheet say."""
    for drawing in package.related(part, "drawing"):
        yield from _texts(package.tree(drawing), package, package.relations(drawing))


def _texts(element: ET.Element, package: Package, relations: dict[str, Relation]) -> Iterator[str]:
    for child in without_fallbacks(element):
        if text := body_text(child) if child.tag == _SHAPE_TEXT else graphic_text(child, package, relations):
            yield text
        else:
            yield from _texts(child, package, relations)


class _Values:
    """Cells as text, with the book's shared texts and number formats."""

    def __init__(self, package: Package, main: str, book: ET.Element) -> None:
        self._texts = [
            _text(item)
            for part in package.related(main, "sharedStrings")
            for item in package.children(part, f"{_S}sst")
        ]
        self._kinds = [kind for part in package.related(main, "styles") for kind in _kinds(package.tree(part))]
        properties = book.find(f"{_S}workbookPr")
        from_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        # Excel believes that 1900 was a leap year, which moves its first day, from March on, to here.
        self._first_day = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001

    def of(self, cell: ET.Element) -> str:
        """A cell's value as a person reads it; "" where it is empty."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text(cell)
        value = (cell.findtext(f"{_S}v") or "").strip()
        if kind == "s" and value:
            return self._texts[int(value)]
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, "")
        return self._number(value, cell.get("s", "0")) if kind == "n" and value else value

    def _number(self, value: str, style: str) -> str:
        number = float(value)
        kind = self._kinds[int(style)] if int(style) < len(self._kinds) else ""
        if kind == "percent":
            return f"{number * 100:.15g}%"
        if kind in ("date", "time", "both", "elapsed") and 0 <= number < _LAST_DAY:
            return self._moment(number, kind)
        # The 17th digit of 0.1 + 0.2 is the computer's, not the author's.
        return f"{number:.15g}" if abs(number) < 1e15 else value

    def _moment(self, number: float, kind: str) -> str:
        seconds = round(number * 86400)
        if kind == "elapsed":
            return f"{seconds // 3600}:{seconds % 3600 // 60:02}"
        moment = self._first_day + timedelta(seconds=seconds)
        clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        day = f"{moment:%Y-%m-%d}"
        return {"date": day, "time": clock}.get(kind, f"{day} {clock}")


def _text(item: ET.Element) -> str:
    """The runs of a text, without how its signs are pronounced."""
    aloud = {id(part) for reading in item.iter(f"{_S}rPh") for part in reading.iter()}
    said = "".join(part.text or "" for part in item.iter(f"{_S}t") if id(part) not in aloud)
    return _ESCAPED.sub(lambda character: chr(int(character[1], 16)), said)


def _kinds(styles: ET.Element) -> Iterator[str]:
    """For each cell style what its numbers are: "date", "time", "both", "elapsed", "percent", or "" for a number."""
    patterns = {f.get("numFmtId"): f.get("formatCode", "") for f in styles.iterfind(f"{_S}numFmts/{_S}numFmt")}
    for style in styles.iterfind(f"{_S}cellXfs/{_S}xf"):
        number = style.get("numFmtId", "0")
        yield _kind_of_pattern(patterns[number]) if number in patterns else _kind_of_number(int(number))


def _kind_of_number(number: int) -> str:
    if number == 22:
        return "both"
    if number == 46:
        return "elapsed"
    kinds = {"date": _DATES, "time": _TIMES, "percent": _PERCENTAGES}
    return next((kind for kind, numbers in kinds.items() if number in numbers), "")


def _kind_of_pattern(pattern: str) -> str:
    positive = _ASIDE.sub("", pattern.partition(";")[0][:_LONGEST_PATTERN]).lower()
    if "general" in positive:
        return ""
    if "[" in positive:
        return "elapsed"
    clock, day = any(letter in positive for letter in "hs"), any(letter in positive for letter in "yd")
    if clock or day or "m" in positive:
        return "both" if clock and day else "time" if clock else "date"
    return "percent" if "%" in positive else ""
