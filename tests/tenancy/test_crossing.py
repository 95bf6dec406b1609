"""Keys and unique checks look past row security in Postgres, so the structure itself must keep creators apart.

Every key between two tenant tables and every unique rule, found in the models: another creator's row and no row at
all get the same answer.
"""

import re
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, ProgrammingError, connection, models, transaction

from shared.tenancy.checks import tenant_models
from shared.tenancy.ids import uuid7
from shared.tenancy.keys import CreatorKey, is_tenant_model
from shared.tenancy.scope import creator_scope
from tests.tenancy.rows import labels
from tests.tenancy.tools import bind, connect, owner

pytestmark = pytest.mark.django_db
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def keys() -> list[tuple[str, str]]:
    """Every key between two tenant tables."""
    return [
        (model._meta.label, field.name)
        for model in tenant_models()
        for field in model._meta.local_fields
        if isinstance(field, models.ForeignKey)
        and not isinstance(field, CreatorKey)
        and is_tenant_model(field.remote_field.model)
    ]


def insert(session: psycopg.Connection, table: str, columns: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    session.execute(
        f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(columns))})", list(columns.values())
    )


def refusal(stage: Any, model: Any, columns: dict[str, Any], *, at_once: bool) -> tuple[Any, ...]:
    """How Postgres refuses Mallory's insert, with ids blanked out."""
    with connect() as session:
        bind(session, stage.mallory.creator.id)
        # A table may hold one row for each creator.
        session.execute(f"DELETE FROM {model._meta.db_table}")
        with pytest.raises(psycopg.Error) as refused:
            if at_once:
                session.execute("SET CONSTRAINTS ALL IMMEDIATE")
            insert(session, model._meta.db_table, columns)
            session.commit()
        error = refused.value
        session.rollback()
    diagnostics = error.diag
    said = (diagnostics.message_primary, diagnostics.message_detail, diagnostics.message_hint)
    return (type(error), error.sqlstate, diagnostics.constraint_name, *(UUIDS.sub("id", part or "") for part in said))


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "at commit"])
@pytest.mark.parametrize(("label", "name"), keys(), ids=lambda part: part)
def test_a_key_to_anothers_row_is_refused_exactly_like_a_key_to_no_row(stage, label, name, at_once):
    model = apps.get_model(label)
    field = model._meta.get_field(name)
    theirs: UUID = stage.acme.one(field.remote_field.model).pk
    columns = stage.mallory.columns(model)

    to_acme = refusal(stage, model, columns | {field.column: theirs}, at_once=at_once)
    to_none = refusal(stage, model, columns | {field.column: uuid7()}, at_once=at_once)

    assert to_acme == to_none
    assert to_acme[:2] == (psycopg.errors.ForeignKeyViolation, "23503")


def test_the_keys_are_found():
    assert ("knowledge.Version", "document") in keys()


@pytest.mark.parametrize("label", labels())
def test_anothers_id_is_as_free_as_any(stage, label):
    """With PRIMARY KEY (id) this insert would tell Mallory that Acme has such a row."""
    model = apps.get_model(label)
    with connect() as session:
        bind(session, stage.mallory.creator.id)
        session.execute(f"DELETE FROM {model._meta.db_table}")
        insert(session, model._meta.db_table, stage.mallory.columns(model) | {"id": stage.acme.one(model).pk})
        session.rollback()


@pytest.mark.parametrize("label", labels())
def test_every_unique_value_of_another_is_free_too(stage, label):
    model = apps.get_model(label)
    theirs, columns = stage.acme.one(model), stage.mallory.columns(model)
    plain = [field for field in model._meta.concrete_fields if not isinstance(field, models.ForeignKey)]
    for field in plain:
        if field.column in columns:
            columns[field.column] = field.get_db_prep_save(getattr(theirs, field.attname), connection)
    with connect() as session:
        bind(session, stage.mallory.creator.id)
        session.execute(f"DELETE FROM {model._meta.db_table}")
        insert(session, model._meta.db_table, columns)
        session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        session.rollback()


@pytest.mark.parametrize("label", labels())
def test_a_conflict_clause_touches_only_ones_own_row(stage, label):
    model = apps.get_model(label)
    table, theirs = model._meta.db_table, stage.acme.one(model).pk
    columns = stage.mallory.columns(model) | {"id": theirs}
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
    with connect() as session:
        bind(session, stage.mallory.creator.id)
        session.execute(f"DELETE FROM {table}")
        rows = session.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})"
            f" ON CONFLICT (creator_id, id) DO UPDATE SET id = excluded.id RETURNING creator_id",
            list(columns.values()),
        ).fetchall()
        session.rollback()
    assert rows == [(stage.mallory.creator.id,)]


@pytest.mark.parametrize("label", labels())
def test_the_orm_cannot_write_for_another_creator_either(stage, label):
    model = apps.get_model(label)
    with creator_scope(stage.mallory.creator.id):
        row = model(
            **{field.attname: getattr(stage.acme.one(model), field.attname) for field in model._meta.concrete_fields}
        )
        row.pk = uuid7()
        with pytest.raises((ProgrammingError, IntegrityError), match="row-level security"), transaction.atomic():
            row.save(force_insert=True)


FORBIDDEN = {
    "truncate": "TRUNCATE {table} CASCADE",
    "switch row security off": "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "unforce it": "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "drop the policy": "DROP POLICY one_creator ON {table}",
    "widen the policy": "ALTER POLICY one_creator ON {table} USING (true)",
    "add a policy": "CREATE POLICY mine ON {table} USING (true)",
    "drop the table": "DROP TABLE {table} CASCADE",
    "rename it": "ALTER TABLE {table} RENAME TO mine",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "add a rule": "CREATE RULE r AS ON SELECT TO {table} DO INSTEAD SELECT 1",
    "index it": "CREATE INDEX ON {table} (id)",
    "take it over": "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "inherit from it": "CREATE TEMP TABLE probe () INHERITS ({table})",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_serving_role_cannot_touch_the_protection(stage, statement):
    for label in labels():
        with connect() as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            bind(session, stage.mallory.creator.id)
            session.execute(statement.format(table=apps.get_model(label)._meta.db_table))


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE hub_owner",
        "SET SESSION AUTHORIZATION hub_owner",
        "SET ROLE postgres",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "GRANT hub_owner TO CURRENT_USER",
        "CREATE ROLE another",
        "ALTER DATABASE {database} SET app.current_creator_id = ''",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "COPY accounts_user TO PROGRAM 'cat'",
    ],
)
def test_the_serving_role_cannot_become_another_or_make_things(stage, statement):
    with connect() as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement.format(database=connection.settings_dict["NAME"]))


@pytest.mark.parametrize("label", labels())
def test_row_security_binds_even_the_owner_of_the_table(stage, label):
    table = apps.get_model(label)._meta.db_table
    with owner() as wrapper, wrapper.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert cursor.fetchone() == (0,)


def test_row_security_switched_off_in_the_session_is_an_error_and_no_way_around(stage):
    """`SET row_security = off` is anybody's to set; Postgres then refuses instead of showing everything."""
    table = apps.get_model(labels()[0])._meta.db_table
    with connect() as session, pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        session.execute("SET row_security = off")
        session.execute(f"SELECT * FROM {table}")
