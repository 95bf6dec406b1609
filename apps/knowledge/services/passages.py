"""What a run of the pipeline makes: passages with their words and vectors. Each write under the run's claim."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef

from apps.knowledge.chunking import Passage
from apps.knowledge.hashes import text_hash
from apps.knowledge.models import Chunk, Correction, Stage, Version
from apps.knowledge.search.coverage import answering_model, chosen_model
from apps.knowledge.search.finder import Question, find_passages_now
from apps.knowledge.search.index import drop_passages, index_words
from apps.knowledge.search.vectors import (
    Meaning,
    Waiting,
    count_meanings,
    meanings_missing,
    store_meanings,
    take_over_meanings,
)
from apps.knowledge.services.ledger import Work, locked, report_progress
from shared.tenancy.actor import Actor

_INSERTS = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading a file has told about it."""

    page_count: int | None
    language: str


def source_of(text: str) -> UUID:
    """Which passage of a file this is: a hash of its text as it was read. As `md5(text)::uuid` in Postgres."""
    return text_hash(text)


def store_passages(actor: Actor, *, work: Work, passages: Sequence[Passage], facts: Facts) -> None:
    """Replace the version's passages, each with what its creator has made of it."""
    locked(work)
    drop_passages([work.version_id])
    made = {(c.source, c.occurrence): c for c in Correction.objects.filter(document_id=work.document_id)}
    seen: Counter[UUID] = Counter()
    rows = []
    for position, passage in enumerate(passages):
        source = source_of(passage.text)
        correction = made.get((source, seen[source]))
        text = passage.text if correction is None or correction.text is None else correction.text
        rows.append(
            Chunk(
                document_id=work.document_id,
                version_id=work.version_id,
                position=position,
                text=text,
                page=passage.page,
                heading=passage.heading,
                seconds=passage.seconds,
                source=source,
                occurrence=seen[source],
                edited=correction is not None and correction.text is not None,
                hidden=correction is not None and correction.hidden,
                tokens=passage.tokens,
            )
        )
        seen[source] += 1
    Chunk.objects.bulk_create(rows, batch_size=_INSERTS)
    version = Version.objects.filter(id=work.version_id)
    version.update(page_count=facts.page_count, language=facts.language, chunk_count=len(rows))


# ---- Vectors


def model_to_embed_with(actor: Actor, *, work: Work) -> UUID | None:
    """The model that answers for the creator. None: the primary."""
    return chosen_model()


def take_over_vectors(actor: Actor, *, work: Work, embedder: str) -> int:
    """Give each passage the vector that one with the same text has in another version; returns how many got one."""
    locked(work)
    return take_over_meanings(
        document_id=work.document_id, version_id=work.version_id, embedder=embedder, title=work.title
    )


def passages_without_vector(actor: Actor, *, work: Work, model: UUID, limit: int) -> tuple[list[Waiting], int, int]:
    """The next passages to embed, how many have a vector, and how many there are."""
    waiting = meanings_missing(version_id=work.version_id, model=model, limit=limit)
    return waiting, *count_meanings(version_id=work.version_id, model=model)


def store_vectors(actor: Actor, *, work: Work, model: UUID, meanings: Sequence[Meaning], done: int, total: int) -> None:
    """Store the vectors of some passages, and say how far the step is."""
    report_progress(actor, work=work, name=Stage.Name.EMBED, done=done, total=total, lasting=True)
    store_meanings(version_id=work.version_id, model=model, meanings=meanings)


# ---- Words, and the proof that they are found


def index_passages(actor: Actor, *, work: Work) -> int:
    """Index the words of the version's passages; returns how many passages it has."""
    document = locked(work)
    language = Version.objects.values_list("language", flat=True).get(id=work.version_id)
    return index_words(version_id=work.version_id, language=language, title=document.title)


def choose_probes(actor: Actor, *, work: Work, count: int) -> list[str]:
    """Texts of passages to look for: rare ones first, which no other document has, and of them the richest in words.

    None when its creator hides every passage: then there is nothing that a search should find.
    """
    visible = Chunk.objects.filter(version_id=work.version_id, hidden=False)
    elsewhere = Chunk.objects.filter(source=OuterRef("source")).exclude(document_id=work.document_id)
    rows = visible.annotate(common=Exists(elsewhere)).order_by("common", "-lexeme_count", "position")
    return list(rows.values_list("text", flat=True)[:count])


def model_to_verify_with(actor: Actor, *, work: Work, models: Sequence[UUID]) -> UUID:
    """The model that answers, unless it came to do so after the version was embedded: then the one that embedded it."""
    for model in (answers := answering_model(models), *models):
        done, total = count_meanings(version_id=work.version_id, model=model)
        if done == total:
            return model
    return answers


def is_found(actor: Actor, *, work: Work, question: Question) -> bool:
    """Whether an ordinary search, over everything the creator has, finds a passage of this version."""
    return any(hit.version_id == work.version_id for hit in find_passages_now(question).hits)
