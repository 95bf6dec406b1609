"""Libraries that nobody wrote, with the proportions of real ones: words by Zipf's law, meanings around topics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.knowledge.embedding import DIMENSIONS

type Floats = NDArray[np.float32]
type Integers = NDArray[np.int64]

WORDS = 40_000
# Zipf's law with Mandelbrot's correction, and without the words that no index holds: the most frequent one left is in
# a third of all passages.
_FLATTER, _STEEP = 60.0, 1.4
# A topic's own words, none of them among the most frequent of the language, and their share of a text.
_TOPIC_WORDS, _COMMON, _TOPIC_SHARE = 200, 100, 0.35
# With these a passage has about 66 different words, its document's title included.
_SHORTEST, _LONGEST = 50, 84
_TITLE_WORDS = 4
# Real meanings use some directions far more than others, and texts that belong together lie closer. So chosen that a
# sample looks like 1,536 docstrings of Python packages to MiniLM (in brackets, around their mean): cosine of any two
# 0.00 +- 0.11 (0.11), with the nearest 0.58 (0.59), with the tenth 0.28 (0.36); participation ratio 75 (80); local
# dimension by the distances to 20 neighbours (Levina & Bickel 2004) 17 (17).
_DECAY = 0.39
# How far a document lies from its topic, a passage from its document, and a question from what answers it.
_DOCUMENT_AWAY, _PASSAGE_AWAY, _QUESTION_AWAY = 0.55, 0.75, 1.0
_CONSONANTS, _VOWELS, _LAST = "bdfgklmnprstvz", "aeiou", "bgkmpz"


@dataclass(frozen=True, slots=True)
class Written:
    """A document: its title, its passages, and their meanings."""

    title: str
    texts: Sequence[str]
    vectors: Floats


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the vector that an embedder would have made of it."""

    text: str
    vector: Floats


class Corpus:
    """What may be written about some topics. All of them share one language, as far as words are frequent."""

    def __init__(self, language: Sequence[str], *, topics: int, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._language = np.array(language, dtype=object)
        self._frequent = _zipf(len(language))
        size = min(_TOPIC_WORDS, len(language))
        first, last = np.log(min(_COMMON, len(language) // 2)), np.log(len(language))
        self._topics = np.exp(self._chance.uniform(first, last, (topics, size))).astype(np.int64)
        self._favourite = _zipf(size)
        self._centres = spread(self._chance, topics)

    def write(self, passages: int) -> Written:
        """A document about one of the topics."""
        topic = self._chance.integers(len(self._topics))
        title = " ".join(self._words(topic, 1, _TITLE_WORDS)[0]).capitalize()
        lengths = self._chance.integers(_SHORTEST, _LONGEST + 1, passages)
        words = self._words(topic, passages, _LONGEST)
        texts = [" ".join(row[:length]) for row, length in zip(words, lengths, strict=True)]
        centre = moved(self._chance, self._centres[topic : topic + 1], _DOCUMENT_AWAY)
        return Written(title, texts, moved(self._chance, np.repeat(centre, passages, axis=0), _PASSAGE_AWAY))

    def ask(self) -> Asked:
        """A question about one of the topics, of three to six words."""
        topic = self._chance.integers(len(self._topics))
        words = self._words(topic, 1, int(self._chance.integers(3, 7)), share=0.7)[0]
        centre = self._centres[topic : topic + 1]
        for away in (_DOCUMENT_AWAY, _PASSAGE_AWAY, _QUESTION_AWAY):
            centre = moved(self._chance, centre, away)
        return Asked(" ".join(words), centre[0])

    def _words(self, topic: Any, rows: int, count: int, share: float = _TOPIC_SHARE) -> NDArray[Any]:
        shape = (rows, count)
        common = np.searchsorted(self._frequent, self._chance.random(shape))
        own = self._topics[topic][np.searchsorted(self._favourite, self._chance.random(shape))]
        return self._language[np.where(self._chance.random(shape) < share, own, common)]  # type: ignore[no-any-return]


def make_language(words: int = WORDS, seed: int = 1) -> list[str]:
    """So many different words, the most frequent first. No stemmer finds an ending to cut off from them."""
    chance = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < words:
        syllables = int(chance.integers(2, 5))
        letters = [
            chance.choice(list(kind)) for kind in (_CONSONANTS, _VOWELS) * (syllables - 1) + (_CONSONANTS, _VOWELS)
        ]
        found["".join(letters) + chance.choice(list(_LAST))] = None
    return list(found)


def spread(chance: np.random.Generator, rows: int) -> Floats:
    """Vectors of length 1, in some directions more than in others."""
    weights = np.arange(1, DIMENSIONS + 1) ** -_DECAY
    return _unit(chance.standard_normal((rows, DIMENSIONS), dtype=np.float32) * weights)


def moved(chance: np.random.Generator, vectors: Floats, away: float) -> Floats:
    """Vectors of length 1 near others: `away` is the tangent of the angle between, more or less."""
    return _unit(vectors + away * spread(chance, len(vectors)))


def _unit(vectors: NDArray[Any]) -> Floats:
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _zipf(count: int) -> NDArray[np.float64]:
    """How probable each word is, summed up: 0 to 1, to be looked up by a number drawn between."""
    weights = (np.arange(count) + 1 + _FLATTER) ** -_STEEP
    summed: NDArray[np.float64] = np.cumsum(weights) / weights.sum()
    return summed
