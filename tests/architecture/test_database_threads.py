"""Who may leave the event loop. A plain `sync_to_async` or an `a...()` of the ORM keeps a pooled connection on a
shared thread for ever, since nothing tells that thread that a request has ended: the hop of `run_as` does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.house import SERVING, broken, calls, imports, sources, tree

# Files with a reason; none of what they run there asks the database.
ALLOWED = {
    "shared/tenancy/run.py": "the hop itself",
    "shared/tenancy/reads.py": "a reader for tests, which stay on one thread on purpose",
    "shared/http.py": "reads static files, and parses uploads to disk",
    "shared/observability/metrics.py": "adds up what processes counted",
    "shared/security/fetching/client.py": "writes what it fetches to a file",
    "shared/security/fetching/connecting.py": "looks names up",
    "shared/lean.py": "parses uploads to disk, closes their files, renders the description of the API",
    "apps/knowledge/storage.py": "reads files",
    "apps/knowledge/operations.py": "reads and writes files, and embeds",
    "apps/knowledge/indexing.py": "computes the middle of cells",
    "apps/knowledge/embedding/local.py": "computes vectors",
    "apps/knowledge/fetching.py": "writes fetched files to storage",
    "apps/knowledge/unpacking.py": "reads archives, writes their files to storage",
    "apps/knowledge/extraction/kept.py": "reads small files",
    "apps/knowledge/extraction/processes.py": "asks the server for a child",
    "apps/knowledge/pipeline.py": "reads files, and cuts text",
    "apps/knowledge/tasks.py": "removes files",
}
THREADS = ("sync_to_async", "to_thread", "run_in_executor", "database_sync_to_async", "aclose_old_connections")
ASYNC_ORM = {
    "aadd", "aaggregate", "abulk_create", "abulk_update", "aclear", "acontains", "acount", "acreate", "adelete",
    "aearliest", "aexists", "aexplain", "afirst", "aget", "aget_or_create", "ain_bulk", "aiterator", "alast",
    "alatest", "arefresh_from_db", "aremove", "asave", "aset", "aupdate", "aupdate_or_create", "aget_object_or_404",
    "aget_list_or_404", "aprefetch_related_objects", "alogin", "alogout", "aauthenticate", "aget_user",
    "aupdate_session_auth_hash", "auser",
}  # fmt: skip


def takes_a_thread(path: Path) -> Iterator[str]:
    for line, name in imports(path):
        if name.endswith(THREADS):
            yield f"line {line} imports {name}"
    for name, node in calls(path):
        if name in THREADS:
            yield f"line {node.lineno}: {name}()"


def asks_from_the_loop(path: Path) -> Iterator[str]:
    for name, node in calls(path):
        if name in ASYNC_ORM:
            yield f"line {node.lineno}: {name}()"
    for node in ast.walk(tree(path)):
        loops = isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async)
        if loops and ".objects" in ast.unparse(node.iter):
            yield f"async for over {ast.unparse(node.iter)}"


def shares_a_thread(path: Path) -> Iterator[str]:
    for name, node in calls(path):
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name == "sync_to_async" and told.get("thread_sensitive") != "False":
            yield f"line {node.lineno}: sync_to_async without thread_sensitive=False"


def test_only_the_hop_takes_a_thread_for_the_database():
    assert broken(takes_a_thread, sources(*SERVING), allowed=ALLOWED) == []


def test_nobody_calls_the_orm_from_the_event_loop():
    assert broken(asks_from_the_loop, sources(*SERVING)) == []


def test_where_a_thread_is_taken_it_is_no_shared_one():
    """The hop's second class and the reader's are for tests, which stay on one thread on purpose."""
    assert (
        broken(shares_a_thread, sources(*SERVING), allowed=["shared/tenancy/run.py", "shared/tenancy/reads.py"]) == []
    )


def test_no_exemption_is_left_over():
    for path in sources(*SERVING):
        if str(path) in ALLOWED:
            assert list(takes_a_thread(path)), path


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("from asgiref.sync import sync_to_async", takes_a_thread),
        ("import asyncio\nasyncio.to_thread(f)", takes_a_thread),
        ("await Document.objects.aget(id=1)", asks_from_the_loop),
        ("async def f():\n    async for x in Document.objects.all(): pass", asks_from_the_loop),
        ("async def f():\n    return [x async for x in Document.objects.all()]", asks_from_the_loop),
        ("sync_to_async(f)()", shares_a_thread),
    ],
)
def test_the_rules_find_what_they_forbid(monkeypatch, source, rule):
    monkeypatch.setattr("tests.architecture.house.tree", lambda path: ast.parse(source))
    monkeypatch.setitem(globals(), "tree", lambda path: ast.parse(source))
    assert list(rule(Path("apps/hub/api.py")))
