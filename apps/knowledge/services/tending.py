"""Finding work that nobody is at, for the worker: what a crash of any kind has left is taken up again."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from django.utils import timezone

from apps.knowledge.models import UNFINISHED, Stage, Version
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.filling import tend_vectors
from apps.knowledge.services.golden_runs import tend_runs
from apps.knowledge.services.imports import resume_lost_imports, unfinished_archives
from apps.knowledge.services.indexes import tend_index
from apps.knowledge.services.sources import queue_due
from apps.knowledge.services.versions import living_jobs, queue_version
from shared.tenancy.actor import Actor
from shared.tenancy.scope import require_creator

log = structlog.get_logger(__name__)


def resume_lost(actor: Actor, *, silent_seconds: int) -> list[UUID]:
    """Queue again each unfinished version that has no job, or whose step gave no sign of life for so long.

    Whoever still was at it loses the claim, and what it has finished stays finished. Returns the versions.
    """
    unfinished = list(Version.objects.filter(status__in=UNFINISHED).values_list("id", "job"))
    if not unfinished:
        return []
    alive = living_jobs(job for _, job in unfinished)
    since = timezone.now() - timedelta(seconds=silent_seconds)
    silent = Stage.objects.filter(state=Stage.State.RUNNING, heartbeat_at__lt=since, version__status__in=UNFINISHED)
    lost = {version for version, job in unfinished if job not in alive}
    lost |= set(silent.values_list("version_id", flat=True))
    return [version_id for version_id in sorted(lost) if _resume(actor, version_id)]


def _resume(actor: Actor, version_id: UUID) -> bool:
    version = Version.objects.filter(id=version_id).first()
    if version is None:
        return False
    lock_document(version.document_id)
    version = Version.objects.get(id=version_id)  # as it is now that nobody else can change it
    if version.status not in UNFINISHED:
        return False
    running = Stage.objects.filter(version=version, state=Stage.State.RUNNING)
    # So that the next look does not find it again before a worker has it.
    running.update(heartbeat_at=timezone.now())
    version.claim = None
    version.save(update_fields=["claim"])
    queue_version(actor, version, turn=version.turn)
    log.warning("version_resumed", creator_id=str(require_creator()), version_id=str(version_id))
    return True


def tend(actor: Actor, *, silent_seconds: int, models: Sequence[UUID]) -> int:
    """Queue all that nobody is at, and a look at each address whose time has come; returns how many jobs that makes.

    `models` are those that are configured, the primary first.
    """
    lost = len(resume_lost(actor, silent_seconds=silent_seconds)) + resume_lost_imports(actor)
    due = queue_due(actor) + tend_runs(actor, models=models)
    return lost + due + tend_index(actor, models=models) + tend_vectors(actor, models=models)


def claimed_paths(actor: Actor, *, paths: Sequence[str]) -> set[str]:
    """Those of the stored files that a version names, or an import that is not finished."""
    claimed = set(Version.objects.filter(storage_path__in=paths).values_list("storage_path", flat=True))
    return claimed | unfinished_archives(paths)
