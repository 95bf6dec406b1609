"""Starting a processing, and telling open pages how it stands."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection
from django.db.models import F, Max
from django.utils import timezone

from apps.knowledge.models import UNFINISHED, Document, Stage, Status, Version
from apps.knowledge.search.index import drop_passages
from apps.knowledge.storage import StoredFile
from shared.tenancy.actor import Actor
from shared.tenancy.run import announce

# A file of so many bytes counts as one turn more than an empty one.
_BYTES_A_TURN = 1024 * 1024
# The turns that are waited for and worked at, of all creators: the queue holds numbers and ids, no creator's rows.
_NOW = """
SELECT least((SELECT -max(priority) FROM procrastinate_jobs WHERE status = 'todo' AND priority < 0),
             (SELECT -max(priority) FROM procrastinate_jobs
               WHERE worker_id IS NOT NULL AND status = 'doing' AND priority < 0))
"""
_WAITING = """
SELECT EXISTS (SELECT 1 FROM procrastinate_jobs
                WHERE status = 'todo' AND priority < 0 AND (scheduled_at IS NULL OR scheduled_at <= now())
                  AND id <> ALL(%(besides)s))
"""
# Jobs that still will be, or are being, done.
_ALIVE = "SELECT id FROM procrastinate_jobs WHERE id = ANY(%(jobs)s) AND status IN ('todo', 'doing')"


def start_version(actor: Actor, document: Document, version: Version) -> Version:
    """Queue the processing of a document's newest version: its rows and its job in one transaction.

    `version` says what to process; its number and its document are put down here. One without a stored file is
    stored by the worker.
    """
    version.document, version.number = document, document.version
    version.save(force_insert=True)
    Stage.objects.bulk_create(
        Stage(version=version, position=place, name=name) for place, name in enumerate(Stage.Name)
    )
    if version.storage_path:
        stored = Stage.objects.filter(version=version, name=Stage.Name.STORE)
        now = timezone.now()
        stored.update(state=Stage.State.DONE, attempts=1, started_at=now, heartbeat_at=now, done=1, total=1)
    queue_version(actor, version)
    announce_document(document)
    return version


def queue_version(actor: Actor, version: Version, *, turn: int | None = None) -> None:
    """Queue a version, by default behind what its creator has queued already: see `next_turn`."""
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import process_version

    version.turn = next_turn() if turn is None else turn
    version.job = process_version.defer(actor, priority=-version.turn, version_id=str(version.id))
    version.save(update_fields=["turn", "job"])


def next_turn() -> int:
    """When a creator's next file is worked on, counted in turns: start-time fair queueing (Goyal et al. 1996).

    It comes after what they have queued already, each as long as it is large, and never before the turn that all
    creators have come to. So a thousand files of one creator stand in line one behind the other, and another creator's
    first stands beside the first of them, not behind the last.
    """
    ends = F("turn") + 1 + F("bytes") / _BYTES_A_TURN
    own = Version.objects.filter(status__in=UNFINISHED).aggregate(last=Max(ends))["last"]
    with connection.cursor() as cursor:
        cursor.execute(_NOW)
        (now,) = cursor.fetchone()
    return max(own or 1, now or 1)


def turns_wait(besides: Iterable[int | None]) -> bool:
    """Whether a turn has come, of whichever creator, that is none of these jobs'."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"besides": [job for job in besides if job is not None]})
        (waiting,) = cursor.fetchone()
        return bool(waiting)


def living_jobs(jobs: Iterable[int | None]) -> set[int]:
    """Those of the queue's jobs that still will be, or are being, done."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIVE, {"jobs": [job for job in jobs if job is not None]})
        return {job for (job,) in cursor.fetchall()}


def begin_version(
    actor: Actor, document: Document, content: Version | StoredFile, *, origin: str, filename: str
) -> None:
    """Start over with a new version; the one that answers now keeps answering until the new one is ready.

    The document is locked by the caller. A version that is still being processed is given up for this one.
    """
    give_up(document)
    path = content.path if isinstance(content, StoredFile) else content.storage_path
    sha256 = content.sha256 if isinstance(content, StoredFile) else content.content_sha256
    version = Version(
        origin=origin,
        filename=filename,
        media_type=content.media_type,
        bytes=content.bytes,
        content_sha256=sha256,
        storage_path=path,
    )
    document.filename, document.media_type, document.bytes = filename, content.media_type, content.bytes
    document.begin_version(document.version + 1)
    document.save()
    start_version(actor, document, version)


def give_up(document: Document) -> Version | None:
    """Stop the work on the newest version, if there is any, and drop what it has made. Returns what was given up."""
    version = Version.objects.filter(document=document, number=document.version, status__in=UNFINISHED).first()
    if version is None:
        return None
    # Without the claim, the run that has it can write nothing more and stops.
    version.status, version.claim = Status.CANCELLED, None
    version.save(update_fields=["status", "claim"])
    drop_passages([version.id])
    Stage.objects.filter(version=version).exclude(state=Stage.State.DONE).update(state=Stage.State.CANCELLED)
    return version


def stored_paths(document_id: UUID) -> list[str]:
    """Where a document's files lie, each once."""
    rows = Version.objects.filter(document_id=document_id).exclude(storage_path="")
    return list(rows.order_by("storage_path").values_list("storage_path", flat=True).distinct())


def announce_document(document: Document) -> None:
    """Tell the creator's open pages how the document stands, once the transaction has committed."""
    announce(
        "document.changed",
        document.id,
        status=str(document.status),
        stage=document.stage,
        done=document.progress_done,
        total=document.progress_total,
        version=document.version,
        live_version=document.live_version,
    )
