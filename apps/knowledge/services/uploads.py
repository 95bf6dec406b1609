"""Taking a file in."""

from apps.knowledge.models import Document
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.versions import start_version
from apps.knowledge.storage import StoredFile
from shared.tenancy.actor import Actor, Role


def create_document(actor: Actor, *, stored: StoredFile, filename: str, title: str, tags: list[str]) -> Document:
    """Put a stored file down as a document and queue its processing.

    The same content again returns the document that has it, and starts it again if it had failed or was cancelled.
    `accepted` on the result says whether work was queued; `storage_path` whether the stored file was taken.
    """
    actor.require(Role.EDITOR)
    document = Document(
        title=title,
        filename=filename,
        tags=tags,
        media_type=stored.media_type,
        bytes=stored.bytes,
        content_sha256=stored.sha256,
        storage_path=stored.path,
    )
    # Two uploads of one content at the same moment: the second waits here for the first, then finds its row.
    Document.objects.bulk_create([document], ignore_conflicts=True)
    kept = Document.objects.get(content_sha256=stored.sha256)
    if kept.id == document.id:
        start_version(actor, kept)
        kept.accepted = True
        return kept
    return _again(actor, kept, stored)


def _again(actor: Actor, existing: Document, stored: StoredFile) -> Document:
    document = lock_document(existing.id)
    if document.status not in (Document.Status.FAILED, Document.Status.CANCELLED):
        return document
    document.begin_version(document.version + 1)
    # What the hub says a file is may have changed since; its stored copy may have been lost.
    document.replaced_path, document.storage_path = document.storage_path, stored.path
    document.media_type = stored.media_type
    document.save()
    start_version(actor, document)
    document.accepted = True
    return document
