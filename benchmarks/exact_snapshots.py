"""One look at a creator's search index: see `exact_looks`."""

import asyncio
from uuid import UUID

from django.db import connection, transaction

from apps.knowledge.embedding import current_embedder
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.search.query import plain
from apps.knowledge.services.indexes import tend_index
from benchmarks.exact_index import cells_are_used, differences, read_passages, wrong_answers
from benchmarks.exact_looks import Look, Looked
from shared.tenancy.actor import Actor, Role
from shared.tenancy.commands import OPERATOR
from shared.tenancy.scope import creator_scope

# Nothing that is written meanwhile is seen, whichever statement asks.
_ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_STATE = "SELECT last_ordinal, added, cell_rows FROM knowledge_searchindex"


def look(wanted: Look) -> Looked:
    """Look, and say what is wrong."""
    actor = Actor(OPERATOR, UUID(wanted.creator), Role.OWNER, acting_reason="search trial")
    embedder = current_embedder()
    model = embedder_hash(embedder.name)
    texts = [plain(asked.text) for asked in wanted.questions]
    vectors = asyncio.run(embedder.embed(texts)) if texts else []
    with creator_scope(actor.creator_id):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ONE_SNAPSHOT)
            passages = read_passages()
            cells = cells_are_used(model)
            wrong = list(differences(passages, model))
            for asked, vector in zip(wanted.questions, vectors, strict=True):
                wrong += [f"{asked.text!r} {asked}: {what}" for what in wrong_answers(asked, vector, model, passages)]
            if wrong:
                cursor.execute(_STATE)
                state = cursor.fetchall()
                wrong = [f"creator {wanted.creator}, index {state}, cells {cells}: {what}" for what in wrong]
        tidied = False
        if wanted.tidy:
            with transaction.atomic():
                tidied = bool(tend_index(actor, models=[model], untidy=1))
    return Looked(wrong, len(passages), cells, tidied)
