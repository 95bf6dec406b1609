"""Which words of a passage answer the question, for a page to mark. Text in, text out: no HTML is made here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_SPACES = re.compile(r"\s+")
# Longest first: "ings" before "s".
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "edly", "ies", "ed", "es", "ly", "s", "e", "y")
_SHORTEST_STEM = 3
# Words that a question is made of and that no passage should light up for.
_COMMON = frozenset(
    [
        "a",
        "about",
        "am",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "my",
        "not",
        "of",
        "on",
        "or",
        "our",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "they",
        "this",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; `hit` says whether to mark it."""

    text: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Range:
    """Characters of a text, counted from 0: from `start` up to, not including, `end`."""

    start: int
    end: int


def find_words(query: str, text: str) -> list[Range]:
    """Where a text has words of the query, whatever their endings."""
    stems = _stems(query)
    return [Range(*match.span()) for match in _WORD.finditer(text) if _stem(match.group()) in stems]


def mark_words(query: str, text: str) -> list[Piece]:
    """The text cut into pieces, of which the words of the query are hits. Joined, the pieces are the text.

    "coaching" marks "coach" too: search finds by the word's stem, and the page should show why.
    """
    return list(_pieces(_stems(query), text))


def excerpt(query: str, text: str, *, length: int = 360) -> tuple[list[Piece], bool]:
    """About `length` characters with most of the query's words, marked; and whether that is the whole text."""
    text = _SPACES.sub(" ", text).strip()
    if len(text) <= length * 1.25:
        return mark_words(query, text), True
    start, end = _window(_stems(query), text, length)
    shown = ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")
    return mark_words(query, shown), False


def _stems(query: str) -> frozenset[str]:
    words = {match.group().casefold() for match in _WORD.finditer(query)}
    return frozenset(_stem(word) for word in words - _COMMON or words)


def _stem(word: str) -> str:
    word = word.casefold()
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    # "cancelled" and "cancel", "running" and "run".
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] == word[-2] else word


def _pieces(stems: frozenset[str], text: str) -> Iterator[Piece]:
    done = 0
    for match in _WORD.finditer(text):
        if _stem(match.group()) in stems:
            if match.start() > done:
                yield Piece(text[done : match.start()], hit=False)
            yield Piece(match.group(), hit=True)
            done = match.end()
    if done < len(text):
        yield Piece(text[done:], hit=False)


def _window(stems: frozenset[str], text: str, length: int) -> tuple[int, int]:
    """The stretch that begins a little before a hit and holds the most different words of the query."""
    hits = [(match.start(), stem) for match in _WORD.finditer(text) if (stem := _stem(match.group())) in stems]
    best, most = 0, 0
    for place, _ in hits:
        start = max(0, min(place - length // 4, len(text) - length))
        different = len({stem for at, stem in hits if start <= at < start + length})
        if different > most:
            best, most = start, different
    return _at_word(text, best), _at_word(text, best + length)


def _at_word(text: str, place: int) -> int:
    """The nearest beginning of a word at or before a place; the ends stay."""
    if place <= 0 or place >= len(text):
        return max(0, min(place, len(text)))
    space = text.rfind(" ", 0, place)
    return space + 1 if space > 0 and place - space < 40 else place
