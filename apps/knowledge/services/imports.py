"""Archives, whose files become documents one after the other: how far each came, and what it left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from apps.knowledge.errors import ImportNotFound
from apps.knowledge.extraction.failures import Failure
from apps.knowledge.models import Document, Import, SkippedEntry
from apps.knowledge.services.uploads import create_document
from apps.knowledge.services.versions import living_jobs, next_turn
from apps.knowledge.storage import StoredFile
from shared.tenancy.actor import Actor, Role
from shared.tenancy.run import announce

_UNFINISHED = (Import.State.QUEUED, Import.State.RUNNING)
# An import that was begun this often without getting on takes its worker down with it, or has met a broken disk.
MOST_FRUITLESS = 12
# News of every so manieth entry: a page wants to see it move, not to be told a thousand times.
_ENTRIES_A_WORD = 10
# Long enough to read what an import left out, and few enough to ask for the entries of each.
_RECENT = timedelta(hours=1)
_MOST_RECENT = 5


class NotTheNext(Exception):
    """Another run of the same import has come further than this one."""


@dataclass(frozen=True, slots=True)
class Report:
    """An import as it stands: the entries looked at and in all, how many became documents, and which did not."""

    id: UUID
    filename: str
    state: str
    total: int
    done: int
    taken: int
    failure: Failure | None
    skipped: list[SkippedEntry]
    created_at: datetime
    finished_at: datetime | None


def begin_import(actor: Actor, *, stored: StoredFile, filename: str, tags: list[str]) -> Report:
    """Put a stored archive down and queue its unpacking. The documents it makes get the tags."""
    actor.require(Role.EDITOR)
    archive = Import.objects.create(filename=filename, storage_path=stored.path, tags=tags)
    _queue(actor, archive)
    return _report(archive)


def get_import(actor: Actor, *, import_id: UUID) -> Report:
    """How an import stands. Raises `ImportNotFound`."""
    archive = Import.objects.find(import_id)
    if archive is None:
        raise ImportNotFound
    return _report(archive)


def recent_imports(actor: Actor) -> list[Report]:
    """The newest imports that are not at their end, or were not long ago."""
    since = timezone.now() - _RECENT
    wanted = Import.objects.filter(Q(state__in=_UNFINISHED) | Q(finished_at__gte=since))
    return [_report(archive) for archive in wanted.order_by("-id")[:_MOST_RECENT]]


def _report(archive: Import) -> Report:
    skipped = list(SkippedEntry.objects.filter(archive=archive).order_by("position"))
    return Report(
        id=archive.id,
        filename=archive.filename,
        state=archive.state,
        total=archive.total,
        done=archive.done,
        taken=archive.taken,
        failure=archive.failure,
        skipped=skipped,
        created_at=archive.created_at,
        finished_at=archive.finished_at,
    )


# ---- For the worker


def continue_import(actor: Actor, *, import_id: UUID) -> Import | None:
    """The import, if there is anything left to do for it. One that again and again gets nowhere is given up."""
    archive: Import | None = Import.objects.lock(import_id)
    if archive is None or archive.state not in _UNFINISHED:
        return None
    archive.state = Import.State.RUNNING
    archive.fruitless += 1
    archive.save(update_fields=["state", "fruitless"])
    if archive.fruitless > MOST_FRUITLESS:
        finish_import(actor, import_id=import_id, code="internal")
        return None
    _announce(archive)
    return archive


def count_entries(actor: Actor, *, import_id: UUID, total: int) -> None:
    """Put down how many entries there are."""
    archive = Import.objects.lock(import_id)
    archive.total = total
    archive.save(update_fields=["total"])


def take_entry(
    actor: Actor, *, import_id: UUID, position: int, name: str, stored: StoredFile, filename: str, title: str
) -> Document:
    """Make a document of an entry, as if its file had been uploaded; one that is there already is noted as skipped.

    The entry and its document are written together, so no entry is taken twice, whoever does this again. Raises
    `NotTheNext`.
    """
    archive = _next(import_id, position)
    document = create_document(actor, stored=stored, filename=filename, title=title, tags=archive.tags)
    if document.accepted:
        archive.taken += 1
    else:
        SkippedEntry.objects.create(archive=archive, position=position, name=name, code="entry_taken")
    _note_entry(archive)
    return document


def skip_entry(actor: Actor, *, import_id: UUID, position: int, name: str, code: str) -> None:
    """Note why an entry becomes no document. Raises `NotTheNext`."""
    archive = _next(import_id, position)
    SkippedEntry.objects.create(archive=archive, position=position, name=name, code=code)
    _note_entry(archive)


def _next(import_id: UUID, position: int) -> Import:
    archive: Import = Import.objects.lock(import_id)
    if archive.state != Import.State.RUNNING or archive.done != position:
        raise NotTheNext
    return archive


def _note_entry(archive: Import) -> None:
    archive.done += 1
    archive.fruitless = 0
    archive.save(update_fields=["done", "taken", "fruitless"])
    if archive.done % _ENTRIES_A_WORD == 0:
        _announce(archive)


def give_way(actor: Actor, *, import_id: UUID) -> None:
    """Leave the rest of a long import for later, behind what waits already."""
    _queue(actor, Import.objects.lock(import_id))


def finish_import(actor: Actor, *, import_id: UUID, code: str = "") -> str:
    """Note that an import is at its end, or with a `code` why it cannot go on; returns where its file lies."""
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import remove_file

    archive = Import.objects.lock(import_id)
    if archive.state not in _UNFINISHED:  # another run was at its end before
        return str(archive.storage_path)
    archive.state = Import.State.FAILED if code else Import.State.DONE
    archive.failure_code, archive.finished_at = code, timezone.now()
    archive.save(update_fields=["state", "failure_code", "finished_at"])
    remove_file.defer(actor, path=archive.storage_path)
    _announce(archive)
    return str(archive.storage_path)


def resume_lost_imports(actor: Actor) -> int:
    """Queue again each unfinished import that has no job; returns how many."""
    unfinished = list(Import.objects.select_for_update(skip_locked=True).filter(state__in=_UNFINISHED))
    if not unfinished:
        return 0
    alive = living_jobs(archive.job for archive in unfinished)
    lost = [archive for archive in unfinished if archive.job not in alive]
    for archive in lost:
        _queue(actor, archive)
    return len(lost)


def unfinished_archives(paths: Iterable[str]) -> set[str]:
    """Those of the stored files that an import still needs."""
    needed = Import.objects.filter(state__in=_UNFINISHED, storage_path__in=list(paths))
    return set(needed.values_list("storage_path", flat=True))


def _queue(actor: Actor, archive: Import) -> None:
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import unpack_archive

    archive.job = unpack_archive.defer(actor, priority=-next_turn(), import_id=str(archive.id))
    archive.save(update_fields=["job"])


def _announce(archive: Import) -> None:
    announce(
        "import.changed",
        archive.id,
        state=str(archive.state),
        total=archive.total,
        done=archive.done,
        taken=archive.taken,
    )
