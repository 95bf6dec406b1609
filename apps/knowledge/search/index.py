"""The words of passages, as Postgres cuts them.

One configuration for all languages, `english`: it stems English and drops its stop words; the words of other
languages are cut the same way in passages and in questions, so they match as they are written.
"""

from uuid import UUID

from django.db import connection

from shared.tenancy.scope import require_creator

CONFIGURATION = "english"

# A title's words count for each passage: "refunds" should find the second page of "Refunds" too.
_INDEX = f"""
UPDATE knowledge_chunk c
   SET lexemes = x.words,
       lexeme_count = (SELECT coalesce(sum(cardinality(w.positions)), 0) FROM unnest(x.words) w)
  FROM (SELECT id, to_tsvector('{CONFIGURATION}', %(title)s || E'\\n' || text) AS words
          FROM knowledge_chunk WHERE creator_id = %(creator)s AND version_id = %(version)s) x
 WHERE c.creator_id = %(creator)s AND c.id = x.id
"""
# The lexemes of a question, each once.
LEXEMES = f"SELECT tsvector_to_array(to_tsvector('{CONFIGURATION}', %(text)s))"


def index_words(*, version_id: UUID, title: str) -> int:
    """Store the lexemes and the length of each passage of a version; returns how many passages there are."""
    with connection.cursor() as cursor:
        cursor.execute(_INDEX, {"title": title, "creator": require_creator(), "version": version_id})
        return cursor.rowcount
