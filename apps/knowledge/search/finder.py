"""Find passages: both legs over the live passages of the creator in scope, then fusion.

Exact, by design: under row security neither a GIN index nor HNSW answers well, and a creator's passages are few
enough to score them all. Everything runs under the policies; the literal creator only helps the planner.
"""

from collections import Counter
from collections.abc import Iterable
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
# When each document is to be found once, so many passages for each are looked at.
PASSAGES_A_DOCUMENT = 5
# Without a word in common, a passage must be at least this near. Measured on Cranfield: 99 of 100 unrelated pairs lie
# below 0.18, and 93 of 100 relevant ones above this.
NEAR_ENOUGH = 0.2


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where to look. `instead` makes a version answer for its document before it is live.

    `by_document`: each document once, with the passage that speaks for it.
    """

    text: str
    vector: Vectors
    limit: int = 10
    tag: str | None = None
    document_id: UUID | None = None
    instead: UUID | None = None
    by_document: bool = False


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one leg alone thinks of a passage, and how it ranks there."""

    document_id: UUID
    chunk_id: UUID
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer, best first, and what each leg alone would have answered."""

    hits: list[Hit]
    lexical: list[Candidate]
    vector: list[Candidate]


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
SELECT c.id, c.document_id, c.lexeme_count, tsvector_to_array(c.found),
       ARRAY(SELECT cardinality(w.positions) FROM unnest(c.found) w)
  FROM (SELECT id, document_id, lexeme_count, ts_filter(setweight(lexemes, 'A', %(lexemes)s::text[]), '{a}') AS found
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
SELECT id, document_id, -(embedding <#> %(vector)s::halfvec) FROM knowledge_chunk
 WHERE creator_id = %(creator)s AND version_id = ANY(%(versions)s) AND NOT hidden AND embedding IS NOT NULL
 ORDER BY embedding <#> %(vector)s::halfvec LIMIT %(candidates)s
"""
_NEARNESS = """
SELECT id, document_id, -(embedding <#> %(vector)s::halfvec) FROM knowledge_chunk
 WHERE creator_id = %(creator)s AND id = ANY(%(ids)s) AND embedding IS NOT NULL
"""
# How near each of some passages is to each other.
_ALIKE = """
SELECT a.id, b.id, -(a.embedding <#> b.embedding) FROM knowledge_chunk a, knowledge_chunk b
 WHERE a.creator_id = %(creator)s AND b.creator_id = %(creator)s
   AND a.id = ANY(%(leaders)s) AND b.id = ANY(%(leaders)s) AND a.id <> b.id
   AND a.embedding IS NOT NULL AND b.embedding IS NOT NULL
"""
_PASSAGES = """
SELECT c.id, c.document_id, c.version_id, d.title, c.text, c.page, c.heading, c.seconds, v.media_type
  FROM knowledge_chunk c JOIN knowledge_document d ON d.creator_id = c.creator_id AND d.id = c.document_id
  JOIN knowledge_version v ON v.creator_id = c.creator_id AND v.id = c.version_id
 WHERE c.creator_id = %(creator)s AND c.id = ANY(%(ids)s)
"""


def find_passages(question: Question) -> Steps[Found]:
    """The best passages, at most three of one document, best first. See `Steps` for how it is run."""
    where: dict[str, Any] = {"creator": require_creator(), "tag": question.tag, "document": question.document_id}
    where["instead"] = question.instead
    words = {**where, "text": question.text, "configurations": CONFIGURATION_NAMES}
    live, ((lexemes,),) = yield [(_LIVE, where), (LEXEMES, words)]
    if not live:
        return Found([], [], [])
    where["versions"] = [version for (version,) in live]
    where["vector"] = HalfVector(question.vector).to_text()
    candidates = CANDIDATES * (PASSAGES_A_DOCUMENT if question.by_document else 1)
    statements = [(_NEAREST, {**where, "candidates": candidates}), (_LENGTHS, where)]
    nearest, lengths, *holders = yield [*statements, *([(_LEXICAL, {**where, "lexemes": lexemes})] if lexemes else [])]
    lexical = _lexical_leg(lexemes, holders[0], lengths[0]) if lexemes and holders[0] else _Leg()
    vector = _Leg.of(nearest)
    if question.by_document:
        lexical, vector = lexical.best_of_each_document(), vector.best_of_each_document()
    legs = lexical.leaders(CANDIDATES), vector.leaders(CANDIDATES)
    unknown = [chunk for chunk in legs[0].scores if chunk not in vector.scores]
    if unknown:
        (nearness,) = yield [(_NEARNESS, {**where, "ids": unknown})]
        vector = vector.with_others(_Leg.of(nearness))
    ranked = _rank(legs, lexical, vector, by_document=question.by_document)
    leaders = [chunk for chunk, _ in ranked[: ranking.SMOOTHED]]
    # Three of a document at most, so enough are loaded to fill the list from several documents.
    wanted = [chunk for chunk, _ in ranked[: max(question.limit * 10, CANDIDATES)]]
    passages, alike = yield [(_PASSAGES, {**where, "ids": wanted}), (_ALIKE, {**where, "leaders": leaders})]
    smooth = _smoothed(ranked, alike)
    most = 1 if question.by_document else PER_DOCUMENT
    hits = _best_of_each_document(smooth, passages, question.limit, most)
    return Found(hits, legs[0].candidates(question.limit), legs[1].candidates(question.limit))


def find_passages_now(question: Question) -> Found:
    """The same inside a service's transaction."""
    return follow_in_transaction(find_passages(question))


class _Leg:
    """What one way of looking thinks of passages: the score of each, and its document."""

    def __init__(self, scores: dict[UUID, float] | None = None, documents: dict[UUID, UUID] | None = None) -> None:
        self.scores, self.documents = scores or {}, documents or {}

    @classmethod
    def of(cls, rows: Rows) -> "_Leg":
        """From rows of passage, document and score."""
        return cls({row[0]: float(row[2]) for row in rows}, {row[0]: row[1] for row in rows})

    def best_first(self) -> list[UUID]:
        # Passages that are alike would else stand in another order each time.
        return sorted(self.scores, key=lambda chunk: (-self.scores[chunk], chunk))

    def leaders(self, count: int) -> "_Leg":
        """The best `count`."""
        return self._only(self.best_first()[:count])

    def best_of_each_document(self) -> "_Leg":
        """Without the passages that another of their document beats."""
        best: dict[UUID, UUID] = {}
        for chunk in self.best_first():
            best.setdefault(self.documents[chunk], chunk)
        return self._only(best.values())

    def with_others(self, other: "_Leg") -> "_Leg":
        return _Leg({**self.scores, **other.scores}, {**self.documents, **other.documents})

    def candidates(self, count: int) -> list[Candidate]:
        """Its best `count`, for who wants to know why."""
        best = enumerate(self.best_first()[:count], start=1)
        return [Candidate(self.documents[one], one, round(self.scores[one], 4), rank) for rank, one in best]

    def _only(self, chunks: Iterable[UUID]) -> "_Leg":
        kept = list(chunks)
        return _Leg({one: self.scores[one] for one in kept}, {one: self.documents[one] for one in kept})


def _rank(legs: tuple[_Leg, _Leg], lexical: _Leg, vector: _Leg, *, by_document: bool) -> list[tuple[UUID, float]]:
    """Passages by both scores together, best first; by document, each document's scores are those of its best ones."""
    ids = sorted({*legs[0].scores, *legs[1].scores})
    ids = [chunk for chunk in ids if chunk in lexical.scores or vector.scores.get(chunk, 0.0) >= NEAR_ENOUGH]
    columns = [[leg.scores.get(chunk, 0.0) for chunk in ids] for leg in (lexical, vector)]
    own = scores = _fused(columns)
    if by_document:
        documents = {**vector.documents, **lexical.documents}
        scores = _fused([_shared(ids, documents, column) for column in columns])
    order = sorted(range(len(ids)), key=lambda place: (-scores[place], -own[place], ids[place]))
    return [(ids[place], float(scores[place])) for place in order]


def _fused(columns: list[list[float]]) -> Floats:
    lexical, semantic = (np.array(column, dtype=np.float64) for column in columns)
    return ranking.fuse(lexical, semantic)


def _shared(ids: list[UUID], documents: dict[UUID, UUID], column: list[float]) -> list[float]:
    best: dict[UUID, float] = {}
    for chunk, score in zip(ids, column, strict=True):
        best[documents[chunk]] = max(score, best.get(documents[chunk], score))
    return [best[documents[chunk]] for chunk in ids]


def _smoothed(ranked: list[tuple[UUID, float]], alike: Rows) -> list[tuple[UUID, float]]:
    place = {chunk: number for number, (chunk, _) in enumerate(ranked[: ranking.SMOOTHED])}
    nearness = np.zeros((len(place), len(place)))
    for one, other, value in alike:
        nearness[place[one], place[other]] = value
    scores = ranking.smooth(np.array([score for _, score in ranked], dtype=np.float64), nearness)
    order = sorted(range(len(ranked)), key=lambda number: (-scores[number], number))
    return [(ranked[number][0], float(scores[number])) for number in order]


def _lexical_leg(lexemes: list[str], rows: Rows, lengths: Row) -> _Leg:
    number = {lexeme: place for place, lexeme in enumerate(lexemes)}
    entries = [
        (place, number[lexeme], frequency)
        for place, (*_, found, frequencies) in enumerate(rows)
        for lexeme, frequency in zip(found, frequencies, strict=True)
    ]
    table = np.array(entries, dtype=np.int64)
    words = np.array([row[2] for row in rows], dtype=np.float64)
    postings = Postings(table[:, 0], table[:, 1], table[:, 2].astype(np.float64), words)
    count, average = lengths
    scores = ranking.bm25(postings, count=count, average_length=average)
    return _Leg.of([(row[0], row[1], score) for row, score in zip(rows, scores, strict=True)])


def _best_of_each_document(ranked: list[tuple[UUID, float]], passages: Rows, limit: int, most: int) -> list[Hit]:
    rows = {row[0]: row for row in passages}
    taken: Counter[UUID] = Counter()
    hits: list[Hit] = []
    for chunk, score in ranked:
        if chunk not in rows or len(hits) == limit or taken[rows[chunk][1]] == most:
            continue
        taken[rows[chunk][1]] += 1
        hits.append(Hit(*rows[chunk], score=round(score, 4)))
    return hits
