"""What both ways of looking think of passages: scores over arrays, by the numbers that `Places` gives to passages."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.knowledge.search import ranking
from apps.knowledge.search.postings import Holders, Places
from apps.knowledge.search.ranking import Floats, Integers
from apps.knowledge.search.words import Phrase, Understood
from shared.tenancy.reads import Rows

type Mask = NDArray[np.bool_]

_NEAR = np.dtype([("ordinal", ">u4"), ("position", ">u4"), ("score", ">f4")])


@dataclass(frozen=True, slots=True)
class Leg:
    """Some passages and what one way of looking thinks of them, best first unless it is said otherwise."""

    numbers: Integers
    scores: Floats

    @classmethod
    def sorted(cls, numbers: Integers, scores: Floats) -> "Leg":
        """Best first; passages that are alike stand in the order of their numbers, each time the same."""
        order = np.lexsort((numbers, -scores))
        return cls(numbers[order], scores[order])

    @classmethod
    def best(cls, numbers: Integers, scores: Floats, count: int) -> "Leg":
        """The same for the best `count`, without putting the rest in order."""
        if len(numbers) > count:
            least = np.partition(scores, len(scores) - count)[len(scores) - count]
            kept = scores >= least  # all that are alike, so that the numbers decide
            numbers, scores = numbers[kept], scores[kept]
        return cls.sorted(numbers, scores).first(count)

    def first(self, count: int) -> "Leg":
        """The best `count`."""
        return Leg(self.numbers[:count], self.scores[:count])

    def allowed(self, allowed: Mask) -> "Leg":
        """Those that are allowed, by their numbers, in the same order."""
        kept = allowed[self.numbers]
        return Leg(self.numbers[kept], self.scores[kept])

    def best_of_each(self, places: Places) -> "Leg":
        """Without the passages that another of their version beats."""
        _, firsts = np.unique(places.versions(self.numbers), return_index=True)
        return Leg(self.numbers[np.sort(firsts)], self.scores[np.sort(firsts)])


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one statement has found: `words` scores every passage looked at, `near` the nearest ones, in any order."""

    places: Places
    words: Floats
    near: Leg
    # By its name: whose vectors are sorted into cells, where that was asked for.
    cell_model: str | None
    holders: dict[str, Holders]

    def lexical(self, allowed: Mask, count: int) -> Leg:
        """The best passages that have a word and are allowed."""
        numbers = np.flatnonzero(allowed & (self.words > 0.0))
        return Leg.best(numbers, self.words[numbers], count)

    def lexical_by_version(self, allowed: Mask, count: int) -> Leg:
        """The best passage of each of the best versions."""
        scores = np.where(allowed, self.words, 0.0)
        best = np.maximum.reduceat(scores, self.places.starts) if self.places.count else scores
        versions = np.flatnonzero(best > 0.0)
        leaders = Leg.best(versions, best[versions], count)
        ends = np.append(self.places.starts[1:], self.places.count)
        numbers = [
            start + int(np.argmax(scores[start:end]))
            for start, end in zip(self.places.starts[leaders.numbers], ends[leaders.numbers], strict=True)
        ]
        return Leg(np.array(numbers, dtype=np.int64), leaders.scores)

    def holding(self, phrase: Phrase) -> Mask:
        """Of every passage looked at, whether it has each word of a phrase."""
        holds = np.ones(self.places.count, dtype=np.bool_)
        for group in phrase.groups:
            has = np.zeros(self.places.count, dtype=np.bool_)
            for lexeme in group:
                if lexeme in self.holders:
                    has[self.holders[lexeme].numbers] = True
            holds &= has
        return holds


def read_candidates(rows: Rows, question: Understood) -> Candidates:
    """Score what the statement has found. Work for a thread where there is much of it."""
    data = {kind: data for kind, _, data, _, _ in rows if kind != "posting"}
    count, words = next((passages, words) for kind, _, _, passages, words in rows if kind == "live")
    places = Places.of(data["live"])
    holders = {name: Holders.of(packed, places) for kind, name, packed, _, _ in rows if kind == "posting"}
    scores = np.zeros(places.count)
    for term in question.terms:
        alternatives = [holders[lexeme] for lexeme in term if lexeme in holders]
        if not alternatives:
            continue
        one = Holders.of_any(alternatives)
        average = words / max(count, 1)
        gain = ranking.bm25_gain(
            one.frequencies, one.lengths, holders=len(one.numbers), count=int(count), average_length=average
        )
        scores[one.numbers] += gain  # each passage is there once
    cell_model = next((name for kind, name, *_ in rows if kind == "cells"), None)
    return Candidates(places, scores, _near(data.get("near"), places), cell_model, holders)


def _near(data: bytes | None, places: Places) -> Leg:
    found = np.frombuffer(data or b"", dtype=_NEAR)
    numbers = places.numbers(found["ordinal"], found["position"])
    kept = numbers >= 0
    return Leg(numbers[kept], found["score"][kept].astype(np.float64))


@dataclass(frozen=True, slots=True)
class Ranked:
    """Passages by both scores together, best first, with what each score was. `lexical` 0: has none of the words."""

    numbers: Integers
    scores: Floats
    lexical: Floats
    vector: Floats

    def reordered(self, order: Any, scores: Floats) -> "Ranked":
        """In another order, with other scores."""
        return Ranked(self.numbers[order], scores[order], self.lexical[order], self.vector[order])


def rank(
    numbers: Integers, lexical: Floats, vector: Floats, places: Places, *, near_enough: float, by_document: bool
) -> Ranked:
    """Fuse the scores of some passages; by document, each document's scores are those of its best passages.

    A passage without any of the words must be `near_enough`.
    """
    kept = (lexical > 0.0) | (vector >= near_enough)
    numbers, lexical, vector = numbers[kept], lexical[kept], vector[kept]
    own = scores = ranking.fuse(lexical, vector)
    if by_document:
        versions, inverse = np.unique(places.versions(numbers), return_inverse=True)
        best = [np.full(len(versions), -np.inf) for _ in range(2)]
        for column, best_of in zip((lexical, vector), best, strict=True):
            np.maximum.at(best_of, inverse, column)
        scores = ranking.fuse(best[0][inverse], best[1][inverse])
    ranked = Ranked(numbers, scores, lexical, vector)
    return ranked.reordered(np.lexsort((numbers, -own, -scores)), scores)


def at_most(ranked: Ranked, places: Places, most: int, count: int) -> list[int]:
    """Where the first `count` passages stand, without those that as many as `most` of their version come before."""
    of_version: Counter[int] = Counter()
    kept: list[int] = []
    for place, version in enumerate(places.versions(ranked.numbers).tolist()):
        if of_version[version] < most:
            of_version[version] += 1
            kept.append(place)
            if len(kept) == count:
                break
    return kept
