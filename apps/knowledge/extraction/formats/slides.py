"""PowerPoint files (.pptx): a section per slide, with what its tables, charts, diagrams and speaker notes say."""

from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.drawing import body_text, graphic_text, relation_id, without_fallbacks
from apps.knowledge.extraction.formats.package import Package, Relation, open_package
from apps.knowledge.extraction.sections import Section, normalise
from apps.knowledge.extraction.source import Source

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_TITLES = ("title", "ctrTitle")
# On every slide alike: date, footer, header, number; and on a page of notes the picture of the slide.
_FURNITURE = ("dt", "ftr", "hdr", "sldNum", "sldImg")


def read_pptx(source: Source, report: Callable[[int, int], None]) -> list[Section]:
    """A section per slide; `page` is the number that PowerPoint shows, `heading` the slide's title.

    Hidden slides are left out, and counted.
    """
    with open_package(source) as package:
        main = package.main_part()
        relations = package.relations(main)
        slides = [relations[relation_id(slide)].target for slide in package.tree(main).iter(f"{_P}sldId")]
        sections = []
        for number, slide in enumerate(slides, start=1):
            sections += _section(package, slide, number)
            report(number, len(slides))
        if not sections:
            raise ExtractionFailed("image_only" if package.has_below("ppt/media/") else "empty")
        return sections


def _section(package: Package, part: str, number: int) -> list[Section]:
    slide = package.tree(part)
    if slide.get("show") in ("0", "false"):
        return []
    titles: list[str] = []
    texts: list[str] = []
    for kind, text in _texts(slide, package, package.relations(part)):
        (titles if kind in _TITLES else texts).append(text)
    for notes in package.related(part, "notesSlide"):
        texts += [text for _, text in _texts(package.tree(notes), package, package.relations(notes))]
    # Where a slide's title stands in the file says nothing; it is read first.
    text = normalise("\n\n".join(titles + texts))
    heading = " ".join(normalise(" ".join(titles)).split())[:200]
    return [Section(text, page=number, heading=heading)] if text else []


def _texts(element: ET.Element, package: Package, relations: dict[str, Relation]) -> Iterator[tuple[str, str]]:
    """What the shapes say, in the order in which a screen reader reads them, each with its kind of placeholder."""
    for part in without_fallbacks(element):
        kind = _placeholder(part)
        if part.tag == f"{_P}sp":
            body = part.find(f"{_P}txBody")
            if body is not None and kind not in _FURNITURE and (text := body_text(body)):
                yield kind, text
        elif text := graphic_text(part, package, relations):
            yield "", text
        else:
            yield from _texts(part, package, relations)


def _placeholder(shape: ET.Element) -> str:
    found = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return found.get("type", "obj") if found is not None else ""
