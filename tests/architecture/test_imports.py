"""Imports point one way: door, service, model; shared knows no app; an app uses another only through its services."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.house import APPS, DOORS, app_of, broken, imports, layer, sources, tree

# Which other apps an app may know, by their services.
KNOWS = {"accounts": set(), "knowledge": {"accounts"}, "hub": {"accounts", "knowledge"}}


def from_packages(*packages: str):
    def rule(path: Path) -> Iterator[str]:
        for line, name in imports(path):
            if name.startswith(packages):
                yield f"line {line} imports {name}"

    return rule


def test_shared_knows_no_app_and_no_configuration():
    assert broken(from_packages("apps", "config.", "tests"), sources("shared")) == []


def test_nothing_that_serves_imports_tests():
    assert broken(from_packages("tests"), sources("apps", "config", "shared")) == []


def stays_in_its_app(path: Path) -> Iterator[str]:
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] != "apps" or len(path.parts) < 3 or parts[1] == app_of(path):
            continue
        if parts[1] not in KNOWS[app_of(path)]:
            yield f"line {line}: {app_of(path)} must not know {name}"
        elif len(parts) < 3 or parts[2] != "services":
            yield f"line {line}: {name} is not a service"


def test_an_app_uses_another_only_through_its_services():
    assert broken(stays_in_its_app, sources("apps")) == []


def test_every_app_is_in_the_map():
    assert {app_of(path) for path in sources("apps") if len(path.parts) > 2} == set(APPS) == set(KNOWS)


def own_layers(*forbidden: str):
    """No import from these layers of the same app."""

    def rule(path: Path) -> Iterator[str]:
        prefix = f"apps.{app_of(path)}."
        for line, name in imports(path):
            if name.startswith(prefix) and name.removeprefix(prefix).partition(".")[0] in forbidden:
                yield f"line {line} imports {name}"

    return rule


def test_a_service_knows_no_door():
    """Except tasks: a service queues jobs in its own transaction."""
    assert broken(own_layers(*(door for door in DOORS if door != "tasks")), layer("services")) == []


def test_a_service_renders_nothing():
    doors_own = from_packages("ninja", "django.http.HttpResponse", "django.shortcuts", "django.template", "channels")
    assert broken(doors_own, layer("services")) == []


def test_a_model_knows_neither_service_nor_door():
    assert broken(own_layers(*DOORS, "services", "schemas", "golden_schemas", "operations"), layer("models")) == []


def asks_the_database(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_base_manager", "_default_manager"):
            yield f"line {node.lineno}: .{node.attr}"
    yield from from_packages("django.db.transaction", "django.db.connection")(path)


def test_a_door_leaves_the_database_to_services():
    """The admin is Django's own way to the database, and goes through the kernel's door for it."""
    assert broken(asks_the_database, layer(*(door for door in DOORS if door != "admin"))) == []


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("from apps.knowledge.services import documents", from_packages("apps")),
        ("def f():\n    import apps.hub", from_packages("apps")),
        ("from apps.knowledge.models import Document\nDocument.objects.all()", asks_the_database),
        ("from django.db import transaction", asks_the_database),
    ],
)
def test_the_rules_find_what_they_forbid(monkeypatch, source, rule):
    monkeypatch.setattr("tests.architecture.house.tree", lambda path: ast.parse(source))
    monkeypatch.setitem(globals(), "tree", lambda path: ast.parse(source))
    assert list(rule(Path("apps/hub/api.py")))
