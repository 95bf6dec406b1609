"""EPUB books: a section per chapter, in the order in which the book is read."""

from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.html import decode_html, html_sections, links
from apps.knowledge.extraction.formats.package import Package, open_package, resolve
from apps.knowledge.extraction.sections import Section
from apps.knowledge.extraction.source import Source

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_CIPHER = "{http://www.w3.org/2001/04/xmlenc#}CipherReference"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(source: Source, report: Callable[[int, int], None]) -> list[Section]:
    """A section per chapter; `page` is its number in reading order, `heading` its title in the table of contents."""
    with open_package(source) as package:
        book = _book(package)
        items = {item.get("id", ""): item for item in book.tree.iterfind(f"{_OPF}manifest/{_OPF}item")}
        chapters = (item.get("idref", "") for item in book.tree.iterfind(f"{_OPF}spine/{_OPF}itemref"))
        # Some books count chapters that were taken out of them; of those there is no file.
        spine = [items[chapter] for chapter in chapters if chapter in items]
        titles = dict(_titles(package, book, items))
        locked = _locked(package)
        sections = []
        for number, item in enumerate(spine, start=1):
            part = book.part(item)
            if part in locked:
                raise ExtractionFailed("copy_protected")
            if item.get("media-type") in _PAGES:
                sections += _chapter(package.read(part), number, titles.get(part, ""))
            report(number, len(spine))
        if not sections:
            raise ExtractionFailed("image_only" if spine else "corrupt")
        return sections


class _Book:
    """The part that lists all others: its name and its tree."""

    def __init__(self, name: str, tree: ET.Element) -> None:
        self.name = name
        self.tree = tree

    def part(self, item: ET.Element) -> str:
        """The name of the part that an item of the list means."""
        return resolve(self.name, item.get("href", ""))


def _book(package: Package) -> _Book:
    for file in package.tree("META-INF/container.xml").iter(f"{_CONTAINER}rootfile"):
        name = resolve("", file.get("full-path", ""))
        return _Book(name, package.tree(name))
    raise ExtractionFailed("corrupt")


def _locked(package: Package) -> frozenset[str]:
    """The parts that only the seller's program can open. Often these are the fonts, which say nothing."""
    name = "META-INF/encryption.xml"
    if name not in package:
        return frozenset()
    return frozenset(resolve("", cipher.get("URI", "")) for cipher in package.tree(name).iter(_CIPHER))


def _chapter(content: bytes, number: int, title: str) -> list[Section]:
    parts = html_sections(decode_html(content))
    if not parts:
        return []
    heading = title or next((part.heading for part in parts if part.heading), "")
    return [Section("\n\n".join(part.text for part in parts), page=number, heading=heading[:200])]


def _titles(package: Package, book: _Book, items: dict[str, ET.Element]) -> Iterator[tuple[str, str]]:
    """Part and title of each chapter in the table of contents, last first, so that the first of a part wins."""
    entries: list[tuple[str, str]] = []
    for item in items.values():
        part = book.part(item)
        if part not in package:
            continue
        if "nav" in item.get("properties", "").split():
            entries = [(resolve(part, target), said) for target, said in links(decode_html(package.read(part)), "nav")]
            break
        if item.get("media-type") == "application/x-dtbncx+xml":
            entries = _old_titles(package, part)
    yield from reversed(entries)


def _old_titles(package: Package, part: str) -> list[tuple[str, str]]:
    try:
        points = list(package.tree(part).iter(f"{_NCX}navPoint"))
    except ET.ParseError:  # often written by hand; the chapters' own headings have to do
        return []
    entries = []
    for point in points:
        target = point.find(f"{_NCX}content")
        said = " ".join((point.findtext(f"{_NCX}navLabel/{_NCX}text") or "").split())
        if target is not None and said:
            entries.append((resolve(part, target.get("src", "")), said))
    return entries
