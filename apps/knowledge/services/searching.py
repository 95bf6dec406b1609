"""Search, as a service: the database's part, with the question's vector already made."""

from apps.knowledge.search.finder import Hit, Question, find_passages
from apps.knowledge.services.access import find_document
from shared.tenancy.actor import Actor


def search(actor: Actor, *, question: Question) -> list[Hit]:
    """The passages that answer best. Raises `DocumentNotFound` when the one document to look in is not there."""
    if question.document_id is not None:
        find_document(question.document_id)
    return find_passages(question)
