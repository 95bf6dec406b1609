"""Find passages: both legs over the live passages of the creator in scope, then fusion.

Exact, by design: under row security neither a GIN index nor HNSW answers well, and a creator's passages are few
enough to score them all. Everything runs under the policies; the literal creator only helps the planner.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from apps.knowledge.embedding import Vectors
from apps.knowledge.search import ranking
from apps.knowledge.search.index import CONFIGURATION_NAMES, LEXEMES
from apps.knowledge.search.ranking import Floats, Postings
from shared.tenancy.reads import Row, Rows, Steps, follow_in_transaction
from shared.tenancy.scope import require_creator

# Candidates of each leg; fusion needs both scores of all of them.
CANDIDATES = 200
PER_DOCUMENT = 3
# Without a word in common, a passage must be at least this near. Measured on Cranfield: 99 of 100 unrelated pairs lie
# below 0.18, and 93 of 100 relevant ones above this.
NEAR_ENOUGH = 0.2


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where to look. `instead` makes a version answer for its document before it is live."""

    text: str
    vector: Vectors
    limit: int = 10
    tag: str | None = None
    document_id: UUID | None = None
    instead: UUID | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that answers. A higher score is better; scores of different questions cannot be compared."""

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    title: str
    text: str
    page: int | None
    heading: str
    seconds: int | None
    media_type: str
    score: float


_LIVE = """
SELECT v.id
  FROM knowledge_document d
  LEFT JOIN knowledge_version i ON i.creator_id = d.creator_id AND i.document_id = d.id AND i.id = %(instead)s
  JOIN knowledge_version v ON v.creator_id = d.creator_id AND v.document_id = d.id
   AND v.number = coalesce(i.number, d.live_version)
 WHERE d.creator_id = %(creator)s
   AND (%(tag)s::text IS NULL OR %(tag)s::text = ANY(d.tags))
   AND (%(document)s::uuid IS NULL OR d.id = %(document)s::uuid)
"""
# Marks the question's lexemes with a weight and keeps only what is marked: done in C, without a query to parse.
_LEXICAL = """
SELECT c.id, c.lexeme_count, tsvector_to_array(c.found),
       ARRAY(SELECT cardinality(w.positions) FROM unnest(c.found) w)
  FROM (SELECT id, lexeme_count, ts_filter(setweight(lexemes, 'A', %(lexemes)s::text[]), '{a}') AS found
          FROM knowledge_chunk
         WHERE creator_id = %(creator)s AND version_id = ANY(%(versions)s) AND NOT hidden AND lexemes IS NOT NULL
        OFFSET 0) c
 WHERE length(c.found) > 0
"""
_LENGTHS = """
SELECT count(*), coalesce(avg(lexeme_count), 0)::float FROM knowledge_chunk
 WHERE creator_id = %(creator)s AND version_id = ANY(%(versions)s) AND NOT hidden
"""
_NEAREST = """
SELECT id, -(embedding <#> %(vector)s::halfvec) FROM knowledge_chunk
 WHERE creator_id = %(creator)s AND version_id = ANY(%(versions)s) AND NOT hidden AND embedding IS NOT NULL
 ORDER BY embedding <#> %(vector)s::halfvec LIMIT %(candidates)s
"""
_NEARNESS = """
SELECT id, -(embedding <#> %(vector)s::halfvec) FROM knowledge_chunk
 WHERE creator_id = %(creator)s AND id = ANY(%(ids)s) AND embedding IS NOT NULL
"""
_PASSAGES = """
SELECT c.id, c.document_id, c.version_id, d.title, c.text, c.page, c.heading, c.seconds, v.media_type
  FROM knowledge_chunk c JOIN knowledge_document d ON d.creator_id = c.creator_id AND d.id = c.document_id
  JOIN knowledge_version v ON v.creator_id = c.creator_id AND v.id = c.version_id
 WHERE c.creator_id = %(creator)s AND c.id = ANY(%(ids)s)
"""


def find_passages(question: Question) -> Steps[list[Hit]]:
    """The best passages, at most three of one document, best first. See `Steps` for how it is run."""
    where: dict[str, Any] = {"creator": require_creator(), "tag": question.tag, "document": question.document_id}
    where["instead"] = question.instead
    words = {**where, "text": question.text, "configurations": CONFIGURATION_NAMES}
    live, ((lexemes,),) = yield [(_LIVE, where), (LEXEMES, words)]
    if not live:
        return []
    where["versions"] = [version for (version,) in live]
    where["vector"] = HalfVector(question.vector).to_text()
    statements = [(_NEAREST, {**where, "candidates": CANDIDATES}), (_LENGTHS, where)]
    nearest, lengths, *holders = yield [*statements, *([(_LEXICAL, {**where, "lexemes": lexemes})] if lexemes else [])]
    lexical = _lexical_scores(lexemes, holders[0], lengths[0]) if lexemes and holders[0] else {}
    leaders = sorted(lexical, key=lambda chunk: -lexical[chunk])[:CANDIDATES]
    semantic = dict(nearest)
    unknown = [chunk for chunk in leaders if chunk not in semantic]
    if unknown:
        (nearness,) = yield [(_NEARNESS, {**where, "ids": unknown})]
        semantic.update(nearness)
    ranked = _rank(leaders, lexical, semantic)
    # Three of a document at most, so enough are loaded to fill the list from several documents.
    wanted = dict(ranked[: max(question.limit * 10, CANDIDATES)])
    (passages,) = yield [(_PASSAGES, {**where, "ids": list(wanted)})]
    return _best_of_each_document(wanted, passages, question.limit)


def find_passages_now(question: Question) -> list[Hit]:
    """The same inside a service's transaction."""
    return follow_in_transaction(find_passages(question))


def _rank(leaders: list[UUID], lexical: dict[UUID, float], semantic: dict[UUID, float]) -> list[tuple[UUID, float]]:
    ids = [chunk for chunk in {*leaders, *semantic} if chunk in lexical or semantic[chunk] >= NEAR_ENOUGH]
    scores = ranking.fuse(_column(ids, lexical), _column(ids, semantic))
    # Fusion alone cannot tell two passages apart that a set iterates in another order each time.
    order = sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place]))
    return [(ids[place], float(scores[place])) for place in order]


def _column(ids: list[UUID], scores: dict[UUID, float]) -> Floats:
    return np.array([scores.get(chunk, 0.0) for chunk in ids], dtype=np.float64)


def _lexical_scores(lexemes: list[str], rows: Rows, lengths: Row) -> dict[UUID, float]:
    number = {lexeme: place for place, lexeme in enumerate(lexemes)}
    entries = [
        (place, number[lexeme], frequency)
        for place, (_, _, found, frequencies) in enumerate(rows)
        for lexeme, frequency in zip(found, frequencies, strict=True)
    ]
    table = np.array(entries, dtype=np.int64)
    words = np.array([length for _, length, _, _ in rows], dtype=np.float64)
    postings = Postings(table[:, 0], table[:, 1], table[:, 2].astype(np.float64), words)
    count, average = lengths
    scores = ranking.bm25(postings, count=count, average_length=average)
    return {row[0]: float(score) for row, score in zip(rows, scores, strict=True)}


def _best_of_each_document(wanted: dict[UUID, float], passages: Rows, limit: int) -> list[Hit]:
    rows = {row[0]: row for row in passages}
    taken: Counter[UUID] = Counter()
    hits: list[Hit] = []
    for chunk, score in wanted.items():
        if chunk not in rows or len(hits) == limit or taken[rows[chunk][1]] == PER_DOCUMENT:
            continue
        taken[rows[chunk][1]] += 1
        hits.append(Hit(*rows[chunk], score=round(score, 4)))
    return hits
