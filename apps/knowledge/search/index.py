"""Writing the index of words: what passages hold, as Postgres cuts it, packed into rows of postings.

Each version is cut in the language that its text is written in, so German finds "Bücher" for "Buch"; a question is cut
in every language that the creator's passages were cut in. A version's postings name it by an ordinal, a small number
of the creator's own. Indexing again gives it a new one: from that commit on the old postings count for nothing, and
`search.tidying` sweeps them. A single passage is indexed again under an ordinal of its own, as a patch.
"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import orjson
from django.db import connection

from apps.knowledge.extraction.language import CONFIGURATIONS, DEFAULT_LANGUAGE, configuration_of
from apps.knowledge.models import LONGEST_WORD, Chunk, Vector, Version
from apps.knowledge.search.postings import LONGEST_ROW, MOST, MOST_PATCHES, PATCH
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import require_creator

# For a statement: the name of the configuration for each language that has one.
CONFIGURATION_NAMES = orjson.dumps({**CONFIGURATIONS, "": configuration_of(DEFAULT_LANGUAGE)}).decode()

# A title's words count for each passage: "refunds" should find the second page of "Refunds" too.
_CUT = """
UPDATE knowledge_chunk c
   SET lexemes = x.words,
       lexeme_count = (SELECT coalesce(sum(cardinality(w.positions)), 0) FROM unnest(x.words) w)
  FROM (SELECT id, to_tsvector(%(configuration)s::regconfig, %(title)s || E'\\n' || text) AS words
          FROM knowledge_chunk
         WHERE creator_id = %(creator)s AND version_id = %(version)s
           AND (%(positions)s::int[] IS NULL OR position = ANY(%(positions)s::int[]))) x
 WHERE c.creator_id = %(creator)s AND c.id = x.id
"""
# The row stays locked until the end: the versions of one creator are indexed one after the other.
_ORDINAL = """
INSERT INTO knowledge_searchindex AS s (creator_id, id, last_ordinal, languages, added, merged, cell_rows)
VALUES (%(creator)s, %(id)s, 1, ARRAY[%(language)s], 1, 0, 0)
ON CONFLICT (creator_id) DO UPDATE
   SET last_ordinal = s.last_ordinal + 1, added = s.added + 1,
       languages = CASE WHEN %(language)s = ANY(s.languages) THEN s.languages
                        ELSE array_append(s.languages, %(language)s) END
RETURNING last_ordinal
"""
_NUMBER = """
UPDATE knowledge_version
   SET ordinal = coalesce(%(whole)s, ordinal), patches = %(patches)s, (indexed_span, indexed_passages, indexed_words) =
       (SELECT coalesce(max(position) + 1, 0), count(*) FILTER (WHERE NOT hidden),
               coalesce(sum(lexeme_count) FILTER (WHERE NOT hidden), 0)
          FROM knowledge_chunk WHERE creator_id = %(creator)s AND version_id = %(version)s)
 WHERE creator_id = %(creator)s AND id = %(version)s
"""
_POSTINGS = f"""
INSERT INTO knowledge_posting (creator_id, id, lexeme, data)
SELECT %(creator)s, gen_random_uuid(), lexeme, string_agg(entry, '' ORDER BY position)
  FROM (SELECT w.lexeme, c.position,
               int4send(%(ordinal)s) || int4send(c.position) || int2send(least(cardinality(w.positions), {MOST})::int2)
                   || int2send(least(c.lexeme_count, {MOST})::int2) AS entry,
               row_number() OVER (PARTITION BY w.lexeme ORDER BY c.position) - 1 AS place
          FROM knowledge_chunk c, unnest(c.lexemes) w
         WHERE c.creator_id = %(creator)s AND c.version_id = %(version)s AND NOT c.hidden
           AND (%(patched)s::int[] IS NULL OR c.position = ANY(%(patched)s::int[]))
           AND length(w.lexeme) <= {LONGEST_WORD}) p
 GROUP BY lexeme, place / {LONGEST_ROW}
 ORDER BY lexeme
"""
# Plain words of letters only, and none that the index leaves out: what somebody may have meant.
_WORDS = f"""
INSERT INTO knowledge_word (creator_id, id, text)
SELECT %(creator)s, gen_random_uuid(), text
  FROM (SELECT DISTINCT lower(t.token) AS text
          FROM (SELECT %(title)s AS text UNION ALL
                SELECT text FROM knowledge_chunk
                 WHERE creator_id = %(creator)s AND version_id = %(version)s AND NOT hidden
                   AND (%(patched)s::int[] IS NULL OR position = ANY(%(patched)s::int[]))) c,
               ts_parse('default', c.text) t
         WHERE t.tokid IN (1, 2, 10, 11) AND length(t.token) BETWEEN 3 AND {LONGEST_WORD}) w
 WHERE length(to_tsvector(%(configuration)s::regconfig, text)) > 0
 ORDER BY text
ON CONFLICT (creator_id, text) DO NOTHING
"""


def index_words(*, version_id: UUID, language: str, title: str, positions: Sequence[int] | None = None) -> int:
    """Make a version's passages findable by their words and its title's; returns how many were cut into words.

    With `positions`, only the passages there have changed since. Hidden ones are found by nothing.
    """
    creator = require_creator()
    values = {
        "configuration": configuration_of(language or DEFAULT_LANGUAGE),
        "language": language,
        "title": title,
        "creator": creator,
        "version": version_id,
        "positions": None if positions is None else list(positions),
        "id": uuid7(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CUT, values)
        cut = cursor.rowcount
        cursor.execute(_ORDINAL, values)
        (ordinal,) = cursor.fetchone()
        patches = None if positions is None else _patches(version_id, ordinal, positions)
        if patches is None:
            values |= {"ordinal": ordinal, "whole": ordinal, "patches": b"", "patched": None}
        else:
            values |= {"ordinal": ordinal, "whole": None, "patches": patches, "patched": list(positions or ())}
        for statement in (_NUMBER, _POSTINGS, _WORDS):
            cursor.execute(statement, values)
        return cut


def _patches(version_id: UUID, ordinal: int, positions: Sequence[int]) -> bytes | None:
    """What is patched of a version from now on; None when it is to be indexed as a whole."""
    version = Version.objects.only("ordinal", "patches").get(id=version_id)
    if version.ordinal is None:
        return None
    before = np.frombuffer(bytes(version.patches), dtype=PATCH)
    added = np.array([(ordinal, position) for position in positions], dtype=PATCH)
    patches = np.concatenate([before[~np.isin(before["position"], added["position"])], added])
    # In the order of bytes that Postgres sends: putting arrays together has given up on it.
    return patches.astype(PATCH).tobytes() if len(patches) <= MOST_PATCHES else None


def let_answer(version: Version) -> None:
    """From this commit on searches find the passages of this version, and of no other of its document."""
    others = Version.objects.filter(document_id=version.document_id, live=True).exclude(id=version.id)
    gone = list(others.values_list("id", flat=True))
    if gone:
        Version.objects.filter(id__in=gone).update(live=False)
        Vector.objects.filter(version_id__in=gone).update(live=False)
    Version.objects.filter(id=version.id).update(live=True)
    Vector.objects.filter(version_id=version.id, live=False).update(live=True)


def drop_passages(version_ids: Sequence[UUID]) -> None:
    """Delete all passages of versions, and what makes them findable. The versions themselves stay."""
    Vector.objects.filter(version_id__in=version_ids).delete()
    Chunk.objects.filter(version_id__in=version_ids).delete()
    Version.objects.filter(id__in=version_ids).update(ordinal=None, patches=b"", live=False)
