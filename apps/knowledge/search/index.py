"""The words of passages, as Postgres cuts them.

Each version is cut in the language that its text is written in, so German finds "Bücher" for "Buch"; a question is cut
in every language that the creator's versions have.
"""

from uuid import UUID

import orjson
from django.db import connection

from apps.knowledge.extraction.language import CONFIGURATIONS, configuration_of
from shared.tenancy.scope import require_creator

# A text too short to tell its language is most likely in this one.
DEFAULT_LANGUAGE = "en"
# For a statement: the name of the configuration for each language that has one.
CONFIGURATION_NAMES = orjson.dumps({**CONFIGURATIONS, "": configuration_of(DEFAULT_LANGUAGE)}).decode()

# A title's words count for each passage: "refunds" should find the second page of "Refunds" too.
_INDEX = """
UPDATE knowledge_chunk c
   SET lexemes = x.words,
       lexeme_count = (SELECT coalesce(sum(cardinality(w.positions)), 0) FROM unnest(x.words) w)
  FROM (SELECT id, to_tsvector(%(configuration)s::regconfig, %(title)s || E'\\n' || text) AS words
          FROM knowledge_chunk
         WHERE creator_id = %(creator)s AND version_id = %(version)s
           AND (%(source)s::uuid IS NULL OR source = %(source)s::uuid)) x
 WHERE c.creator_id = %(creator)s AND c.id = x.id
"""
# The lexemes of a question, each once, in the languages of the creator's versions. A word that two languages cut
# alike is one lexeme.
LEXEMES = """
SELECT ARRAY(SELECT DISTINCT word
               FROM (SELECT DISTINCT coalesce(%(configurations)s::jsonb ->> v.language, 'simple') AS name
                       FROM (SELECT DISTINCT language FROM knowledge_version WHERE creator_id = %(creator)s) v) c,
                    LATERAL unnest(tsvector_to_array(to_tsvector(c.name::regconfig, %(text)s))) AS word
              ORDER BY word)
"""


def index_words(*, version_id: UUID, language: str, title: str, source: UUID | None = None) -> int:
    """Store the lexemes and the length of each passage of a version, or of those with one source; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            _INDEX,
            {
                "configuration": configuration_of(language or DEFAULT_LANGUAGE),
                "title": title,
                "creator": require_creator(),
                "version": version_id,
                "source": source,
            },
        )
        return cursor.rowcount
