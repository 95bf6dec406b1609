"""Finding a document: a foreign one, a deleted one and one that never was all look alike."""

from uuid import UUID

from django.db import connection
from django.db.models import F, Q

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.models import Document, Version
from shared.tenancy.names import lock_key


def find_document(document_id: UUID) -> Document:
    """The document. Raises `DocumentNotFound`."""
    document = Document.objects.find(document_id)
    if document is None:
        raise DocumentNotFound
    return document


def lock_document(document_id: UUID) -> Document:
    """The document, kept from others until the transaction ends. Whatever changes its processing locks it first."""
    document = Document.objects.lock(document_id)
    if document is None:
        raise DocumentNotFound
    return document


def newest_version(document: Document) -> Version:
    """The version whose status is the document's."""
    return Version.objects.get(document=document, number=document.version)


def lock_content(sha256: str) -> None:
    """Let nobody else bring or take away this content of the creator's until the transaction ends.

    Comes before the lock of any document, or two that wait for each other would wait for ever.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("content", sha256)])


def document_with_content(sha256: str) -> UUID | None:
    """The document whose newest or answering version has this content. Call `lock_content` first."""
    current = Q(number=F("document__version")) | Q(number=F("document__live_version"))
    rows = Version.objects.filter(current, content_sha256=sha256).order_by("document_id")
    found: UUID | None = rows.values_list("document_id", flat=True).first()
    return found
