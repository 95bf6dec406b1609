"""Each tenant table, each statement, each scope, in plain SQL as `hub_app`: what Postgres itself answers.

The expected outcome of every cell is written down in `EXPECTED`. Acme's row is the one that is aimed at, and the
session's setting is the only thing that differs between the columns.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from django.apps import apps

from shared.tenancy.ids import uuid7
from tests.tenancy.rows import Stage, labels
from tests.tenancy.tools import bind, connect

pytestmark = pytest.mark.django_db

RLS, NOT_A_UUID = "42501 row-level security", "22P02"
SCOPES = ("none", "empty", "not a UUID", "Acme", "Mallory's")
#                                 none    empty   not a UUID   Acme   Mallory's
EXPECTED: dict[str, tuple[Any, ...]] = {
    "select Acme's row":          (0,      0,      NOT_A_UUID,  1,     0),
    "select every row":           (0,      0,      NOT_A_UUID,  "own", "own"),
    "lock Acme's row":            (0,      0,      NOT_A_UUID,  1,     0),
    "insert for Acme":            (RLS,    RLS,    NOT_A_UUID,  1,     RLS),
    "insert for nobody":          (RLS,    RLS,    NOT_A_UUID,  RLS,   RLS),
    "update Acme's row":          (0,      0,      NOT_A_UUID,  1,     0),
    "update every row":           (0,      0,      NOT_A_UUID,  "own", "own"),
    "give Acme's row to Mallory": (0,      0,      NOT_A_UUID,  RLS,   0),
    "take every row":             (0,      0,      NOT_A_UUID,  RLS,   "own"),
    "delete Acme's row":          (0,      0,      NOT_A_UUID,  1,     0),
    "delete every row":           (0,      0,      NOT_A_UUID,  "own", "own"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sessions(stage: Stage) -> Iterator[dict[str, psycopg.Connection]]:
    """One for each column. In that of "none" the setting is never made: undone, it would be empty, not unset."""
    with ExitStack() as stack:
        yield {scope: stack.enter_context(connect()) for scope in SCOPES}


def statement(stage: Stage, name: str, scope: str, model: Any, session: psycopg.Connection) -> Callable[[], int]:
    """One row of the table, as a call that answers how many rows it touched."""
    table, row = model._meta.db_table, stage.acme.one(model)
    mallory = stage.mallory.creator.id

    def count(sql: str, *values: Any) -> Callable[[], int]:
        return lambda: session.execute(sql, values).rowcount

    def insert(**over: Any) -> Callable[[], int]:
        columns = stage.acme.columns(model) | over
        marks = ", ".join(["%s"] * len(columns))
        quoted = ", ".join(f'"{column}"' for column in columns)
        if scope == "Acme":  # a table may hold one row for each creator: the one that is there makes room
            session.execute(f"DELETE FROM {table} WHERE id = %s", (row.pk,))
        return count(f"INSERT INTO {table} ({quoted}) VALUES ({marks})", *columns.values())

    calls: dict[str, Callable[[], Callable[[], int]]] = {
        "select Acme's row": lambda: count(f"SELECT id FROM {table} WHERE id = %s", row.pk),
        "select every row": lambda: count(f"SELECT id FROM {table}"),
        "lock Acme's row": lambda: count(f"SELECT id FROM {table} WHERE id = %s FOR UPDATE", row.pk),
        "insert for Acme": lambda: insert(),
        "insert for nobody": lambda: insert(creator_id=uuid7()),
        "update Acme's row": lambda: count(f"UPDATE {table} SET id = id WHERE id = %s", row.pk),
        "update every row": lambda: count(f"UPDATE {table} SET id = id"),
        "give Acme's row to Mallory": lambda: count(
            f"UPDATE {table} SET creator_id = %s WHERE id = %s", mallory, row.pk
        ),
        "take every row": lambda: count(f"UPDATE {table} SET creator_id = %s", mallory),
        "delete Acme's row": lambda: count(f"DELETE FROM {table} WHERE id = %s", row.pk),
        "delete every row": lambda: count(f"DELETE FROM {table}"),
    }
    return calls[name]()


def outcome(call: Callable[[], int]) -> Any:
    """How many rows, or which error."""
    try:
        return call()
    except psycopg.Error as error:
        refused_by_policy = error.sqlstate == "42501" and "row-level security" in str(error)
        return RLS if refused_by_policy else error.sqlstate


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("label", labels())
def test_each_cell_of_the_matrix(stage, sessions, label, name, scope):
    model = apps.get_model(label)
    expected = EXPECTED[name][SCOPES.index(scope)]
    session = sessions[scope]
    value = stage.scope(scope)
    if value is not None:
        bind(session, value)

    got = outcome(lambda: statement(stage, name, scope, model, session)())

    session.rollback()
    assert got == (1 if expected == "own" else expected)


@pytest.mark.parametrize("label", labels())
def test_both_creators_have_rows_so_that_an_empty_answer_means_something(stage, label):
    table = apps.get_model(label)._meta.db_table
    for creator in (stage.acme.creator, stage.mallory.creator):
        with connect() as session:
            bind(session, creator.id)
            assert session.execute(f"SELECT DISTINCT creator_id FROM {table}").fetchall() == [(creator.id,)]


def test_every_tenant_table_is_in_the_matrix():
    with connect() as session:
        found = session.execute("SELECT tablename FROM pg_policies WHERE schemaname = 'public'").fetchall()
    assert {name for (name,) in found} == {apps.get_model(label)._meta.db_table for label in labels()}
