"""Writing the index of meanings: a vector for each passage and model, in the cell of those near it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from pgvector import HalfVector

from apps.knowledge.embedding import passage_text
from apps.knowledge.hashes import embedder_hash, text_hash
from apps.knowledge.models import Vector
from shared.tenancy.scope import require_creator


@dataclass(frozen=True, slots=True)
class Meaning:
    """A passage's vector, and the hash of what it was made of."""

    position: int
    value: HalfVector
    made_of: UUID


def made_of(embedder: str, title: str, heading: str, text: str) -> UUID:
    """What a passage's vector is made of, and by which embedder: while this stays, so does the vector."""
    return text_hash(f"{embedder}\n{passage_text(title, heading, text)}")


# New ones go to the nearest cell, where there are cells.
_CELL = """
coalesce((SELECT e.number FROM knowledge_cell e
           WHERE e.creator_id = %(creator)s AND e.model = %(model)s ORDER BY e.centre <#> {embedding} LIMIT 1), 0)
"""
_STORE = f"""
INSERT INTO knowledge_vector (creator_id, id, version_id, position, model, made_of, embedding, cell, live, hidden)
SELECT %(creator)s, gen_random_uuid(), v.id, c.position, %(model)s, x.made_of, x.embedding,
       {_CELL.format(embedding="x.embedding")}, v.live, c.hidden
  FROM (SELECT position, embedding::halfvec AS embedding, made_of
          FROM unnest(%(positions)s::int[], %(vectors)s::text[], %(hashes)s::uuid[])
               AS u(position, embedding, made_of)) x
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.id = %(version)s
  JOIN knowledge_chunk c ON c.creator_id = %(creator)s AND c.version_id = v.id AND c.position = x.position
ON CONFLICT (creator_id, version_id, model, position) DO UPDATE
   SET made_of = excluded.made_of, embedding = excluded.embedding, cell = excluded.cell
"""
_TAKE_OVER = """
INSERT INTO knowledge_vector (creator_id, id, version_id, position, model, made_of, embedding, cell, live, hidden)
SELECT %(creator)s, gen_random_uuid(), v.id, c.position, %(model)s, o.made_of, o.embedding, o.cell, v.live, c.hidden
  FROM unnest(%(positions)s::int[], %(hashes)s::uuid[]) AS u(position, hash)
  JOIN (SELECT DISTINCT ON (x.made_of) x.made_of, x.embedding, x.cell
          FROM knowledge_version w JOIN knowledge_vector x
            ON x.creator_id = %(creator)s AND x.version_id = w.id AND x.model = %(model)s
         WHERE w.creator_id = %(creator)s AND w.document_id = %(document)s ORDER BY x.made_of) o ON o.made_of = u.hash
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.id = %(version)s
  JOIN knowledge_chunk c ON c.creator_id = %(creator)s AND c.version_id = v.id AND c.position = u.position
ON CONFLICT (creator_id, version_id, model, position) DO NOTHING
"""
_MISSING = """
SELECT c.position, c.heading, c.text
  FROM knowledge_chunk c
 WHERE c.creator_id = %(creator)s AND c.version_id = %(version)s
   AND NOT EXISTS (SELECT 1 FROM knowledge_vector x
                    WHERE x.creator_id = %(creator)s AND x.version_id = %(version)s AND x.model = %(model)s
                      AND x.position = c.position)
 ORDER BY c.position LIMIT %(limit)s
"""
_COUNTS = """
SELECT (SELECT count(*) FROM knowledge_vector
         WHERE creator_id = %(creator)s AND version_id = %(version)s AND model = %(model)s),
       (SELECT count(*) FROM knowledge_chunk WHERE creator_id = %(creator)s AND version_id = %(version)s)
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A passage that has no vector yet."""

    position: int
    heading: str
    text: str


def store_meanings(*, version_id: UUID, model: UUID, meanings: Sequence[Meaning]) -> int:
    """Store the vectors of passages of a version, in place of those that they have; returns how many."""
    return _execute(
        _STORE,
        model,
        version_id,
        positions=[meaning.position for meaning in meanings],
        vectors=[meaning.value.to_text() for meaning in meanings],
        hashes=[meaning.made_of for meaning in meanings],
    )


def take_over_meanings(*, document_id: UUID, version_id: UUID, embedder: str, title: str) -> int:
    """Give each passage the vector that one with the same text has in another version; returns how many got one."""
    model = embedder_hash(embedder)
    waiting = meanings_missing(version_id=version_id, model=model, limit=None)
    return _execute(
        _TAKE_OVER,
        model,
        version_id,
        document=document_id,
        positions=[row.position for row in waiting],
        hashes=[made_of(embedder, title, row.heading, row.text) for row in waiting],
    )


def meanings_missing(*, version_id: UUID, model: UUID, limit: int | None) -> list[Waiting]:
    """The first passages of a version that have no vector of this model; all of them without a limit."""
    with connection.cursor() as cursor:
        cursor.execute(_MISSING, {**_values(model, version_id), "limit": limit})
        return [Waiting(*row) for row in cursor.fetchall()]


def count_meanings(*, version_id: UUID, model: UUID) -> tuple[int, int]:
    """How many passages of a version have a vector of this model, and how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, _values(model, version_id))
        done, total = cursor.fetchone()
        return done, total


def forget_meanings(*, version_id: UUID, position: int) -> None:
    """Delete the vectors of a passage whose text has changed, whichever model they are of."""
    Vector.objects.filter(version_id=version_id, position=position).delete()


def hide_meaning(*, version_id: UUID, position: int, hidden: bool) -> None:
    """Keep a passage's vectors out of searches, or let them in again. Its words follow with `index_words`."""
    Vector.objects.filter(version_id=version_id, position=position).update(hidden=hidden)


def _execute(statement: str, model: UUID, version_id: UUID, **values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**_values(model, version_id), **values})
        return cursor.rowcount


def _values(model: UUID, version_id: UUID) -> dict[str, Any]:
    return {"creator": require_creator(), "model": model, "version": version_id}
