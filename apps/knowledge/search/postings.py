"""Postings, packed: which passage holds a lexeme how often.

A row of `Posting.data` holds up to `LONGEST_ROW` entries of 12 bytes in the order of Postgres's `int4send`: ordinal of
the version, position of the passage in it, how often it holds the lexeme, how many words it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.knowledge.search.ranking import Floats, Integers

# What an entry of a covering index has room for, besides a long lexeme.
LONGEST_ROW = 128
# Two bytes each. More is as good as this much.
MOST = 32767
ENTRY = np.dtype([("ordinal", ">u4"), ("position", ">u4"), ("frequency", ">u2"), ("length", ">u2")])
_LIVE = np.dtype([("ordinal", ">u4"), ("span", ">u4")])

type Entries = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Places:
    """The passages that a search looks at, numbered without gaps: version after version, by ordinal.

    `first` says for each ordinal where its passages begin, -1 for one that is not looked at. `count` is how many
    numbers there are, those of hidden passages included.
    """

    ordinals: Integers
    starts: Integers
    first: Integers
    count: int

    @classmethod
    def of(cls, live: bytes | None) -> "Places":
        """From pairs of ordinal and span (one more than the last position), packed as `int4send` does."""
        pairs = np.frombuffer(live or b"", dtype=_LIVE)
        pairs = pairs[pairs["span"] > 0]
        ordinals = pairs["ordinal"].astype(np.int64)
        order = np.argsort(ordinals)
        ordinals, spans = ordinals[order], pairs["span"].astype(np.int64)[order]
        ends = np.cumsum(spans)
        starts = ends - spans
        first = np.full(int(ordinals[-1]) + 1 if len(ordinals) else 1, -1, dtype=np.int64)
        first[ordinals] = starts
        return cls(ordinals, starts, first, int(ends[-1]) if len(ends) else 0)

    def numbers(self, ordinals: Any, positions: Any) -> Integers:
        """The number of each passage; -1 for one that is not looked at."""
        ordinals = np.asarray(ordinals, dtype=np.int64)
        known = ordinals < len(self.first)
        starts = np.where(known, self.first[np.where(known, ordinals, 0)], -1)
        return np.where(starts >= 0, starts + np.asarray(positions, dtype=np.int64), -1)

    def versions(self, numbers: Integers) -> Integers:
        """Which of the versions, counted from 0 in order of their ordinals, each passage belongs to."""
        return np.searchsorted(self.starts, numbers, side="right") - 1

    def named(self, numbers: Integers) -> tuple[Integers, Integers]:
        """Ordinal and position of passages."""
        versions = self.versions(numbers)
        return self.ordinals[versions], numbers - self.starts[versions]


@dataclass(frozen=True, slots=True)
class Holders:
    """The passages looked at that hold a word, each once."""

    numbers: Integers
    frequencies: Floats
    lengths: Floats

    @classmethod
    def of(cls, data: bytes, places: Places) -> "Holders":
        """From packed entries, without those of versions that are not looked at."""
        entries = np.frombuffer(data, dtype=ENTRY)
        numbers = places.numbers(entries["ordinal"], entries["position"])
        kept = numbers >= 0
        frequencies, lengths = entries["frequency"][kept], entries["length"][kept]
        return cls(numbers[kept], frequencies.astype(np.float64), lengths.astype(np.float64))

    @classmethod
    def of_any(cls, alternatives: Sequence["Holders"]) -> "Holders":
        """Those that hold any of several words that count as one."""
        if len(alternatives) == 1:
            return alternatives[0]
        every = np.concatenate([one.numbers for one in alternatives])
        numbers, places, inverse = np.unique(every, return_index=True, return_inverse=True)
        frequencies = np.bincount(inverse, np.concatenate([one.frequencies for one in alternatives]))
        return cls(numbers, frequencies, np.concatenate([one.lengths for one in alternatives])[places])


def pack(entries: Entries) -> list[bytes]:
    """Rows of entries, in order of version and passage."""
    ordered = np.sort(entries, order=["ordinal", "position"])
    return [ordered[start : start + LONGEST_ROW].tobytes() for start in range(0, len(ordered), LONGEST_ROW)]
