"""What doors do to search: understand the question, embed it, find what answers. Shared by the API and the pages."""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from uuid import UUID

from apps.knowledge.embedding import Embedder, Vectors, embedder_of
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.highlight import Range, find_words
from apps.knowledge.search.finder import Candidate, Hit, Question
from apps.knowledge.search.ranking import LEXICAL_WEIGHT, VECTOR_WEIGHT
from apps.knowledge.services import searching
from apps.knowledge.services.searching import Neighbour
from shared.tenancy.actor import Actor, Asker, Role
from shared.tenancy.ids import uuid7
from shared.tenancy.reads import confirm_actor, follow

# What is suggested to somebody who types.
SUGGESTIONS = 10


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Where to look. `since` and `until`: the first and the last day (UTC) on which a document may have come."""

    tag: str | None = None
    document_id: UUID | None = None
    language: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Legs:
    """What words alone, and meaning alone, would have answered, and how much each counts in the answer."""

    lexical: list[Candidate]
    vector: list[Candidate]
    lexical_weight: float = LEXICAL_WEIGHT
    vector_weight: float = VECTOR_WEIGHT


@dataclass(frozen=True, slots=True)
class Result:
    """A passage that answers, where it has the words of the question, and what stands around it."""

    hit: Hit
    highlights: list[Range]
    neighbours: list[Neighbour] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, and how long it took. `corrected`: the question that was answered instead, if another.

    `lexemes` are those of the question; a passage is marked where it has words of them. `id` is what clicks on the
    results name.
    """

    query: str
    corrected: str | None
    took_ms: int
    results: list[Result]
    legs: Legs | None = None
    lexemes: frozenset[str] = frozenset()
    id: UUID = field(default_factory=uuid7)


async def search_passages(
    who: Asker,
    query: str,
    *,
    limit: int = 10,
    where: Narrowed = Narrowed(),
    by_document: bool = False,
    around: int = 0,
    explain: bool = False,
) -> Answer:
    """Find what answers a question.

    `by_document`: each document once. `around`: with so many passages before and after each. `explain`, for owner and
    admins: what each leg alone would have answered. Raises `EmbeddingUnavailable`, `DocumentNotFound`, `RoleRequired`.
    """
    began = time.perf_counter()
    actor = await confirm_actor(who)  # before the work of embedding is done for them
    if explain:
        actor.require(Role.ADMIN)
    understood = await follow(actor, lambda: searching.understand(query, where.document_id))
    embedder = embedder_of(understood.model)
    vectors = await embedder.embed([understood.meaning])
    actor = await confirm_actor(who)  # again: it may have taken long
    question = replace(
        _question(query, vectors[0], embedder, where), limit=limit, by_document=by_document, explain=explain
    )
    found, beside = await follow(actor, lambda: searching.search(question, understood, around=around))
    results = [
        Result(hit, find_words(understood.sought, hit.text, hit.language), beside.get(hit.chunk_id, []))
        for hit in found.hits
    ]
    took = round((time.perf_counter() - began) * 1000)
    legs = Legs(found.lexical, found.vector) if explain else None
    return Answer(query, understood.corrected, took, results, legs, understood.sought)


async def suggest(who: Asker, text: str) -> list[str]:
    """Questions that somebody who types may be about to ask, by the words of the creator's passages."""
    actor: Actor = await confirm_actor(who)
    return await follow(actor, lambda: searching.suggest(text, SUGGESTIONS))


def _question(text: str, vector: Vectors, embedder: Embedder, where: Narrowed) -> Question:
    return Question(
        text,
        vector,
        embedder_hash(embedder.name),
        tag=where.tag,
        document_id=where.document_id,
        language=where.language,
        since=None if where.since is None else _midnight(where.since),
        until=None if where.until is None else _midnight(where.until) + timedelta(days=1),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time_of_day(), UTC)
