"""The rows of `rls_cost`, and its statements: python -m benchmarks.rls_statements OWNER_URL CREATORS DOCUMENTS .."""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg

from shared.config.env_constants import get_env_value, use_settings

use_settings()

import django  # noqa: E402

django.setup()

from django.db.models.sql import UpdateQuery  # noqa: E402

from apps.accounts.models import Creator  # noqa: E402
from apps.knowledge.models import Document  # noqa: E402
from apps.knowledge.services.reads import DOCUMENT, DOCUMENTS, USAGE  # noqa: E402
from benchmarks.stage import mark  # noqa: E402
from shared.tenancy.policies import SETTING  # noqa: E402
from shared.tenancy.reads import Read  # noqa: E402
from shared.tenancy.scope import creator_scope  # noqa: E402
from shared.tenancy.statements import Place, Statement, compile_statement  # noqa: E402

# Documents in the order of their creation, so that a creator's lie scattered over the table, as they would.
_ROWS = """
INSERT INTO knowledge_document (creator_id, id, title, filename, media_type, bytes, tags,
    status, stage, progress_done, progress_total, failure_code, failure_sentence, failure_action, version,
    live_version, page_count, chunk_count, created_at, updated_at)
SELECT c.id,
    (lpad(to_hex(1700000000000 + n * 60000), 12, '0') || '7' || substr(h, 1, 3) || 'a' || substr(h, 4, 15))::uuid,
    'How to prepare session ' || n || ': what to bring, what to leave', 'session-' || n || '.pdf', 'application/pdf',
    100000 + n, ARRAY['handbook', 'part ' || n %% 7],
    CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'ready' END, 'verify', 12, 12, '', '', '', 1,
    1, 12, 40, now(), now()
  FROM generate_series(%s::int, %s::int) n CROSS JOIN accounts_creator c
 CROSS JOIN LATERAL (SELECT md5(n || c.id::text) AS h) hashed
"""
_ROWS_AT_ONCE = 500_000
_KNOWN_OF_EACH = 5

type Message = tuple[str, list[Any]]


def main() -> None:
    owner_url, creators, documents, pairs, rounds = sys.argv[1], *map(int, sys.argv[2:])
    with psycopg.connect(owner_url, autocommit=True) as owner:
        # From now on the policies are for hub_app only.
        owner.execute("ALTER TABLE knowledge_document NO FORCE ROW LEVEL SECURITY")
        _make_rows(owner, creators, documents)
        known = _some_documents(owner)
        with psycopg.connect(get_env_value("DATABASE_URL"), autocommit=True) as app:
            _check(app, owner, known)
            ratios = {name: _ratios(app, owner, known, make, pairs, rounds) for name, make in _STATEMENTS.items()}
    print(json.dumps({"rows": creators * documents, "p95_ratio": ratios}, indent=2))


def _make_rows(owner: psycopg.Connection[Any], creators: int, documents: int) -> None:
    have = Creator.objects.count()
    Creator.objects.bulk_create([Creator(display_name=mark(number)) for number in range(have, creators)])
    step = max(_ROWS_AT_ONCE // creators, 1)
    for first in range(1, documents + 1, step):
        last = min(first + step - 1, documents)
        owner.execute(_ROWS, [first, last])
        print(f"{last * creators:,} of {documents * creators:,} documents", file=sys.stderr)
    owner.execute("VACUUM ANALYZE knowledge_document")


def _some_documents(owner: psycopg.Connection[Any]) -> dict[UUID, list[UUID]]:
    known: dict[UUID, list[UUID]] = {}
    for creator in random.sample(list(Creator.objects.values_list("id", flat=True)), 1000):
        sql = "SELECT id FROM knowledge_document WHERE creator_id = %s ORDER BY random() LIMIT %s"
        known[creator] = [row[0] for row in owner.execute(sql, [creator, _KNOWN_OF_EACH])]
    return known


def _check(app: psycopg.Connection[Any], owner: psycopg.Connection[Any], known: dict[UUID, list[UUID]]) -> None:
    """The two see what they should, or nothing that follows means anything."""
    creator = next(iter(known))
    others = "SELECT count(*) FROM (SELECT 1 FROM knowledge_document WHERE creator_id <> %s LIMIT 1) one"
    sql, parameters = _bound(creator, others, [creator])
    if (_last_rows(app, sql, parameters), _last_rows(owner, sql, parameters)) != ([(0,)], [(1,)]):
        raise SystemExit("The policies do not stand as this measurement supposes.")


def _last_rows(one: psycopg.Connection[Any], sql: str, parameters: list[Any]) -> list[Any]:
    cursor = psycopg.ClientCursor(one)
    cursor.execute(sql, parameters)
    while cursor.nextset():
        pass
    return cursor.fetchall() if cursor.description else []


# ---- The statements: what the hub sends for one creator


def _read(read: Read, **values: Any) -> Callable[[UUID, UUID], Message]:
    def message(creator: UUID, document: UUID) -> Message:
        filled = {name: document if value is _DOCUMENT else value for name, value in values.items()}
        with creator_scope(creator):
            statement = read.statement(filled)
            return _bound(creator, statement.sql, statement.parameters(filled))

    return message


def _bound(creator: UUID, sql: str, parameters: list[Any]) -> Message:
    return f"SET LOCAL {SETTING} = %s; {sql}", [str(creator), *parameters]


def _rename(creator: UUID, document: UUID) -> Message:
    with creator_scope(creator):
        parameters = _RENAMED.parameters({"title": "Another title", "id": document})
    return _bound(creator, _RENAMED.sql, parameters)


def _update_query() -> Any:
    changing = Document.objects.filter(id=Place("id")).query.chain(UpdateQuery)
    changing.add_update_fields([(Document._meta.get_field("title"), None, Place("title"))])
    return changing


_DOCUMENT = object()
_RENAMED: Statement = compile_statement(_update_query)
_STATEMENTS: dict[str, Callable[[UUID, UUID], Message]] = {
    "list": _read(DOCUMENTS, status=None, tag=None, q=None, before=None, limit=20),
    "next page": _read(DOCUMENTS, status=None, tag=None, q=None, before=_DOCUMENT, limit=20),
    "list by tag": _read(DOCUMENTS, status=None, tag="part 3", q=None, before=None, limit=20),
    "list by word": _read(DOCUMENTS, status=None, tag=None, q="session 77", before=None, limit=20),
    "detail": _read(DOCUMENT, document_id=_DOCUMENT),
    "usage": _read(USAGE),
    "rename": _rename,
}


def _ratios(
    app: psycopg.Connection[Any],
    owner: psycopg.Connection[Any],
    known: dict[UUID, list[UUID]],
    make: Callable[[UUID, UUID], Message],
    pairs: int,
    rounds: int,
) -> dict[str, float]:
    creators = list(known)
    found: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        taken: dict[Any, list[float]] = {app: [], owner: []}
        for _ in range(pairs):
            creator = random.choice(creators)
            sql, parameters = make(creator, random.choice(known[creator]))
            for one in random.sample([app, owner], 2):
                began = time.perf_counter()
                _last_rows(one, sql, parameters)
                taken[one].append(time.perf_counter() - began)
        if number:  # the first round warms up
            found.append((_p95(taken[app]), _p95(taken[owner])))
    return {
        "with_ms": round(statistics.median(one for one, _ in found) * 1000, 3),
        "without_ms": round(statistics.median(other for _, other in found) * 1000, 3),
        "ratio": round(statistics.median(one / other for one, other in found), 3),
    }


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[18]


if __name__ == "__main__":
    main()
