"""Postings, packed: which passage holds a lexeme how often.

A row of `Posting.data` holds up to `LONGEST_ROW` entries of 12 bytes in the order of Postgres's `int4send`: ordinal of
the version, position of the passage in it, how often it holds the lexeme, how many words it has.

A passage that is edited or hidden is indexed by itself, under an ordinal of its own: a patch of its version. Of such a
passage only the entries under the patch's ordinal count.
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
# What `Version.patches` is made of. The row of an index has to hold all of them.
PATCH = np.dtype([("ordinal", ">u4"), ("position", ">u4")])
MOST_PATCHES = 200

type Entries = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Places:
    """The passages that a search looks at, numbered without gaps: version after version, by ordinal.

    `first` says for each ordinal, those of patches included, where the passages of its version begin, -1 for one that
    is not looked at. `count` is how many numbers there are, those of hidden passages included. `patches` has the
    patches of each version with any, by its ordinal; `counting` then says under which ordinal each passage's entries
    count.
    """

    ordinals: Integers
    starts: Integers
    first: Integers
    count: int
    patches: dict[int, bytes]
    counting: Integers | None

    @classmethod
    def of(cls, live: bytes) -> "Places":
        """From how many versions there are; ordinal and span (one more than the last position) of each; and ordinal,
        number of patches and these of each that has any. All packed as `int4send` does."""
        many = int.from_bytes(live[:4])
        pairs = np.frombuffer(live, dtype=_LIVE, count=many, offset=4)
        pairs = pairs[pairs["span"] > 0]
        ordinals = pairs["ordinal"].astype(np.int64)
        order = np.argsort(ordinals)
        ordinals, spans = ordinals[order], pairs["span"].astype(np.int64)[order]
        ends = np.cumsum(spans)
        starts = ends - spans
        patches = _read_patches(live, 4 + many * _LIVE.itemsize)
        patched = {ordinal: np.frombuffer(packed, dtype=PATCH) for ordinal, packed in patches.items()}
        every = np.concatenate([ordinals, *(one["ordinal"] for one in patched.values())])
        first = np.full(int(every.max(initial=0)) + 1, -1, dtype=np.int64)
        first[ordinals] = starts
        counting = np.repeat(ordinals, spans)
        for ordinal, one in patched.items():
            first[one["ordinal"]] = first[ordinal]
            counting[first[ordinal] + one["position"].astype(np.int64)] = one["ordinal"]
        count = int(ends[-1]) if len(ends) else 0
        return cls(ordinals, starts, first, count, patches, counting if patched else None)

    def numbers(self, ordinals: Any, positions: Any) -> Integers:
        """The number of each passage; -1 for one that is not looked at."""
        ordinals = np.asarray(ordinals, dtype=np.int64)
        known = ordinals < len(self.first)
        starts = np.where(known, self.first[np.where(known, ordinals, 0)], -1)
        return np.where(starts >= 0, starts + np.asarray(positions, dtype=np.int64), -1)

    def counted(self, ordinals: Any, positions: Any) -> Integers:
        """The number of the passage that each entry is about; -1 for an entry that does not count."""
        numbers = self.numbers(ordinals, positions)
        if self.counting is None:
            return numbers
        return np.where((numbers >= 0) & (self.counting[numbers] == ordinals), numbers, -1)

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
        """From packed entries, without those that do not count."""
        entries = np.frombuffer(data, dtype=ENTRY)
        numbers = places.counted(entries["ordinal"], entries["position"])
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


def _read_patches(packed: bytes, start: int) -> dict[int, bytes]:
    found = {}
    while start < len(packed):
        ordinal, count = int.from_bytes(packed[start : start + 4]), int.from_bytes(packed[start + 4 : start + 8])
        end = start + 8 + count * PATCH.itemsize
        found[ordinal] = packed[start + 8 : end]
        start = end
    return found


def pack(entries: Entries) -> list[bytes]:
    """Rows of entries, in order of version and passage."""
    ordered = np.sort(entries, order=["ordinal", "position"])
    return [ordered[start : start + LONGEST_ROW].tobytes() for start in range(0, len(ordered), LONGEST_ROW)]
