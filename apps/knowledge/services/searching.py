"""Search: the database's part, around the embedding of the question."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.search import statements, words
from apps.knowledge.search.finder import Found, Hit, Question, find_passages
from apps.knowledge.search.words import Understood
from shared.tenancy.reads import Steps
from shared.tenancy.scope import require_creator

_DOCUMENT = "SELECT 1 FROM knowledge_document WHERE creator_id = %(creator)s AND id = %(document)s"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A passage beside one that was found, so many places `away`: before it below 0."""

    away: int
    chunk_id: UUID
    text: str
    page: int | None
    heading: str
    seconds: int | None


def understand(text: str, document_id: UUID | None) -> Steps[Understood]:
    """The question in the terms of the creator's index: its `meaning` is what to embed.

    Raises `DocumentNotFound` when the one document to look in is not there.
    """
    if document_id is not None:
        (found,) = yield [(_DOCUMENT, {"creator": require_creator(), "document": document_id})]
        if not found:
            raise DocumentNotFound
    return (yield from words.understand(text))


def search(question: Question, understood: Understood, *, around: int = 0) -> Steps[tuple[Found, dict[UUID, Any]]]:
    """The passages that answer best; and by the id of each, with `around`, so many before and after it."""
    found = yield from find_passages(question, understood)
    if not around or not found.hits:
        return found, {}
    return found, (yield from _neighbours(found.hits, around))


def suggest(text: str, limit: int) -> Steps[list[str]]:
    """What somebody who types this may be about to ask, by the words of the creator's passages."""
    return (yield from words.complete(text, limit))


def _neighbours(hits: list[Hit], around: int) -> Steps[dict[UUID, list[Neighbour]]]:
    values = {
        "creator": require_creator(),
        "versions": [hit.version_id for hit in hits],
        "positions": [hit.position for hit in hits],
        "around": around,
    }
    (rows,) = yield [(statements.NEIGHBOURS, values)]
    # Two hits may stand side by side, and share a neighbour.
    by_place = {(row[0], row[1]): row[2:] for row in rows}
    beside = [away for away in range(-around, around + 1) if away]
    return {
        hit.chunk_id: [
            Neighbour(away, *by_place[hit.version_id, hit.position + away])
            for away in beside
            if (hit.version_id, hit.position + away) in by_place
        ]
        for hit in hits
    }
