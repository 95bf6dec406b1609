"""Search: the database's part, with the question's vector already made."""

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.search.finder import Found, Question, find_passages
from shared.tenancy.reads import Steps
from shared.tenancy.scope import require_creator

_DOCUMENT = "SELECT 1 FROM knowledge_document WHERE creator_id = %(creator)s AND id = %(document)s"


def search(question: Question) -> Steps[Found]:
    """The passages that answer best. Raises `DocumentNotFound` when the one document to look in is not there."""
    if question.document_id is not None:
        (found,) = yield [(_DOCUMENT, {"creator": require_creator(), "document": question.document_id})]
        if not found:
            raise DocumentNotFound
    return (yield from find_passages(question))
