"""A creator's documents: list, read, change, start again, stop, delete."""

from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.errors import VersionNotFound
from apps.knowledge.models import Document, GoldenRun, Stage, Version
from apps.knowledge.search.index import index_words
from apps.knowledge.services import golden
from apps.knowledge.services.access import find_document, lock_document, newest_version
from apps.knowledge.services.cursors import read_cursor, write_cursor
from apps.knowledge.services.reads import newest_documents
from apps.knowledge.services.versions import announce_document, begin_version, give_up, stored_paths
from shared.tenancy.actor import Actor, Role
from shared.tenancy.run import announce

# Passages that a request indexes by itself: about a tenth of a second of work.
_REINDEX_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some documents, and where the next ones begin; `next_cursor` is None on the last page."""

    items: list[Document]
    next_cursor: str | None


def list_documents(
    actor: Actor,
    *,
    status: str | None = None,
    tag: str | None = None,
    q: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> DocumentPage:
    """Newest first, for pages; the API reads `DOCUMENTS`. Raises `CursorInvalid`."""
    rows = newest_documents(status=status or None, tag=tag or None, q=q or None, before=read_cursor(cursor))
    items = list(rows[: limit + 1])
    more = len(items) > limit
    items = items[:limit]
    return DocumentPage(items, write_cursor(items[-1].id) if more else None)


def get_document(actor: Actor, *, document_id: UUID) -> Document:
    """One document. Raises `DocumentNotFound`."""
    return find_document(document_id)


def get_content(actor: Actor, *, document_id: UUID, number: int | None = None) -> Version:
    """The version, by default the newest, whose file is asked for. Raises `DocumentNotFound`, `VersionNotFound`."""
    document = find_document(document_id)
    version = Version.objects.filter(document=document, number=number or document.version).first()
    if version is None:
        raise VersionNotFound
    return version


def update_document(
    actor: Actor, *, document_id: UUID, title: str | None = None, tags: list[str] | None = None
) -> Document:
    """Change the title, the tags or both; None leaves a field alone.

    A new title is found by its words at once; for a document of many passages, after a job.
    """
    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    retitled = title is not None and title != document.title
    document.title = document.title if title is None else title
    document.tags = document.tags if tags is None else tags
    document.save(update_fields=["title", "tags", "updated_at"])
    if retitled and document.chunk_count > _REINDEX_AT_ONCE:
        # Here, because the tasks call services of this package.
        from apps.knowledge.tasks import reindex_document

        reindex_document.defer(actor, document_id=str(document.id))
    elif retitled:
        reindex(actor, document_id=document.id)
    announce_document(document)
    return document


def reindex(actor: Actor, *, document_id: UUID) -> None:
    """Index the passages anew under the document's present title. Raises `DocumentNotFound`."""
    document = lock_document(document_id)
    for version in Version.objects.filter(document=document):
        index_words(version_id=version.id, language=version.language, title=document.title)
    golden.note_change(actor, document, GoldenRun.Reason.TITLE_CHANGED)


def delete_document(actor: Actor, *, document_id: UUID) -> list[str]:
    """Delete the document with all its versions and passages; returns where its files lie, which are deleted next."""
    # Here, because the tasks call services of this package.
    from apps.knowledge.tasks import remove_file

    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    paths = stored_paths(document_id)
    golden.note_deletion(document)
    document.delete()
    golden.ask_for_run(actor, GoldenRun.Reason.DOCUMENT_DELETED)
    for path in paths:
        # The door deletes the file at once; the job is for the door that dies in between.
        remove_file.defer(actor, path=path)
    announce("document.deleted", document_id)
    return paths


def list_stages(actor: Actor, *, document_id: UUID) -> list[Stage]:
    """The steps of the newest version, in order."""
    document = find_document(document_id)
    rows = Stage.objects.filter(version__document=document, version__number=document.version)
    return list(rows.order_by("position"))


def list_versions(actor: Actor, *, document_id: UUID) -> list[Version]:
    """Every processing of the document, newest first."""
    document = find_document(document_id)
    return list(Version.objects.filter(document=document).order_by("-number"))


def answering_version(actor: Actor, *, document_id: UUID) -> Version | None:
    """The version that answers searches; None while none does. Raises `DocumentNotFound`."""
    document = find_document(document_id)
    return Version.objects.filter(document=document, number=document.live_version).first()


def reprocess(actor: Actor, *, document_id: UUID) -> Document:
    """Process the stored file again. What answers now keeps answering until the new version is ready.

    A document that is still being processed is left to that.
    """
    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    if not document.is_unfinished:
        newest = newest_version(document)
        begin_version(actor, document, newest, origin=Version.Origin.REPROCESS, filename=newest.filename)
    return document


def reprocess_failed(actor: Actor) -> int:
    """Process every failed document again; returns how many there are."""
    failed = list(Document.objects.filter(status=Document.Status.FAILED).values_list("id", flat=True))
    for document_id in failed:
        reprocess(actor, document_id=document_id)
    return len(failed)


def cancel_processing(actor: Actor, *, document_id: UUID) -> Document:
    """Stop the work on a document. Cancelling what has finished changes nothing."""
    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    if give_up(document) is None:
        return document
    document.status = Document.Status.CANCELLED
    document.save(update_fields=["status", "updated_at"])
    announce_document(document)
    return document
