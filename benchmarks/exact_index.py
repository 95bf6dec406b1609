"""A creator's search index against the tables: every posting, count and vector, and whole answers.

All of it inside one transaction of one snapshot, in the creator's scope. BM25 is computed as its formula says it, over
the passages as they stand there, cut into words once more.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from pgvector import HalfVector

from apps.knowledge.embedding import Vectors
from apps.knowledge.models import LONGEST_WORD
from apps.knowledge.search.finder import CANDIDATES, NEAR_ENOUGH, PER_DOCUMENT, Found, Question, find_passages
from apps.knowledge.search.index import CONFIGURATION_NAMES
from apps.knowledge.search.postings import ENTRY, PATCH
from apps.knowledge.search.ranking import K1, B
from apps.knowledge.search.words import Understood, understand
from benchmarks.sheets import Asked
from shared.tenancy.reads import follow_in_transaction
from shared.tenancy.scope import require_creator

# Scores are rounded to four places.
_ALIKE = 2e-4
_SHOWN = 3
_LANGUAGE = "coalesce(%(configurations)s::jsonb ->> v.language, 'simple')::regconfig"
_ANSWERING = """
  FROM knowledge_document d
  JOIN knowledge_version v ON v.document_id = d.id AND v.number = d.live_version
  JOIN knowledge_chunk c ON c.version_id = v.id
"""
_PASSAGES = f"""
SELECT c.id::text, d.id::text, v.id::text, v.ordinal, c.position, d.tags, c.text, x.lexemes, x.counts {_ANSWERING}
  CROSS JOIN LATERAL (SELECT array_agg(w.lexeme), array_agg(cardinality(w.positions))
                        FROM unnest(to_tsvector({_LANGUAGE}, d.title || E'\\n' || c.text)) w) x(lexemes, counts)
 WHERE NOT c.hidden
"""
_HOLD = f"""
SELECT c.id::text {_ANSWERING}
 WHERE NOT c.hidden
   AND to_tsvector({_LANGUAGE}, d.title || E'\\n' || c.text) @@ phraseto_tsquery({_LANGUAGE}, %(phrase)s)
"""
_NEARNESS = f"""
SELECT c.id::text, -(x.embedding <#> %(vector)s::halfvec) {_ANSWERING}
  JOIN knowledge_vector x ON x.version_id = v.id AND x.position = c.position AND x.model = %(model)s
 WHERE NOT c.hidden
"""
_LEXEMES = """
SELECT t.word, l.lexeme
  FROM knowledge_searchindex s, unnest(s.languages) AS u(language), unnest(%(words)s::text[]) AS t(word),
       unnest(tsvector_to_array(to_tsvector(coalesce(%(configurations)s::jsonb ->> u.language, 'simple')::regconfig,
                                            t.word))) AS l(lexeme)
"""
_COUNTED = "SELECT id::text, ordinal, indexed_passages, indexed_words, patches FROM knowledge_version WHERE live"
_POSTINGS = "SELECT lexeme, data FROM knowledge_posting"
_VECTORS = """
SELECT version_id::text, position FROM knowledge_vector WHERE model = %(model)s AND live AND NOT hidden
"""
_CELLS = """
SELECT count(*), count(*) FILTER (WHERE x.live AND NOT EXISTS (
         SELECT FROM knowledge_cell e WHERE e.model = x.model AND e.number = x.cell)
         AND x.cell >= coalesce((SELECT min(e.number) FROM knowledge_cell e WHERE e.model = x.model), 0))
  FROM knowledge_searchindex s JOIN knowledge_vector x ON x.model = s.cell_model
 WHERE s.cell_model = %(model)s
"""


@dataclass(frozen=True, slots=True)
class Passage:
    """One that searches shall find, and how often it holds each lexeme."""

    document: str
    version: str
    ordinal: int | None
    position: int
    tags: list[str]
    text: str
    lexemes: dict[str, int]

    @property
    def length(self) -> int:
        return sum(self.lexemes.values())


def read_passages() -> dict[str, Passage]:
    """By id, those of the creator in scope."""
    rows = _rows(_PASSAGES)
    return {row[0]: Passage(*row[1:7], dict(zip(row[7] or [], row[8] or [], strict=True))) for row in rows}


# ---- The index as a whole


def differences(passages: Mapping[str, Passage], model: UUID) -> Iterator[str]:
    """Where the index says something else than the passages."""
    counted = _rows(_COUNTED)
    versions = {passage.version for passage in passages.values()}
    listed = {row[0] for row in counted if row[2]}
    yield from _unequal("versions that answer with a passage", versions, listed)
    numbers = len(passages), sum(passage.length for passage in passages.values())
    said = sum(row[2] for row in counted), sum(row[3] for row in counted)
    if said != numbers:
        yield f"{numbers} passages and words, the index counts {said}"
    patches = {row[1]: np.frombuffer(bytes(row[4]), dtype=PATCH).tolist() for row in counted if row[4]}
    patched = {(ordinal, position): one for ordinal, ones in patches.items() for one, position in ones}
    there = {
        (
            lexeme,
            patched.get((passage.ordinal, passage.position), passage.ordinal),
            passage.position,
            count,
            passage.length,
        )
        for passage in passages.values()
        for lexeme, count in passage.lexemes.items()
        if len(lexeme) <= LONGEST_WORD
    }
    entries = _entries({row[1] for row in counted}, patched)
    twice = [entry for entry, count in entries.items() if count > 1]
    if twice:
        yield f"{len(twice)} postings twice, as {twice[:_SHOWN]}"
    yield from _unequal("postings (lexeme, ordinal, position, count, length)", there, set(entries))
    meant = {(passage.version, passage.position) for passage in passages.values()}
    yield from _unequal("vectors that are compared", meant, set(map(tuple, _rows(_VECTORS, model=model))))
    lost = _rows(_CELLS, model=model)[0][1]
    if lost:
        yield f"{lost} vectors are in cells that no search looks at"


def cells_are_used(model: UUID) -> bool:
    """Whether vectors are looked up by cells."""
    return bool(_rows(_CELLS, model=model)[0][0])


def _entries(ordinals: Collection[int | None], patched: Mapping[tuple[int, int], int]) -> Counter[Any]:
    """Those that count: of a passage that is patched, those of its patch."""
    patches = {(ordinal, position) for (_, position), ordinal in patched.items()}
    found: Counter[Any] = Counter()
    for lexeme, data in _rows(_POSTINGS):
        for entry in np.frombuffer(bytes(data), dtype=ENTRY).tolist():
            if entry[:2] in patches or (entry[0] in ordinals and entry[:2] not in patched):
                found[lexeme, *entry] += 1
    return found


def _unequal(what: str, there: set[Any], said: set[Any]) -> Iterator[str]:
    if there != said:
        missing, added = sorted(there - said, key=str), sorted(said - there, key=str)
        yield (
            f"{what}: {len(missing)} are missing, as {missing[:_SHOWN]}; "
            f"{len(added)} should not be, as {added[:_SHOWN]}"
        )


# ---- One answer


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must be made of: the passages that may be found, and the scores of each leg."""

    passages: dict[str, Passage]
    words: dict[str, float]
    lexical: dict[str, float]
    near: dict[str, float]


def wrong_answers(asked: Asked, vector: Vectors, model: UUID, passages: Mapping[str, Passage]) -> Iterator[str]:
    """What is wrong with the answer to a question."""
    understood = follow_in_transaction(understand(asked.text))
    question = Question(
        asked.text,
        vector,
        model,
        limit=CANDIDATES,
        tag=asked.tag,
        document_id=UUID(asked.document) if asked.document else None,
        explain=True,
    )
    found = follow_in_transaction(find_passages(question, understood))
    lexemes = _lexemes_of(asked)
    yield from _misunderstood(asked, understood, lexemes, passages)
    expected = _expected(asked, understood, lexemes, question, passages)
    yield from _wrong_leg("words", expected.lexical, {str(one.chunk_id): one.score for one in found.lexical})
    yield from _wrong_leg("meaning", expected.near, {str(one.chunk_id): one.score for one in found.vector})
    yield from _wrong_hits(expected, found)


def _lexemes_of(asked: Asked) -> dict[str, set[str]]:
    """By word, in every language of the creator's."""
    words = {word for part in (*asked.words, *asked.phrases, *asked.excluded) for word in part.split()}
    lexemes: dict[str, set[str]] = {word: set() for word in words}
    for word, lexeme in _rows(_LEXEMES, words=sorted(words)):
        lexemes[word].add(lexeme)
    return lexemes


def _misunderstood(
    asked: Asked, understood: Understood, lexemes: Mapping[str, set[str]], passages: Mapping[str, Passage]
) -> Iterator[str]:
    """Words that passages have are asked as they are; others for words that passages have."""
    held = {lexeme for passage in passages.values() for lexeme in passage.lexemes}
    words = {word for part in (*asked.words, *asked.phrases) for word in part.split()}
    plain = {(lexeme,) for word in words for lexeme in lexemes[word]}
    terms = set(understood.terms)
    if all(lexemes[word] & held for word in words) and terms != plain:
        yield f"its words are {sorted(plain)}, and it was taken for {sorted(terms)}"
    for term in terms - plain:
        if not held.intersection(term):
            yield f"it was taken for {term}, which no passage has"


def _expected(
    asked: Asked,
    understood: Understood,
    lexemes: Mapping[str, set[str]],
    question: Question,
    passages: Mapping[str, Passage],
) -> Expected:
    inside = {
        chunk: passage
        for chunk, passage in passages.items()
        if asked.document in (None, passage.document) and (asked.tag is None or asked.tag in passage.tags)
    }
    words = bm25(understood.terms, inside)
    allowed = set(inside)
    for part in asked.excluded if asked.words or asked.phrases else ():
        allowed -= _holding(part, lexemes, inside)
    lexical = set(words) & allowed
    for phrase in asked.phrases:
        lexical &= _holding(phrase, lexemes, inside)
    near: dict[str, float] = {}
    if not asked.phrases:
        rows = _rows(_NEARNESS, model=question.model, vector=HalfVector(question.vector).to_text())
        near = {chunk: score for chunk, score in rows if chunk in allowed}
    return Expected(inside, words, {chunk: words[chunk] for chunk in lexical}, near)


def _holding(part: str, lexemes: Mapping[str, set[str]], passages: Mapping[str, Passage]) -> set[str]:
    groups = [lexemes[word] for word in part.split()]
    found = {chunk for chunk, passage in passages.items() if all(group & passage.lexemes.keys() for group in groups)}
    return found if len(groups) == 1 else found & {chunk for (chunk,) in _rows(_HOLD, phrase=part)}


def bm25(terms: Iterable[tuple[str, ...]], passages: Mapping[str, Passage]) -> dict[str, float]:
    """By the formula, of passages that have any of the words. A word is any of its lexemes."""
    average = sum(passage.length for passage in passages.values()) / max(len(passages), 1)
    scores: Counter[str] = Counter()
    for term in terms:
        counts = {chunk: sum(passage.lexemes.get(lexeme, 0) for lexeme in term) for chunk, passage in passages.items()}
        holders = {chunk: count for chunk, count in counts.items() if count}
        idf = math.log(1 + (len(passages) - len(holders) + 0.5) / (len(holders) + 0.5))
        for chunk, count in holders.items():
            longer = 1 - B + B * passages[chunk].length / average
            scores[chunk] += idf * count * (K1 + 1) / (count + K1 * longer)
    return dict(scores)


def _wrong_leg(leg: str, expected: Mapping[str, float], found: Mapping[str, float]) -> Iterator[str]:
    """The best passages with their scores; which of several that are alike is last does not matter."""
    best = sorted(expected.values(), reverse=True)[:CANDIDATES]
    strange = {chunk: score for chunk, score in found.items() if abs(expected.get(chunk, -2) - score) > _ALIKE}
    if strange:
        shown = [(chunk, score, expected.get(chunk)) for chunk, score in list(strange.items())[:_SHOWN]]
        yield f"{len(strange)} passages by {leg} score otherwise (passage, found, exact): {shown}"
    scores = sorted(found.values(), reverse=True)
    if len(scores) != len(best) or any(abs(one - other) > _ALIKE for one, other in zip(scores, best, strict=True)):
        missing = [(chunk, score) for chunk, score in expected.items() if chunk not in found and score >= best[-1]]
        yield f"{len(scores)} passages by {leg} instead of the best {len(best)}, not found: {missing[:_SHOWN]}"


def _wrong_hits(expected: Expected, found: Found) -> Iterator[str]:
    allowed = {str(one.chunk_id) for one in (*found.lexical, *found.vector)}
    count: Counter[str] = Counter()
    for hit in found.hits:
        chunk = str(hit.chunk_id)
        passage = expected.passages.get(chunk)
        if passage is None or chunk not in allowed:
            yield f"passage {chunk} should not be found"
        elif (hit.text, str(hit.version_id)) != (passage.text, passage.version):
            yield f"passage {chunk} is not what is found of it: {hit.text[:200]!r} of {hit.version_id}"
        elif abs(hit.lexical - expected.words.get(chunk, 0.0)) > _ALIKE:
            yield f"passage {chunk} scores {hit.lexical}, and exactly {expected.words.get(chunk)}"
        count[str(hit.document_id)] += 1
    answers = Counter(
        expected.passages[chunk].document
        for chunk in allowed & expected.passages.keys()
        if chunk in expected.words or expected.near.get(chunk, 0.0) >= NEAR_ENOUGH + _ALIKE
    )
    for document, passages in answers.items():
        if count[document] < min(passages, PER_DOCUMENT) and len(found.hits) < CANDIDATES:
            yield f"{count[document]} passages of document {document} are found, of {passages} that answer"


def _rows(sql: str, **values: Any) -> list[Any]:
    require_creator()
    with connection.cursor() as cursor:
        cursor.execute(sql, {"configurations": CONFIGURATION_NAMES, **values})
        found: list[Any] = cursor.fetchall()
        return found
