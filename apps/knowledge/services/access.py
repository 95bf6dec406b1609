"""Finding a document: a foreign one, a deleted one and one that never was all look alike."""

from uuid import UUID

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.models import Document


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
