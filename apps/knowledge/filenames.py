"""Names that people give to files and documents, made safe to show anywhere."""

import re
import unicodedata

LONGEST_NAME = 200

# Joiners are letters' business in Persian and in emoji; every other invisible format character can only deceive.
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s+")
_PATH_SEPARATORS = re.compile(r"[/\\]")


def has_forbidden_characters(text: str) -> bool:
    """Whether a text holds what no database column, header or page should: control characters, half surrogates."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def clean_line(text: str) -> str:
    """One line of visible text: no control or bidirectional characters, spaces collapsed."""
    # Spaces first: a line break inside a title is a space, not nothing.
    spaced = _SPACES.sub(" ", unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode()))
    return "".join(character for character in spaced if _is_visible(character)).strip()


def display_name(name: str) -> str:
    """A file's own name: the last part of a path, visible characters only, at most 200 of them.

    Never used to build a path; it is what pages show and what a download is called.
    """
    last = _PATH_SEPARATORS.split(clean_line(name))[-1].strip(" .")
    if len(last) > LONGEST_NAME:
        stem, dot, suffix = last.rpartition(".")
        tail = dot + suffix if stem and len(suffix) <= 10 else ""
        last = last[: LONGEST_NAME - len(tail)] + tail
    return last or "document"


def title_of(filename: str) -> str:
    """The title of a document whose uploader gave none: the file's name without its suffix."""
    stem, _, suffix = filename.rpartition(".")
    return stem if stem and len(suffix) <= 10 else filename


def _is_visible(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
