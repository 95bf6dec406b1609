"""Tidying a creator's index of words: full rows of postings, and none of passages that are gone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.knowledge.models import SearchIndex, Version
from apps.knowledge.search.index import CONFIGURATION_NAMES
from apps.knowledge.search.postings import ENTRY, LONGEST_ROW, PATCH, Entries, pack
from shared.tenancy.scope import require_creator

# Lexemes, and words, that are looked at in one transaction: some hundredths of a second, while nothing is indexed.
_LEXEMES, _WORDS = 200, 2000

_ROWS = """
SELECT id, lexeme, data FROM knowledge_posting
 WHERE creator_id = %(creator)s AND lexeme = ANY(ARRAY(
    SELECT DISTINCT lexeme FROM knowledge_posting
     WHERE creator_id = %(creator)s AND lexeme > %(after)s ORDER BY lexeme LIMIT %(count)s))
 ORDER BY lexeme
"""
_DELETE = "DELETE FROM knowledge_posting WHERE creator_id = %(creator)s AND id = ANY(%(ids)s)"
_INSERT = """
INSERT INTO knowledge_posting (creator_id, id, lexeme, data)
SELECT %(creator)s, gen_random_uuid(), lexeme, data FROM unnest(%(lexemes)s::text[], %(data)s::bytea[]) r(lexeme, data)
"""
_LAST_WORD = """
SELECT max(text) FROM (SELECT text FROM knowledge_word WHERE creator_id = %(creator)s AND text > %(after)s
                        ORDER BY text LIMIT %(count)s) w
"""
_DELETE_WORDS = """
DELETE FROM knowledge_word w
 WHERE w.creator_id = %(creator)s AND w.text > %(after)s AND w.text <= %(last)s
   AND NOT EXISTS (
    SELECT 1
      FROM (SELECT DISTINCT coalesce(%(configurations)s::jsonb ->> u.language, 'simple') AS name
              FROM knowledge_searchindex s, unnest(s.languages) AS u(language) WHERE s.creator_id = %(creator)s) c,
           unnest(tsvector_to_array(to_tsvector(c.name::regconfig, w.text))) AS l(lexeme)
      JOIN knowledge_posting p ON p.creator_id = %(creator)s AND p.lexeme = l.lexeme)
"""


def untidy(index: SearchIndex) -> int:
    """How many versions were added since the rows were merged, or are gone since."""
    there = Version.objects.filter(ordinal__isnull=False).count()
    return index.added + max(index.merged + index.added - there, 0)


@dataclass(slots=True)
class Merging:
    """Goes over all lexemes, some at a time, in a transaction each that has the index's row locked."""

    after: str = ""

    def step(self) -> bool:
        """Merge the rows of the next lexemes and drop what no version has; returns whether there are more."""
        creator = require_creator()
        with connection.cursor() as cursor:
            cursor.execute(_ROWS, {"creator": creator, "after": self.after, "count": _LEXEMES})
            rows = cursor.fetchall()
            if not rows:
                return False
            self.after = rows[-1][1]
            known = _Known.read()  # after the rows, so that it has every version that these can be of
            by_lexeme: dict[str, list[tuple[object, bytes]]] = {}
            for row_id, lexeme, data in rows:
                by_lexeme.setdefault(lexeme, []).append((row_id, data))
            old: list[object] = []
            new: list[tuple[str, bytes]] = []
            for lexeme, own in by_lexeme.items():
                merged = _merged([data for _, data in own], known)
                if merged is not None:
                    old += [row_id for row_id, _ in own]
                    new += [(lexeme, data) for data in merged]
            cursor.execute(_DELETE, {"creator": creator, "ids": old})
            values = {"creator": creator, "lexemes": [one for one, _ in new], "data": [data for _, data in new]}
            cursor.execute(_INSERT, values)
        return True


@dataclass(slots=True)
class WordSweep:
    """Goes over all words, and deletes those that no passage has."""

    after: str = ""

    def step(self) -> bool:
        """The next words; returns whether there are more."""
        values = {"creator": require_creator(), "configurations": CONFIGURATION_NAMES, "after": self.after}
        with connection.cursor() as cursor:
            cursor.execute(_LAST_WORD, {**values, "count": _WORDS})
            (last,) = cursor.fetchone()
            if last is None:
                return False
            cursor.execute(_DELETE_WORDS, {**values, "last": last})
        self.after = last
        return True


def note_tidied(index: SearchIndex, *, added: int) -> None:
    """Put down that all is tidy but what was added since; `added` is how much there was when it began."""
    index.added -= added
    # An edit adds to the index and to no version: there may have been more of them than there are versions.
    index.merged = max(Version.objects.filter(ordinal__isnull=False).count() - index.added, 0)
    index.save(update_fields=["added", "merged"])


@dataclass(frozen=True, slots=True)
class _Known:
    """What entries may be of: the ordinals of versions, which passages of these are patched, and by which patches."""

    ordinals: NDArray[np.int64]
    patched: NDArray[np.int64]
    patches: NDArray[np.int64]

    @classmethod
    def read(cls) -> "_Known":
        rows = list(Version.objects.filter(ordinal__isnull=False).values_list("ordinal", "patches"))
        ones = [(ordinal, np.frombuffer(bytes(packed), dtype=PATCH)) for ordinal, packed in rows if packed]
        every = np.concatenate([np.zeros(0, dtype=PATCH), *(one for _, one in ones)])
        versions = np.repeat([ordinal for ordinal, _ in ones], [len(one) for _, one in ones]).astype(np.int64)
        ordinals = np.array([ordinal for ordinal, _ in rows], dtype=np.int64)
        return cls(ordinals, _keys(versions, every["position"]), _keys(every["ordinal"], every["position"]))

    def counting(self, entries: Entries) -> NDArray[np.bool_]:
        keys = _keys(entries["ordinal"], entries["position"])
        whole: NDArray[np.bool_] = np.isin(entries["ordinal"], self.ordinals) & ~np.isin(keys, self.patched)
        return whole | np.isin(keys, self.patches)


def _keys(ordinals: NDArray[Any], positions: NDArray[Any]) -> NDArray[np.int64]:
    return (ordinals.astype(np.int64) << 32) | positions.astype(np.int64)


def _merged(rows: list[bytes], known: _Known) -> list[bytes] | None:
    """The same entries in full rows, without those that count for nothing. None: they are so already."""
    entries = np.frombuffer(b"".join(rows), dtype=ENTRY)
    kept = known.counting(entries)
    if kept.all() and len(rows) <= -(-len(entries) // LONGEST_ROW):
        return None
    return pack(entries[kept]) if kept.any() else []
