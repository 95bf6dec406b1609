"""What a run of the pipeline may write, step by step. Each write is one short transaction under the run's claim.

A run that lost its claim (cancelled, deleted, or taken over because its worker was thought dead) raises
`Superseded` at its next write and stops; so two runs never mix their passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import F
from django.utils import timezone

from apps.knowledge.chunking import Passage
from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.extraction.failures import FAILURES
from apps.knowledge.models import UNFINISHED, Chunk, Document, Stage, Status, Version
from apps.knowledge.search.finder import Question, find_passages_now
from apps.knowledge.search.index import index_words
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.versions import announce_document
from shared.tenancy.actor import Actor
from shared.tenancy.scope import require_creator

# A step that was begun this often and never ended takes its worker down with it; it is not begun again.
MOST_ATTEMPTS = 4
_INSERTS = 500


class Superseded(Exception):
    """This run may write no more: somebody cancelled or deleted the document, or another run took it over."""


@dataclass(frozen=True, slots=True)
class Work:
    """One run's claim on a version, and what it needs to know."""

    document_id: UUID
    version_id: UUID
    claim: UUID
    title: str
    media_type: str
    storage_path: str
    finished: frozenset[str]


def claim_version(actor: Actor, *, version_id: UUID) -> Work | None:
    """Take a version over from whoever had it; None when there is nothing left to do."""
    version = Version.objects.filter(id=version_id).first()
    if version is None:
        return None
    try:
        document = lock_document(version.document_id)
    except DocumentNotFound:
        return None
    version = Version.objects.get(id=version_id)  # as it is now that nobody else can change it
    if version.status not in UNFINISHED or version.number != document.version:
        return None
    version.claim, version.status = uuid4(), Status.PROCESSING
    version.save(update_fields=["claim", "status"])
    document.status = Status.PROCESSING
    document.save(update_fields=["status", "updated_at"])
    announce_document(document)
    done = Stage.objects.filter(version=version, state=Stage.State.DONE).values_list("name", flat=True)
    return Work(
        document_id=document.id,
        version_id=version.id,
        claim=version.claim,
        title=document.title,
        media_type=document.media_type,
        storage_path=document.storage_path,
        finished=frozenset(done),
    )


def hold_claim(actor: Actor, *, work: Work) -> None:
    """Do nothing, or raise `Superseded`."""
    if not Version.objects.filter(id=work.version_id, claim=work.claim).exists():
        raise Superseded


def begin_stage(actor: Actor, *, work: Work, name: str, total: int = 0) -> int:
    """Note that a step begins; returns how often it has begun, this time included."""
    document = _locked(work)
    stage = _stage(work, name)
    stage.state, stage.attempts, stage.done, stage.total = Stage.State.RUNNING, stage.attempts + 1, 0, total
    stage.save(update_fields=["state", "attempts", "done", "total"])
    document.stage, document.progress_done, document.progress_total = name, 0, total
    _save_progress(document)
    return stage.attempts


def report_progress(actor: Actor, *, work: Work, name: str, done: int, total: int) -> None:
    """Say how far a step is."""
    document = _locked(work)
    Stage.objects.filter(version_id=work.version_id, name=name).update(done=done, total=total)
    document.progress_done, document.progress_total = done, total
    _save_progress(document)


def forgive_attempt(actor: Actor, *, work: Work, name: str) -> None:
    """Do not count a beginning that ended for want of something outside the hub."""
    _locked(work)
    Stage.objects.filter(version_id=work.version_id, name=name).update(attempts=F("attempts") - 1)


def finish_stage(actor: Actor, *, work: Work, name: str, milliseconds: int, total: int) -> None:
    """Note that a step ended well."""
    document = _locked(work)
    stage = _stage(work, name)
    stage.state, stage.done, stage.total = Stage.State.DONE, total, total
    stage.milliseconds += milliseconds
    stage.save(update_fields=["state", "done", "total", "milliseconds"])
    document.progress_done = document.progress_total = total
    _save_progress(document)


def store_passages(actor: Actor, *, work: Work, passages: Sequence[Passage], page_count: int | None) -> None:
    """Replace the version's passages."""
    _locked(work)
    Chunk.objects.filter(version_id=work.version_id).delete()
    rows = [
        Chunk(
            document_id=work.document_id,
            version_id=work.version_id,
            position=position,
            text=passage.text,
            page=passage.page,
            heading=passage.heading,
            tokens=passage.tokens,
        )
        for position, passage in enumerate(passages)
    ]
    Chunk.objects.bulk_create(rows, batch_size=_INSERTS)
    Version.objects.filter(id=work.version_id).update(page_count=page_count, chunk_count=len(rows))


def passages_without_vector(actor: Actor, *, work: Work, limit: int) -> tuple[list[Chunk], int, int]:
    """The next passages to embed, how many have a vector, and how many there are."""
    every = Chunk.objects.filter(version_id=work.version_id)
    total = every.count()
    waiting = every.filter(embedding__isnull=True)
    rows = list(waiting.only("id", "text", "heading").order_by("position")[:limit])
    return rows, total - waiting.count(), total


_STORE_VECTORS = """
UPDATE knowledge_chunk c SET embedding = v.embedding::halfvec
  FROM unnest(%(ids)s::uuid[], %(vectors)s::text[]) AS v(id, embedding)
 WHERE c.creator_id = %(creator)s AND c.version_id = %(version)s AND c.id = v.id
"""


def store_vectors(
    actor: Actor, *, work: Work, ids: Sequence[UUID], vectors: Sequence[str], done: int, total: int
) -> None:
    """Store the vectors of some passages (as pgvector writes them), and say how far the step is."""
    report_progress(actor, work=work, name=Stage.Name.EMBED, done=done, total=total)
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE_VECTORS,
            {
                "ids": list(ids),
                "vectors": list(vectors),
                "creator": require_creator(),
                "version": work.version_id,
            },
        )


def index_passages(actor: Actor, *, work: Work) -> int:
    """Index the words of the version's passages; returns how many passages it has."""
    document = _locked(work)
    return index_words(version_id=work.version_id, title=document.title)


def choose_probes(actor: Actor, *, work: Work, count: int) -> list[str]:
    """Texts of passages to look for: the ones with the most words, which are the easiest to tell from others."""
    rows = Chunk.objects.filter(version_id=work.version_id).order_by("-lexeme_count", "position")
    return list(rows.values_list("text", flat=True)[:count])


def is_found(actor: Actor, *, work: Work, question: Question) -> bool:
    """Whether an ordinary search, over everything the creator has, finds a passage of this version."""
    return any(hit.version_id == work.version_id for hit in find_passages_now(question))


def go_live(actor: Actor, *, work: Work) -> None:
    """Let this version answer from now on, and drop the passages of the ones before it."""
    document = _locked(work)
    version = Version.objects.get(id=work.version_id)
    version.status, version.claim, version.finished_at = Status.READY, None, timezone.now()
    version.save(update_fields=["status", "claim", "finished_at"])
    document.status, document.stage = Status.READY, ""
    document.live_version = version.number
    document.page_count, document.chunk_count = version.page_count, version.chunk_count
    document.set_failure(None)
    document.save()
    if document.title != work.title:  # changed while the version was being made
        index_words(version_id=version.id, title=document.title)
    Chunk.objects.filter(document=document).exclude(version=version).delete()
    announce_document(document)


def fail_version(actor: Actor, *, work: Work, code: str) -> None:
    """Put down why it cannot be done. What answered before goes on answering."""
    document = _locked(work)
    Version.objects.filter(id=work.version_id).update(
        status=Status.FAILED, claim=None, failure_code=code, finished_at=timezone.now()
    )
    running = Stage.objects.filter(version_id=work.version_id, state=Stage.State.RUNNING)
    running.update(state=Stage.State.FAILED)
    Chunk.objects.filter(version_id=work.version_id).delete()
    document.status = Status.FAILED
    document.set_failure(FAILURES[code])
    document.save()
    announce_document(document)


def _locked(work: Work) -> Document:
    """The document, locked, provided that the run still has its claim."""
    try:
        document = lock_document(work.document_id)
    except DocumentNotFound as error:
        raise Superseded from error
    if not Version.objects.filter(id=work.version_id, claim=work.claim).exists():
        raise Superseded
    return document


def _stage(work: Work, name: str) -> Stage:
    return Stage.objects.get(version_id=work.version_id, name=name)


def _save_progress(document: Document) -> None:
    document.save(update_fields=["stage", "progress_done", "progress_total", "updated_at"])
    announce_document(document)
