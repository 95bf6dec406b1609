"""Migrations: whatever is done to a tenant table, the catalogue is clean afterwards, forwards and backwards.

Operations run as the owner, the way `migrate` runs them; rows are written as `hub_app`.
"""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps as installed_apps
from django.core.management import call_command
from django.db import NotSupportedError, connection, migrations, models
from django.db.migrations.state import ProjectState

from apps.accounts.models import Creator
from shared.tenancy.ids import uuid7
from shared.tenancy.keys import CreatorKey, is_tenant_model
from shared.tenancy.policies import SETTING, table_findings
from tests.tenancy.tools import bind, connect, owner

pytestmark = pytest.mark.django_db


class Shop:
    """An app under construction: applies operations one by one, and can take them back."""

    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper
        self.states = [ProjectState.from_apps(installed_apps)]
        self.done: list[Any] = []

    def do(self, *operations: Any) -> None:
        for operation in operations:
            state = self.states[-1].clone()
            operation.state_forwards("shop", state)
            with self.wrapper.schema_editor(atomic=True) as editor:
                operation.database_forwards("shop", editor, self.states[-1], state)
            self.states.append(state)
            self.done.append(operation)
            assert self.lint() == []

    def undo(self) -> None:
        operation, state = self.done.pop(), self.states.pop()
        with self.wrapper.schema_editor(atomic=True) as editor:
            operation.database_backwards("shop", editor, state, self.states[-1])
        assert self.lint() == []

    def undo_all(self) -> None:
        while self.done:
            self.undo()

    def lint(self) -> list[str]:
        ours = [model for model in self.states[-1].apps.get_models() if model._meta.app_label == "shop"]
        tenant = {model._meta.db_table for model in ours if is_tenant_model(model)}
        others = {model._meta.db_table for model in ours if not is_tenant_model(model)}
        with self.wrapper.cursor() as cursor:
            found = table_findings(cursor, tenant_tables=tenant, global_tables=others)
        return [finding.problem for finding in found if "shop" in finding.subject]

    def ask(self, sql: str, *values: Any) -> list[tuple]:
        with self.wrapper.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def keys(self, table: str) -> list[str]:
        rows = self.ask(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"
            " AND array_length(conkey, 1) > 1 ORDER BY conname",
            table,
        )
        return [definition for (definition,) in rows]

    def indexes(self, table: str) -> list[str]:
        rows = self.ask("SELECT indexdef FROM pg_indexes WHERE tablename = %s ORDER BY indexname", table)
        return [definition.partition(" USING ")[2] for (definition,) in rows]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with owner() as wrapper:
        made = Shop(wrapper)
        try:
            yield made
            made.undo_all()
        finally:
            _demolish()


def _demolish() -> None:
    """What a failed test left standing would be in the way of all later ones."""
    with owner() as wrapper, wrapper.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'shop\\_%'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {name} CASCADE")


def table(name: str, *fields: tuple[str, Any], **options: Any) -> migrations.CreateModel:
    """A tenant table as `makemigrations` writes it."""
    base = [("id", models.UUIDField(primary_key=True, default=uuid7)), ("creator", CreatorKey(to="accounts.Creator"))]
    return migrations.CreateModel(name, [*base, *fields], options={"base_manager_name": "objects"} | options)


def key(to: str, on_delete: Any = models.CASCADE, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(to, on_delete=on_delete, related_name="+", **options)


def test_a_table_is_isolated_by_the_migration_that_creates_it(shop):
    shop.do(table("Till", ("name", models.CharField(max_length=20))))
    ((enabled, forced, key_columns),) = shop.ask(
        "SELECT relrowsecurity, relforcerowsecurity, pg_get_constraintdef(k.oid) FROM pg_class c"
        " JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' WHERE relname = 'shop_till'"
    )
    assert (enabled, forced, key_columns) == (True, True, "PRIMARY KEY (creator_id, id)")


def test_keys_are_composite_and_their_indexes_start_with_the_creator(shop):
    shop.do(table("Till"), table("Sale", ("till", key("shop.Till"))))
    assert shop.keys("shop_sale") == [
        "FOREIGN KEY (creator_id, till_id) REFERENCES shop_till(creator_id, id) DEFERRABLE INITIALLY DEFERRED"
    ]
    assert "btree (creator_id, till_id)" in shop.indexes("shop_sale")


def test_circular_keys_and_keys_to_oneself_and_to_another_app(shop):
    shop.do(
        table("Till", ("above", key("shop.Till", null=True))),
        table("Sale", ("till", key("shop.Till")), ("receipt", key("knowledge.Document", models.DB_CASCADE))),
        migrations.AddField("Till", "last", key("shop.Sale", models.DB_SET_NULL, null=True)),
    )
    assert len(shop.keys("shop_till")) == len(shop.keys("shop_sale")) == 2
    shop.do(migrations.RemoveField("Till", "last"))
    assert len(shop.keys("shop_till")) == 1


def test_a_key_added_later_is_like_one_made_with_its_table(shop):
    shop.do(table("Till"), table("Sale"), migrations.AddField("Sale", "till", key("shop.Till", null=True)))
    assert shop.keys("shop_sale")[0].startswith("FOREIGN KEY (creator_id, till_id)")
    assert "btree (creator_id, till_id)" in shop.indexes("shop_sale")


def test_setting_null_leaves_the_creator(shop):
    shop.do(table("Till"), table("Sale", ("till", key("shop.Till", models.DB_SET_NULL, null=True))))
    assert "ON DELETE SET NULL (till_id)" in shop.keys("shop_sale")[0]


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        (models.CASCADE, models.DB_CASCADE, "ON DELETE CASCADE"),
        (models.DB_CASCADE, models.PROTECT, ""),
        (models.CASCADE, models.DB_SET_NULL, "ON DELETE SET NULL (till_id)"),
    ],
)
def test_what_happens_on_deletion_can_change(shop, before, after, action):
    shop.do(
        table("Till"),
        table("Sale", ("till", key("shop.Till", before, null=True))),
        migrations.AlterField("Sale", "till", key("shop.Till", after, null=True)),
    )
    (definition,) = shop.keys("shop_sale")
    assert definition == " ".join(
        part
        for part in (
            "FOREIGN KEY (creator_id, till_id) REFERENCES shop_till(creator_id, id)",
            action,
            "DEFERRABLE INITIALLY DEFERRED",
        )
        if part
    )


def test_renamed_tables_and_columns_keep_their_protection(shop):
    shop.do(
        table("Till"),
        table("Sale", ("till", key("shop.Till")), ("price", models.IntegerField(default=1))),
        migrations.RenameModel("Till", "Desk"),
        migrations.RenameField("Sale", "till", "desk"),
        migrations.RenameField("Sale", "price", "cents"),
        migrations.RenameModel("Sale", "Purchase"),
    )
    assert shop.keys("shop_purchase")[0].startswith("FOREIGN KEY (creator_id, desk_id) REFERENCES shop_desk")
    shop.do(migrations.AlterField("Purchase", "desk", key("shop.Desk", models.DB_CASCADE)))
    assert len(shop.keys("shop_purchase")) == 1


def test_an_index_of_a_key_can_come_and_go(shop):
    shop.do(table("Till"), table("Sale", ("till", key("shop.Till"))))
    shop.do(migrations.AlterField("Sale", "till", key("shop.Till", db_index=False)))
    assert "btree (creator_id, till_id)" not in shop.indexes("shop_sale")
    assert len(shop.keys("shop_sale")) == 1


def test_filling_nulls_reaches_the_rows_of_every_creator(shop):
    """FORCE hides all rows from the owner, who migrates: without care nothing is filled, and NOT NULL fails."""
    shop.do(table("Till", ("name", models.CharField(max_length=20, null=True))))
    creators = [_committed_creator(name) for name in ("Acme", "Mallory's")]
    try:
        for creator in creators:
            with connect() as session:
                bind(session, creator)
                session.execute("INSERT INTO shop_till (id, creator_id) VALUES (%s, %s)", [uuid7(), creator])
        shop.do(migrations.AlterField("Till", "name", models.CharField(max_length=30, default="main")))
        for creator in creators:
            with connect() as session:
                bind(session, creator)
                assert session.execute("SELECT name FROM shop_till").fetchall() == [("main",)]
    finally:
        shop.undo_all()
        _remove(creators)


def test_other_changes_and_everything_backwards(shop):
    shop.do(
        table("Till", ("name", models.CharField(max_length=20))),
        migrations.AddField("Till", "note", models.TextField(default="")),
        migrations.AlterField("Till", "name", models.TextField()),
        migrations.AddConstraint("Till", models.UniqueConstraint(fields=["creator", "name"], name="till_once")),
        migrations.AddIndex("Till", models.Index(fields=["creator", "note"], name="till_note")),
        migrations.AlterModelTable("Till", "shop_other"),
        migrations.RemoveField("Till", "note"),
        table("Sale", ("till", key("shop.Till"))),
        migrations.DeleteModel("Sale"),
    )
    shop.undo_all()
    assert shop.ask("SELECT tablename FROM pg_tables WHERE tablename LIKE 'shop_%%'") == []


def test_a_global_table_that_gets_a_creator_is_isolated(shop):
    shop.do(
        migrations.CreateModel("Till", [("id", models.UUIDField(primary_key=True, default=uuid7))]),
        migrations.AddField("Till", "creator", CreatorKey(to="accounts.Creator")),
    )
    with pytest.raises(NotSupportedError, match="cannot become a global one"):
        shop.undo()
    shop.undo()


def test_a_tenant_table_cannot_lose_its_creator(shop):
    shop.do(table("Till"))
    with pytest.raises(NotSupportedError, match="cannot become a global one"):
        shop.do(migrations.RemoveField("Till", "creator"))


def test_sqlmigrate_shows_the_protection():
    out = io.StringIO()
    call_command("sqlmigrate", "knowledge", "0001", stdout=out, no_color=True)
    sql = out.getvalue()
    for line in (
        'ALTER TABLE "knowledge_version" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        'ADD CONSTRAINT "knowledge_version_pkey" PRIMARY KEY (creator_id, "id")',
        'CREATE POLICY one_creator ON "knowledge_version" USING (creator_id = NULLIF',
        'FOREIGN KEY ("creator_id", "document_id") REFERENCES "knowledge_document" ("creator_id", "id")',
        SETTING,
    ):
        assert line in sql


def test_the_models_and_their_migrations_agree():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def _committed_creator(name: str) -> Any:
    creator = uuid7()
    with connect() as session:
        session.execute(
            f"INSERT INTO {Creator._meta.db_table} (id, display_name, created_at) VALUES (%s, %s, now())",
            [creator, name],
        )
    return creator


def _remove(creators: list[Any]) -> None:
    with connect() as session:
        session.execute(f"DELETE FROM {Creator._meta.db_table} WHERE id = ANY(%s)", [creators])
    connection.close()
