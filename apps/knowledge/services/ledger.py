"""The ledger of a version: who works on it, how far each step is, why it ended.

Each write is one short transaction under the run's claim. A run that lost its claim (cancelled, deleted, or taken over
because its worker was thought dead) raises `Superseded` at its next write and stops; so two runs never mix what they
make.
"""

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from django.db.models import F
from django.utils import timezone

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.failures import FAILURES
from apps.knowledge.models import UNFINISHED, Document, Stage, Status, Version
from apps.knowledge.search.index import drop_passages
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.versions import announce_document, queue_version, turns_wait
from shared.tenancy.actor import Actor

# A step that was begun this often without getting anywhere takes its worker down with it; it is not begun again.
MOST_FRUITLESS = 4

# How far behind a version goes that gives way to others after some ten seconds.
_TURNS_OF_A_SLICE = 10


class Superseded(Exception):
    """This run may write no more: somebody cancelled or deleted the document, or another run took it over."""


@dataclass(frozen=True, slots=True)
class Work:
    """One run's claim on a version, and what it needs to know."""

    document_id: UUID
    version_id: UUID
    number: int
    claim: UUID
    title: str
    filename: str
    media_type: str
    storage_path: str
    content_sha256: str
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
        number=version.number,
        claim=version.claim,
        title=document.title,
        filename=version.filename,
        media_type=version.media_type,
        storage_path=version.storage_path,
        content_sha256=version.content_sha256,
        finished=frozenset(done),
    )


def hold_claim(actor: Actor, *, work: Work) -> None:
    """Do nothing, or raise `Superseded`."""
    if not Version.objects.filter(id=work.version_id, claim=work.claim).exists():
        raise Superseded


def beat(actor: Actor, *, work: Work, name: str) -> None:
    """Say that the run is still at a step. Raises `Superseded`."""
    hold_claim(actor, work=work)
    Stage.objects.filter(version_id=work.version_id, name=name).update(heartbeat_at=timezone.now())


def begin_stage(actor: Actor, *, work: Work, name: str) -> int:
    """Note that a step begins; returns how often in a row it has begun without getting anywhere, this time included."""
    document = locked(work)
    stage = Stage.objects.get(version_id=work.version_id, name=name)
    stage.state, stage.started_at = Stage.State.RUNNING, timezone.now()
    stage.heartbeat_at = stage.started_at
    stage.attempts += 1
    stage.fruitless += 1
    stage.save(update_fields=["state", "started_at", "heartbeat_at", "attempts", "fruitless"])
    document.stage, document.progress_done, document.progress_total = name, stage.done, stage.total
    _save_progress(document)
    return stage.fruitless


def report_progress(actor: Actor, *, work: Work, name: str, done: int, total: int, lasting: bool = False) -> None:
    """Say how far a step is. `lasting` progress survives the run, so the attempt was not fruitless."""
    document = locked(work)
    changes = {"done": done, "total": total, "heartbeat_at": timezone.now()}
    Stage.objects.filter(version_id=work.version_id, name=name).update(
        **changes, **({"fruitless": 1} if lasting else {})
    )
    document.progress_done, document.progress_total = done, total
    _save_progress(document)


def note_media_type(actor: Actor, *, work: Work, media_type: str) -> Work:
    """Put down what the file is by its content as this release knows it; returns the work with it."""
    if media_type == work.media_type:
        return work
    document = locked(work)
    Version.objects.filter(id=work.version_id).update(media_type=media_type)
    document.media_type = media_type
    document.save(update_fields=["media_type", "updated_at"])
    return replace(work, media_type=media_type)


def others_wait(actor: Actor, *, work: Work) -> bool:
    """Whether another creator's turn has come meanwhile."""
    hold_claim(actor, work=work)
    own = Version.objects.filter(status__in=UNFINISHED).values_list("job", flat=True)
    return turns_wait(own)


def forgive_attempt(actor: Actor, *, work: Work, name: str) -> None:
    """Do not hold against the document a beginning that ended for want of something outside the hub."""
    locked(work)
    Stage.objects.filter(version_id=work.version_id, name=name).update(fruitless=F("fruitless") - 1)


def finish_stage(actor: Actor, *, work: Work, name: str, milliseconds: int, total: int) -> None:
    """Note that a step ended well."""
    document = locked(work)
    stage = Stage.objects.get(version_id=work.version_id, name=name)
    stage.state, stage.done, stage.total, stage.fruitless = Stage.State.DONE, total, total, 0
    stage.milliseconds += milliseconds
    stage.save(update_fields=["state", "done", "total", "fruitless", "milliseconds"])
    document.progress_done = document.progress_total = total
    _save_progress(document)


def give_way(actor: Actor, *, work: Work, name: str, milliseconds: int) -> None:
    """Leave a long version for now, so that others get their turn: it goes on where it is, behind them."""
    document = locked(work)
    version = Version.objects.get(id=work.version_id)
    version.claim, version.status = None, Status.QUEUED
    version.save(update_fields=["claim", "status"])
    spent = F("milliseconds") + milliseconds
    Stage.objects.filter(version=version, name=name).update(state=Stage.State.PENDING, fruitless=0, milliseconds=spent)
    queue_version(actor, version, turn=version.turn + _TURNS_OF_A_SLICE)
    document.status = Status.QUEUED
    document.save(update_fields=["status", "updated_at"])
    announce_document(document)


def fail_version(actor: Actor, *, work: Work, code: str) -> None:
    """Put down why it cannot be done. What answered before goes on answering."""
    document = locked(work)
    now = timezone.now()
    Version.objects.filter(id=work.version_id).update(
        status=Status.FAILED, claim=None, failure_code=code, finished_at=now
    )
    running = Stage.objects.filter(version_id=work.version_id, state=Stage.State.RUNNING)
    running.update(state=Stage.State.FAILED, failure_code=code)
    drop_passages([work.version_id])
    document.status = Status.FAILED
    document.set_failure(FAILURES[code])
    document.save()
    announce_document(document)


def locked(work: Work) -> Document:
    """The document, locked, provided that the run still has its claim. Raises `Superseded`."""
    try:
        document = lock_document(work.document_id)
    except DocumentNotFound as error:
        raise Superseded from error
    if not Version.objects.filter(id=work.version_id, claim=work.claim).exists():
        raise Superseded
    return document


def _save_progress(document: Document) -> None:
    document.save(update_fields=["stage", "progress_done", "progress_total", "updated_at"])
    announce_document(document)
