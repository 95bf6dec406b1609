"""Documents that are fetched from an address, and looked at again from time to time."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.knowledge.errors import ContentElsewhere, DocumentNotFound, SourceNotFound
from apps.knowledge.filenames import display_name, title_of
from apps.knowledge.models import Document, Source, Version
from apps.knowledge.services.access import document_with_content, find_document, lock_content, lock_document
from apps.knowledge.services.ledger import Work, locked
from apps.knowledge.services.uploads import add_version
from apps.knowledge.services.versions import begin_version, next_turn, start_version
from apps.knowledge.storage import StoredFile
from shared.security.fetching import Fetched, Place
from shared.tenancy.actor import Actor, Role
from shared.tenancy.names import lock_key

# When a look that was queued is queued again, should nobody have looked by then.
_OVERDUE = timedelta(hours=1)
_MOST_AT_ONCE = 100
_TO_DO_AGAIN = (Document.Status.FAILED, Document.Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Look:
    """What to fetch, and what its server said of it the last time."""

    source_id: UUID
    url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a look, in storage under a name; nothing is stored when it has not changed."""

    fetched: Fetched
    filename: str = ""
    stored: StoredFile | None = None


def import_url(actor: Actor, *, place: Place, title: str, tags: list[str], refresh_hours: int | None) -> Document:
    """Put an address down as a document, which a worker fetches; `refresh_hours` is how often it looks again.

    The same address again returns the document that has it, and starts it again if it had failed or was cancelled.
    `accepted` on the result says whether work was queued.
    """
    actor.require(Role.EDITOR)
    with connection.cursor() as cursor:
        # Two requests for one address at the same moment: the second waits, then finds the first one's row.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("source", place.url)])
    source = Source.objects.filter(url=place.url).first()
    if source is not None:
        return _again(actor, lock_document(source.document_id))
    filename = display_name(place.filename)
    document = Document.objects.create(
        title=title or title_of(filename), filename=filename, tags=tags, media_type="", bytes=0
    )
    Source.objects.create(
        document=document, url=place.url, refresh_hours=refresh_hours, next_check_at=_next_check(refresh_hours)
    )
    start_version(actor, document, Version(origin=Version.Origin.IMPORT, filename=filename))
    document.accepted = True
    return document


def _again(actor: Actor, document: Document) -> Document:
    if document.status in _TO_DO_AGAIN:
        nothing = Version(filename=document.filename)
        begin_version(actor, document, nothing, origin=Version.Origin.IMPORT, filename=document.filename)
        document.accepted = True
    return document


def get_source(actor: Actor, *, document_id: UUID) -> Source:
    """Where a document is fetched from. Raises `DocumentNotFound`, `SourceNotFound` (404)."""
    return _source_of(find_document(document_id))


def change_source(actor: Actor, *, document_id: UUID, refresh_hours: int | None) -> Source:
    """Say how often the address is looked at from now on; None: never again. Raises as `get_source` does."""
    actor.require(Role.EDITOR)
    source = _source_of(lock_document(document_id))
    source.refresh_hours, source.next_check_at = refresh_hours, _next_check(refresh_hours)
    source.save(update_fields=["refresh_hours", "next_check_at"])
    return source


def _source_of(document: Document) -> Source:
    source = Source.objects.filter(document=document).first()
    if source is None:
        raise SourceNotFound
    return source


def _next_check(refresh_hours: int | None) -> datetime | None:
    return None if refresh_hours is None else timezone.now() + timedelta(hours=refresh_hours)


# ---- The first look, as a step of a version


def first_look(actor: Actor, *, work: Work) -> Look | None:
    """What to fetch for a version; None when its document comes from no address."""
    source = Source.objects.filter(document_id=work.document_id).first()
    return Look(source.id, source.url) if source else None


def take_first(actor: Actor, *, work: Work, found: Found) -> Work:
    """Make what was fetched the version's file; returns the work with it.

    Raises `Superseded`, and `ContentElsewhere` when another document has this content.
    """
    stored = _stored(found)
    lock_content(stored.sha256)
    document = locked(work)
    _refuse_elsewhere(document.id, stored.sha256)
    if document.title == title_of(document.filename):  # nobody chose it
        document.title = title_of(found.filename)
    document.filename, document.media_type, document.bytes = found.filename, stored.media_type, stored.bytes
    document.save(update_fields=["title", "filename", "media_type", "bytes", "updated_at"])
    Version.objects.filter(id=work.version_id).update(
        filename=found.filename,
        media_type=stored.media_type,
        bytes=stored.bytes,
        content_sha256=stored.sha256,
        storage_path=stored.path,
    )
    _note_look(Source.objects.get(document=document), found)
    return replace(
        work,
        title=document.title,
        filename=found.filename,
        media_type=stored.media_type,
        storage_path=stored.path,
        content_sha256=stored.sha256,
    )


def _refuse_elsewhere(document_id: UUID, sha256: str) -> None:
    holder = document_with_content(sha256)
    if holder is not None and holder != document_id:
        raise ContentElsewhere(f"Another document has this content already: {holder}. Delete one of the two first.")


# ---- Later looks


def queue_due(actor: Actor) -> int:
    """Queue a look at each source whose time has come; returns how many.

    The row says when, and the clock asks it: there is no job that could be lost. Fair among creators as versions are,
    see `next_turn`.
    """
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import refresh_source

    now = timezone.now()
    due = Source.objects.select_for_update(skip_locked=True).filter(next_check_at__lte=now)
    sources = list(due.order_by("next_check_at")[:_MOST_AT_ONCE])
    turn = next_turn() if sources else 0
    for place, source in enumerate(sources):
        source.next_check_at = now + _OVERDUE
        source.save(update_fields=["next_check_at"])
        refresh_source.defer(actor, priority=-(turn + place), source_id=str(source.id))
    return len(sources)


def begin_look(actor: Actor, *, source_id: UUID) -> Look | None:
    """What to look at; None when the source is to be looked at no more. Raises `DocumentNotFound` when it is gone.

    None as well while its document is still being processed, which a new version would end: it is looked at next time.
    """
    source, document = _locked(source_id)
    if source.next_check_at is None:
        return None
    if document.is_unfinished:
        _save_look(source)
        return None
    return Look(source.id, source.url, source.etag, source.last_modified)


def finish_look(actor: Actor, *, source_id: UUID, found: Found) -> bool:
    """Note what a look has found; what changed becomes a new version. Returns whether the stored file is in use now.

    Raises `DocumentNotFound` when the source is gone, `ContentElsewhere` when another document has this content.
    """
    sha256 = found.stored.sha256 if found.stored else ""
    source, document = _locked(source_id, sha256)
    taken = False
    if found.stored is not None and sha256 != source.content_sha256:
        origin = Version.Origin.REFRESH
        changed = add_version(
            actor, document_id=document.id, stored=found.stored, filename=found.filename, origin=origin
        )
        taken = changed.taken
    _note_look(source, found)
    return taken


def fail_look(actor: Actor, *, source_id: UUID, code: str) -> None:
    """Note why a look failed. The document stays as it is. Raises `DocumentNotFound` when the source is gone."""
    source, _ = _locked(source_id)
    source.failure_code, source.checked_at = code, timezone.now()
    _save_look(source, "failure_code", "checked_at")


def _locked(source_id: UUID, sha256: str = "") -> tuple[Source, Document]:
    """The source and its document, kept from others. What changes a source locks its document first."""
    source = Source.objects.find(source_id)
    if source is None:
        raise DocumentNotFound
    if sha256:
        lock_content(sha256)
    document = lock_document(source.document_id)
    return Source.objects.get(id=source_id), document


def _note_look(source: Source, found: Found) -> None:
    source.failure_code, source.checked_at = "", timezone.now()
    if found.stored is not None:
        source.content_sha256 = found.stored.sha256
        source.etag, source.last_modified = found.fetched.etag, found.fetched.last_modified
    _save_look(source, "failure_code", "checked_at", "content_sha256", "etag", "last_modified")


def _save_look(source: Source, *fields: str) -> None:
    source.next_check_at = _next_check(source.refresh_hours)
    source.save(update_fields=[*fields, "next_check_at"])


def _stored(found: Found) -> StoredFile:
    assert found.stored is not None, "a first look asks for everything"
    return found.stored
