"""Taking a file in."""

from uuid import UUID

from apps.knowledge.errors import ContentElsewhere
from apps.knowledge.models import Document, Version
from apps.knowledge.services.access import document_with_content, lock_content, lock_document, newest_version
from apps.knowledge.services.versions import begin_version, start_version
from apps.knowledge.storage import StoredFile
from shared.tenancy.actor import Actor, Role

_TO_DO_AGAIN = (Document.Status.FAILED, Document.Status.CANCELLED)


def create_document(actor: Actor, *, stored: StoredFile, filename: str, title: str, tags: list[str]) -> Document:
    """Put a stored file down as a document and queue its processing.

    The same content again returns the document that has it, and starts it again if it had failed or was cancelled.
    `accepted` on the result says whether work was queued; `taken` whether the stored file is in use now.
    """
    actor.require(Role.EDITOR)
    lock_content(stored.sha256)
    holder = document_with_content(stored.sha256)
    kept: Document | None = Document.objects.lock(holder) if holder else None
    if kept is not None:  # and was not deleted while its lock was waited for
        return _again(actor, kept, stored)
    document = Document.objects.create(
        title=title, filename=filename, tags=tags, media_type=stored.media_type, bytes=stored.bytes
    )
    version = Version(
        filename=filename,
        media_type=stored.media_type,
        bytes=stored.bytes,
        content_sha256=stored.sha256,
        storage_path=stored.path,
    )
    start_version(actor, document, version)
    document.accepted = document.taken = True
    return document


def add_version(
    actor: Actor, *, document_id: UUID, stored: StoredFile, filename: str, origin: str = "upload"
) -> Document:
    """Give a document new content; what answers now keeps answering until the new version is ready.

    The content that its newest version has already changes nothing, unless that one had failed or was cancelled.
    `accepted` and `taken` on the result are as for `create_document`. Raises `DocumentNotFound`, and
    `ContentElsewhere` (409) when another document has this content.
    """
    actor.require(Role.EDITOR)
    lock_content(stored.sha256)
    document = lock_document(document_id)
    holder = document_with_content(stored.sha256)
    if holder is not None and holder != document.id:
        raise ContentElsewhere(f"Another document has this content already: {holder}. Delete one of the two first.")
    if newest_version(document).content_sha256 == stored.sha256:
        return _again(actor, document, stored)
    begin_version(actor, document, stored, origin=origin, filename=filename)
    document.accepted = document.taken = True
    return document


def _again(actor: Actor, document: Document, stored: StoredFile) -> Document:
    # Here, because the tasks call services of this package.
    from apps.knowledge.tasks import remove_file

    newest = newest_version(document)
    if document.status not in _TO_DO_AGAIN or newest.content_sha256 != stored.sha256:
        return document
    # What the hub says a file is may have changed since; its stored copy may have been lost.
    document.replaced_path = newest.storage_path
    same = Version.objects.filter(document=document, storage_path=newest.storage_path)
    same.update(storage_path=stored.path)
    begin_version(actor, document, stored, origin=Version.Origin.UPLOAD, filename=document.filename)
    # The door removes the replaced copy at once; the job is for the door that dies in between.
    remove_file.defer(actor, path=document.replaced_path)
    document.accepted = document.taken = True
    return document
