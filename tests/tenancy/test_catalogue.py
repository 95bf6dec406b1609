"""The lint of the catalogue: clean on the real database, and each way to weaken a table is found and named."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from shared.tenancy import checks
from shared.tenancy.checks import UnfitDatabase, refuse_unfit_database, tenant_models
from shared.tenancy.policies import POLICY_NAME, POLICY_SQL, table_findings
from tests.tenancy.tools import as_owner, owner

pytestmark = pytest.mark.django_db
TABLE = "knowledge_version"


def tenant_tables() -> set[str]:
    return {model._meta.db_table for model in tenant_models()}


def lint(cursor: Any, **extra: str) -> list[str]:
    """What the lint says, as sentences. `extra` are global tables that somebody listed."""
    known = {**settings.GLOBAL_TABLES, **extra}
    found = table_findings(cursor, tenant_tables=tenant_tables(), global_tables=known)
    return [finding.problem for finding in found]


@pytest.fixture
def weakened() -> Iterator[Any]:
    """Run statements as the owner, read the catalogue as it then is, and take it all back."""
    with owner() as wrapper, wrapper.cursor() as cursor:
        cursor.execute("BEGIN")

        def weaken(*statements: str, **extra: str) -> list[str]:
            for statement in statements:
                cursor.execute(statement)
            return lint(cursor, **extra)

        yield weaken
        cursor.execute("ROLLBACK")


def test_the_real_database_is_clean():
    with connection.cursor() as cursor:
        assert lint(cursor) == []


def test_every_relation_is_classified_djangos_and_the_queues_included():
    with connection.cursor() as cursor:
        cursor.execute("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')")  # fmt: skip
        found = {name for (name,) in cursor.fetchall()}
    assert found == tenant_tables() | set(settings.GLOBAL_TABLES)
    assert {"django_session", "django_migrations", "procrastinate_jobs"} <= found


def test_no_table_is_both_global_and_a_creators():
    assert tenant_tables().isdisjoint(settings.GLOBAL_TABLES)


def test_each_global_table_says_who_reads_it_and_why():
    for table, reason in settings.GLOBAL_TABLES.items():
        reader, colon, why = reason.partition(": ")
        assert reader, table
        assert colon, table
        assert why, table


WEAKENINGS = {
    "row security is off": (f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY", "ENABLE and FORCE"),
    "the owner looks past it": (f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY", "ENABLE and FORCE"),
    "no policy": (f"DROP POLICY {POLICY_NAME} ON {TABLE}", "it has none"),
    "everybody sees all": (f"ALTER POLICY {POLICY_NAME} ON {TABLE} USING (true)", "exactly the policy"),
    "everybody writes all": (f"ALTER POLICY {POLICY_NAME} ON {TABLE} WITH CHECK (true)", "exactly the policy"),
    "one more policy": (f"CREATE POLICY more ON {TABLE} USING (true)", "exactly the policy"),
    "one more that restricts": (f"CREATE POLICY more ON {TABLE} AS RESTRICTIVE USING (true)", "exactly"),
    "for one role only": (f"ALTER POLICY {POLICY_NAME} ON {TABLE} TO CURRENT_USER", "exactly the policy"),
    "under another name": (f"ALTER POLICY {POLICY_NAME} ON {TABLE} RENAME TO other", "['other']"),
    "for reading only": (
        f"DROP POLICY {POLICY_NAME} ON {TABLE}; CREATE POLICY {POLICY_NAME} ON {TABLE} FOR SELECT USING ({POLICY_SQL})",
        "exactly the policy",
    ),
    "another setting": (
        f"ALTER POLICY {POLICY_NAME} ON {TABLE}"
        " USING (creator_id = NULLIF(current_setting('app.other', true), '')::uuid)",
        "exactly the policy",
    ),
    "an unset creator sees all": (
        f"ALTER POLICY {POLICY_NAME} ON {TABLE} USING (({POLICY_SQL}) IS NOT FALSE)",
        "exactly the policy",
    ),
    "a key by id alone": (
        "ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey, ADD PRIMARY KEY (id)",
        "does not start with creator_id",
    ),
    "a key in the wrong order": (
        "ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey, ADD PRIMARY KEY (id, creator_id)",
        "does not start with creator_id",
    ),
    "a longer primary key": (
        "ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey, ADD PRIMARY KEY (creator_id, id, name)",
        "must have PRIMARY KEY (creator_id, id)",
    ),
    "rows of nobody": (
        "ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey;"
        " ALTER TABLE knowledge_stage ALTER creator_id DROP NOT NULL",
        "allows rows without a creator",
    ),
    "unique across creators": (f"CREATE UNIQUE INDEX u ON {TABLE} (number)", "does not start with creator_id"),
    "unique by an expression": (f"CREATE UNIQUE INDEX u ON {TABLE} ((number + 1))", "does not start with"),
    "unique for a part": (f"CREATE UNIQUE INDEX u ON {TABLE} (number) WHERE number > 7", "does not start with"),
    "an exclusion": (
        f"ALTER TABLE {TABLE} ADD EXCLUDE USING btree (number WITH =)",
        "does not start with creator_id",
    ),
    "a key of one column": (
        "ALTER TABLE knowledge_stage ADD UNIQUE (id); CREATE TABLE django_site (s uuid);"
        " ALTER TABLE knowledge_stage ADD lead uuid REFERENCES knowledge_stage (id)",
        "can cross creators",
    ),
    "a key from a global table": (
        "CREATE TABLE django_site (c uuid, i uuid, FOREIGN KEY (c, i) REFERENCES knowledge_document)",
        "can cross creators",
    ),
    "a table that nobody classified": ("CREATE TABLE notes (id int)", "The table notes is classified nowhere"),
    "a table made by hand for creators": (
        "CREATE TABLE notes (creator_id uuid)",
        "The table notes has a creator_id but no tenant model",
    ),
    "a table in a schema of its own": ("CREATE SCHEMA own CREATE TABLE notes (id int)", "classified nowhere"),
    "a view": (f"CREATE VIEW notes AS SELECT * FROM {TABLE}", "The table notes"),
    "a stored view": (f"CREATE MATERIALIZED VIEW notes AS SELECT * FROM {TABLE}", "The table notes"),
    "a function with its owner's eyes": (
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "The function peek is SECURITY DEFINER",
    ),
}


@pytest.mark.parametrize(("statements", "said"), WEAKENINGS.values(), ids=WEAKENINGS)
def test_each_weakening_is_found(weakened, statements, said):
    found = weakened(*statements.split("; "), django_site="a table that the test lists")
    assert any(said in sentence for sentence in found), found


def test_a_view_that_somebody_listed_is_refused_all_the_same(weakened):
    found = weakened(f"CREATE VIEW notes AS SELECT * FROM {TABLE}", notes="somebody: listed it")
    assert found == ["The table notes is of kind 'v', which row security cannot protect."]


def test_a_listed_table_without_a_creator_is_fine(weakened):
    assert weakened("CREATE TABLE notes (id int)", notes="somebody: listed it") == []


def test_an_unclassified_table_fails_check_and_start(django_db_setup):
    as_owner("CREATE TABLE notes (creator_id uuid)")
    try:
        with pytest.raises(SystemCheckError, match=r"tenancy\.E011.*The table notes has a creator_id"):
            call_command("check", databases=["default"])
        with pytest.raises(UnfitDatabase, match="The table notes"):
            refuse_unfit_database()
    finally:
        as_owner("DROP TABLE notes")
    call_command("check", databases=["default"])
    refuse_unfit_database()


def test_without_a_database_the_check_asks_none():
    assert checks.check_isolation(None, databases=None) == []
