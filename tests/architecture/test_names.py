"""Whatever creators share is named in one module. Nobody else writes a creator into a key, a group or a path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.house import SERVING, broken, calls, sources, tree

# Strings with a creator in them that name nothing that is shared, and why.
ALLOWED = {
    "shared/tenancy/names.py": "the module of names",
    "shared/tenancy/scope.py": "an error's message",
    "shared/idempotency/answers.py": "a secret that is hashed, in a table of the creator's own",
    "apps/accounts/models.py": "how a membership is printed",
}
GROUPS = {"group_add", "group_discard", "group_send"}
CACHE = {"get", "set", "add", "delete", "incr", "decr", "touch", "get_or_set", "has_key"}
CREATOR = ("creator_id", "require_creator", "current_creator")


def put_together(node: ast.AST) -> bool:
    """Whether a string is made on the spot."""
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in (node.left, node.right))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")


def spells_keys(path: Path) -> Iterator[str]:
    for name, node in calls(path):
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        is_cache = name in CACHE and owner.split(".")[-1] in ("cache", "caches", "caches['default']")
        if (name in GROUPS or is_cache) and node.args and put_together(node.args[0]):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif name in GROUPS and node.args and isinstance(node.args[0], ast.Constant):
            yield f"line {node.lineno}: a group that all creators share"


def writes_a_creator(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FormattedValue) and any(word in ast.unparse(node.value) for word in CREATOR):
            yield f"line {node.lineno}: {ast.unparse(node.value)}"


def locks_by_itself(path: Path) -> Iterator[str]:
    source = ast.unparse(tree(path))
    locks = "pg_advisory" in source or "pg_try_advisory" in source
    if locks and ("lock_key" not in source or "hashtext" in source):
        yield "an advisory lock whose number is not from lock_key()"


def test_keys_and_groups_are_not_spelled_where_they_are_used():
    assert broken(spells_keys, sources(*SERVING)) == []


def test_nobody_writes_a_creator_into_a_string():
    assert broken(writes_a_creator, sources(*SERVING), allowed=ALLOWED) == []


def test_advisory_locks_take_their_number_from_the_module_of_names():
    assert broken(locks_by_itself, sources(*SERVING)) == []


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("cache.get(f'plans.{x}')", spells_keys),
        ("cache.set('plans.' + x, 1)", spells_keys),
        ("caches['default'].add('%s' % x, 1)", spells_keys),
        ("self.channel_layer.group_add('creator.{}'.format(x), name)", spells_keys),
        ("layer.group_send('events', {})", spells_keys),
        ("path = f'files/{actor.creator_id}/x'", writes_a_creator),
        ("key = f'limit:{require_creator().hex}'", writes_a_creator),
        ("cursor.execute('SELECT pg_advisory_xact_lock(hashtext(%s))', [x])", locks_by_itself),
    ],
)
def test_the_rules_find_what_they_forbid(monkeypatch, source, rule):
    monkeypatch.setattr("tests.architecture.house.tree", lambda path: ast.parse(source))
    monkeypatch.setitem(globals(), "tree", lambda path: ast.parse(source))
    assert list(rule(Path("apps/hub/api.py")))
