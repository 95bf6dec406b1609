"""Text that people type, made safe to keep and to show anywhere."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

# Joiners are letters' business in Persian and in emoji; every other invisible format character can only deceive.
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s+")


def has_forbidden_characters(text: str) -> bool:
    """Whether a text holds what no database column, header or page should: control characters, half surrogates."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def clean_line(text: str) -> str:
    """One line of visible text: no control or bidirectional characters, spaces collapsed."""
    # Spaces first: a line break inside a title is a space, not nothing.
    spaced = _SPACES.sub(" ", unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode()))
    return "".join(character for character in spaced if _is_visible(character)).strip()


def _is_visible(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def refuse_controls(text: str) -> str:
    """The text as it came. Raises ValueError for control characters."""
    if has_forbidden_characters(text):
        raise ValueError("must not contain control characters")
    return text


def visible_line(text: str) -> str:
    """One clean line. Raises ValueError for control characters, or when nothing visible is left."""
    cleaned = clean_line(refuse_controls(text))
    if not cleaned:
        raise ValueError("must contain visible characters")
    return cleaned


def visible_text(text: str) -> str:
    """Text of several lines, trimmed. Raises ValueError for other controls, or when nothing visible is left."""
    refuse_controls(text.replace("\n", "").replace("\t", ""))
    if not clean_line(text):
        raise ValueError("must contain visible characters")
    return unicodedata.normalize("NFC", text).strip()


# What an API takes. SafeText is kept as it came; VisibleText is one clean line.
SafeText = Annotated[str, AfterValidator(refuse_controls)]
VisibleText = Annotated[str, AfterValidator(visible_line)]
Label = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(visible_line)]
