"""Questions of a creator's members to the hub's own search, and where the time goes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pgvector import HalfVector

from apps.knowledge.search import statements
from apps.knowledge.search.finder import Found, Question
from apps.knowledge.search.words import Understood
from apps.knowledge.services import searching
from benchmarks.measures import share_within
from benchmarks.search_corpus import Asked, Corpus
from benchmarks.search_rows import MODEL
from benchmarks.typos import mistype
from shared.tenancy.actor import Actor, Role
from shared.tenancy.reads import PoolReader, Rows, ask, follow
from shared.tenancy.scope import creator_scope

DEPTH = 10
# So many of a hundred questions have a slip of the finger in them.
_MISTYPED = 10
# How the messages of a search begin. What begins otherwise is about the words of the question.
_BEGINNINGS = {
    "state": statements.STATE.partition("{")[0],
    "candidates": statements.candidates(statements.EVERYWHERE, near=False, cells=False).partition("FROM")[0],
    "nearness": statements.NEARNESS,
    "passages": statements.PASSAGES,
}
MESSAGES = ("words", *_BEGINNINGS)
_EXACT = """
SELECT c.id FROM (
    SELECT x.version_id, x.position, x.embedding <#> %(vector)s::halfvec AS distance FROM knowledge_vector x
     WHERE x.creator_id = %(creator)s AND x.model = %(model)s AND x.live AND NOT x.hidden
     ORDER BY distance LIMIT %(depth)s) n
  JOIN knowledge_chunk c ON c.creator_id = %(creator)s AND c.version_id = n.version_id AND c.position = n.position
"""
_COUNTED = """
SELECT 'version', count(*), sum(indexed_passages), sum(indexed_words)
  FROM knowledge_version WHERE creator_id = %(creator)s AND live
UNION ALL
SELECT lexeme, sum(octet_length(data)), 0, 0
  FROM knowledge_posting WHERE creator_id = %(creator)s AND lexeme = ANY(%(lexemes)s::text[]) GROUP BY lexeme
 ORDER BY 1
"""
_messages: ContextVar[Counter[str]] = ContextVar("messages")


@dataclass(frozen=True, slots=True)
class Subject:
    """A creator who is asked, and what is asked of them."""

    creator: UUID
    questions: Sequence[Asked]

    @property
    def actor(self) -> Actor:
        """A member."""
        return Actor(uuid4(), self.creator, Role.OWNER)


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one search: from the question, already embedded, to the passages; and of each message."""

    whole: float
    messages: Counter[str]


class TimedReader(PoolReader):
    """The reader that serves, with a watch."""

    async def __call__(self, sql: str, parameters: Any, sets: int) -> list[Rows]:
        began = time.perf_counter()
        try:
            return await super().__call__(sql, parameters, sets)
        finally:
            _messages.get(Counter())[message_of(sql)] += (time.perf_counter() - began) * 1000  # type: ignore[assignment]


def message_of(sql: str) -> str:
    """Which of a search's messages this is."""
    return next((name for name, beginning in _BEGINNINGS.items() if sql.startswith(beginning)), MESSAGES[0])


def make_questions(corpus: Corpus, count: int) -> list[Asked]:
    """So many questions, some of them mistyped."""
    chance = random.Random(3)
    asked = [corpus.ask() for _ in range(count)]
    return [Asked(mistype(one.text, chance), one.vector) if chance.randrange(100) < _MISTYPED else one for one in asked]


async def search(subject: Subject, asked: Asked, *, explain: bool = False) -> tuple[Found, Understood, Taken]:
    """What the API does, but for the embedding."""
    actor = subject.actor
    messages: Counter[str] = Counter()
    token = _messages.set(messages)
    try:
        began = time.perf_counter()
        understood = await follow(actor, lambda: searching.understand(asked.text, None))
        question = Question(asked.text, asked.vector, MODEL, limit=DEPTH, explain=explain)
        found, _ = await follow(actor, lambda: searching.search(question, understood))
        return found, understood, Taken((time.perf_counter() - began) * 1000, messages)
    finally:
        _messages.reset(token)


async def one_by_one(subjects: Sequence[Subject], count: int) -> list[Taken]:
    """So many searches, of one creator after the other."""
    return [(await search(*_turn(subjects, turn)))[2] for turn in range(count)]


async def together(subjects: Sequence[Subject], count: int, askers: int) -> list[Taken]:
    """So many searches by several people at once, each of whom asks again when there is an answer."""
    turns = iter(range(count))

    async def keep_asking() -> list[Taken]:
        return [(await search(*_turn(subjects, turn)))[2] for turn in turns]

    return [taken for own in await asyncio.gather(*(keep_asking() for _ in range(askers))) for taken in own]


async def vector_recall(subjects: Sequence[Subject], count: int) -> float:
    """The share of the nearest ten of all vectors that the vectors' leg finds, the mean over so many questions."""
    shares = []
    for turn in range(count):
        subject, asked = _turn(subjects, turn)
        found, _, _ = await search(subject, asked, explain=True)
        values = {
            "creator": subject.creator,
            "model": MODEL,
            "vector": HalfVector(asked.vector).to_text(),
            "depth": DEPTH,
        }
        with creator_scope(subject.creator):
            (rows,) = await ask(_EXACT, values)
        nearest = {row[0] for row in rows}
        shares.append(len(nearest & {one.chunk_id for one in found.vector}) / max(len(nearest), 1))
    return sum(shares) / len(shares)


async def everything_said(subject: Subject) -> list[Any]:
    """All that a creator is answered, scores and the legs' own answers included, and what these were counted from."""
    said = []
    for asked in subject.questions:
        found, understood, _ = await search(subject, asked, explain=True)
        with creator_scope(subject.creator):
            counted = await ask(_COUNTED, {"creator": subject.creator, "lexemes": understood.lexemes})
        said.append((found, understood, counted))
    return said


def percentile(taken: Sequence[Taken], share: float) -> float:
    """Milliseconds that this share of searches did not exceed."""
    return share_within([one.whole for one in taken], share)


def means(taken: Sequence[Taken]) -> dict[str, float]:
    """Mean milliseconds of each message, and of what is left: the work in Python."""
    parts = {name: sum(one.messages[name] for one in taken) / len(taken) for name in MESSAGES}
    return {**parts, "python": sum(one.whole for one in taken) / len(taken) - sum(parts.values())}


def _turn(subjects: Sequence[Subject], turn: int) -> tuple[Subject, Asked]:
    subject = subjects[turn % len(subjects)]
    return subject, subject.questions[turn // len(subjects) % len(subject.questions)]
