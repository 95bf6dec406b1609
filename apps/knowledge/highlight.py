"""Which words of a passage answer the question, for a page to mark. Text in, text out: no HTML is made here.

A question is known by its lexemes, as Postgres cut them. Postgres stems with Snowball, and so does this, in the
language of the passage: what is marked is what was found.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import Stemmer

from apps.knowledge.extraction.language import CONFIGURATIONS, DEFAULT_LANGUAGE

# Signs that are written on a letter: Hindi's vowels among others. To `re` they are no part of a word.
_SIGNS = "".join(letter for letter in map(chr, range(0x300, 0x3100)) if unicodedata.category(letter) in ("Mn", "Mc"))
_WORD = re.compile(rf"\w[\w{_SIGNS}]*")
_SPACES = re.compile(r"\s+")
# In these languages Postgres takes words in Latin letters for English ones.
_LATIN_IS_ENGLISH = {"hindi", "russian"}
# Where Snowball has gone on since Postgres took it over.
_OLDER = {"dutch": "dutch_porter"}


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


def find_words(lexemes: Collection[str], text: str, language: str) -> list[Range]:
    """Where a text has words with these lexemes. `language` is the text's: ISO 639-1, or "" where it is not known."""
    return [Range(*match.span()) for match, _ in _hits(lexemes, text, language)]


def mark_words(lexemes: Collection[str], text: str, language: str) -> list[Piece]:
    """The text cut into pieces, of which the words with these lexemes are hits. Joined, the pieces are the text.

    "coaching" marks "coach" too: search finds by the word's stem, and the page should show why.
    """
    return list(_pieces(lexemes, text, language))


def excerpt(lexemes: Collection[str], text: str, language: str, *, length: int = 360) -> tuple[list[Piece], bool]:
    """About `length` characters with most of the lexemes' words, marked; and whether that is the whole text."""
    text = _SPACES.sub(" ", text).strip()
    if len(text) <= length * 1.25:
        return mark_words(lexemes, text, language), True
    start, end = _window(_hits(lexemes, text, language), text, length)
    shown = ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")
    return mark_words(lexemes, shown, language), False


def _hits(lexemes: Collection[str], text: str, language: str) -> list[tuple[re.Match[str], str]]:
    """The words of a text that have one of the lexemes, each with its own."""
    if not lexemes:
        return []
    matches = list(_WORD.finditer(text))
    stems = _stems([match.group().lower() for match in matches], language)
    return [(match, stem) for match, stem in zip(matches, stems, strict=True) if stem in lexemes]


def _stems(words: Sequence[str], language: str) -> list[str]:
    configuration = CONFIGURATIONS.get(language or DEFAULT_LANGUAGE)
    if configuration is None:
        return list(words)
    # Made each time, which takes a third of a microsecond: one must not be used by two threads.
    stems: list[str] = Stemmer.Stemmer(_OLDER.get(configuration, configuration)).stemWords(words)
    if configuration in _LATIN_IS_ENGLISH:
        english = Stemmer.Stemmer("english")
        stems = [english.stemWord(word) if word.isascii() else stem for word, stem in zip(words, stems, strict=True)]
    return stems


def _pieces(lexemes: Collection[str], text: str, language: str) -> Iterator[Piece]:
    done = 0
    for match, _ in _hits(lexemes, text, language):
        if match.start() > done:
            yield Piece(text[done : match.start()], hit=False)
        yield Piece(match.group(), hit=True)
        done = match.end()
    if done < len(text):
        yield Piece(text[done:], hit=False)


def _window(hits: list[tuple[re.Match[str], str]], text: str, length: int) -> tuple[int, int]:
    """The stretch that begins a little before a hit and holds the most different lexemes."""
    places = [(match.start(), stem) for match, stem in hits]
    best, most = 0, 0
    for place, _ in places:
        start = max(0, min(place - length // 4, len(text) - length))
        different = len({stem for at, stem in places if start <= at < start + length})
        if different > most:
            best, most = start, different
    return _at_word(text, best), _at_word(text, best + length)


def _at_word(text: str, place: int) -> int:
    """The nearest beginning of a word at or before a place; the ends stay."""
    if place <= 0 or place >= len(text):
        return max(0, min(place, len(text)))
    space = text.rfind(" ", 0, place)
    return space + 1 if space > 0 and place - space < 40 else place
