"""Taking a file in."""

from apps.knowledge.models import Document
from apps.knowledge.services.versions import start_version
from apps.knowledge.storage import StoredFile
from shared.exceptions import Conflict
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
    kept = _insert_or_lock(document)
    if kept.id == document.id:
        start_version(actor, kept)
        kept.accepted = True
        return kept
    return _again(actor, kept, stored)


def _insert_or_lock(document: Document) -> Document:
    """The row of this content, locked: ours, or the one that was there. Raises `Conflict` (409), hardly ever.

    Two uploads of one content at the same moment: the second waits for the first, then finds its row. A row that is
    deleted while we wait for it is gone, and then ours may go in.
    """
    for _ in range(3):
        Document.objects.bulk_create([document], ignore_conflicts=True)
        kept = Document.objects.select_for_update().filter(content_sha256=document.content_sha256).first()
        if kept is not None:
            return kept
    raise Conflict("This content is being deleted at this moment. Upload it again.")


def _again(actor: Actor, document: Document, stored: StoredFile) -> Document:
    # Here, because the tasks call services of this package.
    from apps.knowledge.tasks import remove_file

    if document.status not in (Document.Status.FAILED, Document.Status.CANCELLED):
        return document
    document.begin_version(document.version + 1)
    # What the hub says a file is may have changed since; its stored copy may have been lost.
    document.replaced_path, document.storage_path = document.storage_path, stored.path
    document.media_type = stored.media_type
    document.save()
    # The door removes the replaced copy at once; the job is for the door that dies in between.
    remove_file.defer(actor, path=document.replaced_path)
    start_version(actor, document)
    document.accepted = True
    return document
