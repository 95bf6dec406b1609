"""HTML, as a page, a chapter of a book or the body of a mail: what a browser shows, in the order it shows it."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.flow import Flow, row
from apps.knowledge.extraction.formats.plain import decode
from apps.knowledge.extraction.sections import Section, Sections
from apps.knowledge.extraction.source import Source, whole
from apps.knowledge.media_types import text_encoding, without_controls

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_DECLARED_ENCODING = re.compile(rb"(?:<meta[^>]+charset|<\?xml[^>]+encoding)\s*=\s*[\"']?\s*([\w-]+)", re.I)
_XHTML_STARTS = ("<?xml", "<html xmlns", "<!DOCTYPE html PUBLIC")
_SELF_CLOSED = re.compile(r"""<([a-zA-Z][\w.:-]*+)((?:[^<>"'/]|/(?!>)|"[^"]*+"|'[^']*+')*+)/>""")
_NOT_SHOWN = frozenset(
    ("head", "script", "style", "template", "noscript", "nav", "svg", "canvas", "iframe", "object", "audio", "video")
) | frozenset(("datalist", "rp", "rt", "-comment"))
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_PARAGRAPHS = (
    _HEADINGS
    | frozenset(("p", "blockquote", "pre", "ul", "ol", "dl", "table", "caption", "figure", "figcaption", "article"))
    | frozenset(("section", "main", "header", "footer", "aside", "hr", "form", "fieldset", "details", "address"))
)
_LINES = frozenset(("div", "center", "br", "li", "dt", "dd", "tr", "summary")) | frozenset(
    ("legend", "label", "select", "option", "textarea", "button")
)
_AS_IT_IS = frozenset(("pre", "textarea"))
_CELLS = frozenset(("td", "th"))


def read_html(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """A section per heading. Scripts, styles, navigation and what the browser hides are left out."""
    sections = html_sections(decode_html(whole(source)))
    if not sections:
        raise ExtractionFailed("empty")
    return sections


def decode_html(content: bytes) -> str:
    """HTML as text, in the encoding that it names where its bytes allow it. Stray control bytes do not matter."""
    if text_encoding(content) is None:
        content = without_controls(content)
    declared = _DECLARED_ENCODING.search(content[:2048])
    html = decode(content, declared[1].decode() if declared else None)
    if html.lstrip("\ufeff \n\r\t").startswith(_XHTML_STARTS):
        # To an HTML parser `<title/>` is a title that goes on to the end, and it swallows the page.
        return _SELF_CLOSED.sub(r"<\1\2></\1>", html)
    return html


def html_sections(html: str) -> list[Section]:
    """HTML cut at its headings. Each section's text begins with its heading."""
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(html).body
    page = _Page()
    for node, entered in _walk(body) if body is not None else ():
        page.enter(node) if entered else page.leave(node)
    return page.finish()


def links(html: str, within: str) -> list[tuple[str, str]]:
    """Address and words of the links inside the first element that a CSS selector finds."""
    from selectolax.lexbor import LexborHTMLParser

    found = LexborHTMLParser(html).css_first(within)
    anchors = found.css("a[href]") if found is not None else []
    return [(anchor.attributes["href"] or "", " ".join(anchor.text().split())) for anchor in anchors]


def _walk(root: "LexborNode") -> "Iterator[tuple[LexborNode, bool]]":
    """Each node that is shown, when it begins (True) and when it ends (False). No recursion: pages nest deeply."""
    node: LexborNode | None = root
    while node is not None:
        shown = _is_shown(node)
        if shown:
            yield node, True
            if node.child is not None:
                node = node.child
                continue
            yield node, False
        while node is not None and node.mem_id != root.mem_id and node.next is None:
            node = node.parent
            if node is not None:
                yield node, False
        node = node.next if node is not None and node.mem_id != root.mem_id else None


def _is_shown(node: "LexborNode") -> bool:
    if node.tag in _NOT_SHOWN:
        return False
    if node.tag == "-text":
        return True
    attributes = node.attributes
    if "hidden" in attributes or attributes.get("type") == "hidden":
        return False
    return not _HIDDEN.search(attributes.get("style") or "")


class _Page:
    """Sections, the text that runs, and the tables that are open, as nodes begin and end."""

    def __init__(self) -> None:
        self._sections = Sections()
        self._flow = Flow()
        # Per open table: the text around it, and the cells of its current row.
        self._tables: list[tuple[Flow, list[str]]] = []
        self._as_it_is = 0

    def enter(self, node: "LexborNode") -> None:
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            self._flow.add_as_it_is(text) if self._as_it_is else self._flow.add(text)
            return
        self._break(tag)
        if tag in _HEADINGS and not self._tables:
            self._end_section_text()
        elif tag == "table":
            self._tables.append((self._flow, []))
        elif tag in _CELLS and self._tables:
            self._flow = Flow()
        elif tag in _AS_IT_IS:
            self._as_it_is += 1
        elif tag == "img":
            self._flow.add(f" {node.attributes.get('alt') or ''} ")

    def leave(self, node: "LexborNode") -> None:
        tag = node.tag
        if tag in _HEADINGS and not self._tables:
            self._sections.start(str(self._flow))
            self._flow = Flow()
        elif tag == "table":
            self._tables.pop()
        elif tag == "tr" and self._tables:
            self._end_row()
        elif tag in _CELLS and self._tables:
            self._tables[-1][1].append(str(self._flow))
            self._flow = self._tables[-1][0]
        elif tag in _AS_IT_IS:
            self._as_it_is -= 1
        self._break(tag)

    def finish(self) -> list[Section]:
        self._end_section_text()
        return self._sections.finish()

    def _break(self, tag: str | None) -> None:
        if tag in _PARAGRAPHS:
            self._flow.end_paragraph()
        elif tag in _LINES:
            self._flow.end_line()

    def _end_section_text(self) -> None:
        self._sections.add(str(self._flow))
        self._flow = Flow()

    def _end_row(self) -> None:
        around, cells = self._tables[-1]
        around.add_as_it_is(row(cells) if any(cells) else "")
        around.end_line()
        cells.clear()
