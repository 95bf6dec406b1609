"""Extracted text as sections: what lies on one page, or under one heading."""

import re
import unicodedata
from dataclasses import dataclass

_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\u00ad": None, "\ufeff": None}
)
# Every control character but tab and line end, and halves of characters.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
# A stranger chooses the text: no repeat may be read in two ways, or look for an end that is nowhere to be found.
_ATX_HEADING = re.compile(r"\s{0,3}#{1,6}(?=\s|$)")
_SETEXT_UNDERLINE = re.compile(r"^\s{0,3}(?:=+|-{2,})\s*$")
_TABLE_RULE = re.compile(r"^\s*+\|?(?:\s*+:?-++:?\s*+\|)++(?:\s*+:?-++:?\s*+)?$")
_NOTE_DEFINITION = re.compile(r"^\[\^[^\]\s]{1,100}\]:\s*", re.M)
_NOTE_REFERENCE = re.compile(r"\[\^[^\]\s]{1,100}\]")
_ADDRESS = r"\([^()\s]*+(?:\([^()]*+\)[^()\s]*+)*+(?:\s++\"[^\"]*+\")?\)"
_IMAGE = re.compile(rf"!\[([^\]]{{0,1000}})\]{_ADDRESS}")
_LINK = re.compile(rf"(?<!!)\[([^\]]{{0,1000}})\]{_ADDRESS}")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.{1,1000}?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]{1,1000}?)(?<=[^\s\\])\*(?![\w*])")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
# A line this long was probably broken by the margin of the page, not by its author.
_FULL_LINE = 45


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text with one place.

    `page` counts from 1 whatever the format is made of: pages, slides, sheets or chapters. `heading` is "" where there
    is none. `seconds` is where in a recording it is said.
    """

    text: str
    page: int | None = None
    heading: str = ""
    seconds: int | None = None


def normalise(text: str) -> str:
    """Text that a database column takes and a search can match: NFC, plain line ends, no control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n").translate(_LIGATURES)
    text = _UNSTORABLE.sub("", unicodedata.normalize("NFC", text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def reflow(text: str) -> str:
    """Join the lines that a page's margin broke, so that passages end where sentences do."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and line.strip() and len(lines[-1]) >= _FULL_LINE and not lines[-1].endswith((".", ":", "!", "?")):
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


class Sections:
    """Sections in the making, cut at headings. Each section's text begins with its heading."""

    def __init__(self) -> None:
        self._done: list[Section] = []
        self._heading = ""
        self._texts: list[str] = []

    def start(self, heading: str) -> None:
        """A new section begins, with its heading."""
        self._close()
        self._heading = " ".join(heading.split())

    def add(self, *texts: str) -> None:
        """Paragraphs of the section that is open; empty ones are nothing."""
        self._texts += filter(None, texts)

    def finish(self) -> list[Section]:
        """All of them. One without a word is left out; a heading with nothing under it still carries words."""
        self._close()
        return self._done

    def _close(self) -> None:
        text = normalise("\n\n".join(filter(str.strip, [self._heading, *self._texts])))
        if text:
            self._done.append(Section(text, heading=normalise(self._heading)[:200]))
        self._heading, self._texts = "", []


def markdown_sections(markdown: str) -> list[Section]:
    """Cut Markdown at its headings (not those inside code). Each section's text begins with its heading."""
    sections = Sections()
    body: list[str] = []
    for line, title in _lines_with_headings(markdown):
        if title is None:
            body.append(line)
            continue
        sections.add(plain("\n".join(body)))
        sections.start(title)
        body = []
    sections.add(plain("\n".join(body)))
    return sections.finish()


def _lines_with_headings(markdown: str) -> list[tuple[str, str | None]]:
    """Each line with the heading it makes, or None."""
    lines = markdown.split("\n")
    found: list[tuple[str, str | None]] = []
    start = _end_of_front_matter(lines)
    found += [(line, None) for line in lines[1 : start - 1]] if start else []
    fenced = ""
    for line in lines[start:]:
        fence = _FENCE.match(line)
        if fence and (not fenced or fence[1] == fenced):
            fenced = "" if fenced else fence[1]
            found.append(("", None))
        elif fenced:
            found.append((line, None))
        elif marks := _ATX_HEADING.match(line):
            found.append((line, _title(_without_closing_marks(line[marks.end() :].strip()))))
        elif _SETEXT_UNDERLINE.match(line) and _may_be_heading(found):
            found[-1] = (found[-1][0], _title(found[-1][0]))
        else:
            found.append((line, None))
    return found


def _end_of_front_matter(lines: list[str]) -> int:
    if lines and lines[0].strip() == "---":
        for number, line in enumerate(lines[1:200], start=1):
            if line.strip() in ("---", "..."):
                return number + 1
    return 0


def _may_be_heading(found: list[tuple[str, str | None]]) -> bool:
    if not found or found[-1][1] is not None:
        return False
    line, before = found[-1][0].strip(), found[-2][0].strip() if len(found) > 1 else ""
    return bool(line) and not line.startswith(("|", ">", "-", "*", "#")) and not before


def _without_closing_marks(title: str) -> str:
    bare = title.rstrip("#")
    return title if bare and not bare[-1].isspace() else bare


def _title(markdown: str) -> str:
    return " ".join(plain(markdown).split())


def plain(markdown: str) -> str:
    """Markdown without its marks: what a reader would see, with no address or picture in it."""
    text = "\n".join(_plain_line(line) for line in markdown.split("\n") if not _TABLE_RULE.match(line))
    text = _NOTE_REFERENCE.sub("", _NOTE_DEFINITION.sub("", text))
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _EMPHASIS.sub(r"\1", _STRONG.sub(r"\2", text))
    return normalise(_ESCAPE.sub(r"\1", text)).strip()


def _plain_line(line: str) -> str:
    stripped = line.strip()
    if len(stripped) > 1 and stripped.startswith("|") and stripped.endswith("|"):
        return " | ".join(cell.strip() for cell in stripped[1:-1].split("|"))
    return line
