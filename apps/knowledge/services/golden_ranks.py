"""Where a search finds what a golden question expects. `find_results` is all that knows how to search."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.embedding import Vectors
from apps.knowledge.golden import RESULTS
from apps.knowledge.models import Chunk, GoldenQuestion
from apps.knowledge.search.finder import Question, find_passages_now


@dataclass(frozen=True, slots=True)
class Result:
    """A passage that a search has found."""

    document_id: UUID
    chunk_id: UUID


@dataclass(frozen=True, slots=True)
class Finding:
    """The rank of what was expected; `passage_gone`: it is a passage that the version that answers does not have."""

    rank: int | None
    passage_gone: bool = False


def find_results(text: str, vector: Vectors, model: UUID) -> list[Result]:
    """The best RESULTS passages of an ordinary search over everything that the creator has, best first."""
    hits = find_passages_now(Question(text, vector, model, limit=RESULTS)).hits
    return [Result(hit.document_id, hit.chunk_id) for hit in hits]


def find_rank(question: GoldenQuestion, vector: Vectors, model: UUID) -> Finding:
    """Search, and say where the expected document or passage is; `apps.knowledge.golden` says what a rank is."""
    results = find_results(question.question, vector, model)
    if question.source is None:
        documents = list(dict.fromkeys(result.document_id for result in results))
        return Finding(_place(documents, {question.document_id}))
    # In whichever version: the search may have begun before a switch.
    same = Chunk.objects.filter(
        document_id=question.document_id, source=question.source, occurrence=question.occurrence
    )
    versions = list(same.values_list("id", "version__number", "document__live_version"))
    gone = all(number != live for _, number, live in versions)
    return Finding(_place([result.chunk_id for result in results], {chunk for chunk, _, _ in versions}), gone)


def _place(found: Sequence[UUID], wanted: set[UUID | None]) -> int | None:
    return next((place for place, one in enumerate(found, start=1) if one in wanted), None)
