"""The kernel, broken on purpose in one place at a time, and for each break the tests that must notice.

A pytest plugin: `pytest -p tests.tenancy.mutants --mutant "no policy" ...` runs tests against the broken kernel.
Run by `mutant_runner.py` in a database of its own.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = "tests/tenancy/"
MATRIX = "test_sql_matrix.py::test_each_cell_of_the_matrix[knowledge.Document-"
CLEAN = "test_catalogue.py::test_the_real_database_is_clean"
KEYS = "test_crossing.py::test_a_key_to_anothers_row_is_refused_exactly_like_a_key_to_no_row"
TABLE = "knowledge_document"
POLICY = "creator_id = NULLIF(current_setting('app.current_creator_id', true), '')::uuid"


@dataclass(frozen=True)
class Mutant:
    """One break: SQL run as the owner, or Python that patches the kernel; and who must notice."""

    noticed_by: tuple[str, ...]
    sql: str = ""
    undo: str = ""
    patch: Callable[[], None] | None = None


def path_of(name: str) -> str:
    """Where pytest finds a test that notices. One outside this folder is named whole."""
    return name if name.startswith("tests/") else HERE + name


def _unscoped_manager() -> None:
    from shared.tenancy.models import TenantManager

    TenantManager.get_queryset = lambda self: super(TenantManager, self).get_queryset()


def _no_prefix_in_cache_keys() -> None:
    from django.core.cache import caches

    from shared.tenancy import names

    names.cache_key = lambda key, key_prefix="", version=1: f"{key_prefix}:{version}:{key}"
    caches["default"].key_func = names.cache_key  # which was imported by its path before


def _session_level_set() -> None:
    from shared.tenancy.backend import base

    base.set_local = lambda creator: f"SET {base.SETTING} = '{creator or ''}'; "


def _no_compiler_guard() -> None:
    from shared.tenancy.backend import compiler

    compiler._guard = lambda query: None


def _one_group_for_all() -> None:
    from shared.tenancy import live, names, run

    names.group_name = run.group_name = live.group_name = lambda kind: f"everybody.{kind}"


def _scopes_may_switch() -> None:
    from shared.tenancy.backend.base import DatabaseWrapper

    DatabaseWrapper._refuse_switch = lambda self, creator: None


def _savepoints_forgotten() -> None:
    from shared.tenancy.backend.base import DatabaseWrapper

    DatabaseWrapper.forget_binding = lambda self: None


def _connections_kept() -> None:
    from shared.tenancy.run import ThreadHop

    ThreadHop._finish = lambda self, function: function()


def _no_composite_keys() -> None:
    from django.db.backends.postgresql.schema import DatabaseSchemaEditor

    from shared.tenancy.backend.schema import TenantSchemaEditor

    TenantSchemaEditor._create_fk_sql = DatabaseSchemaEditor._create_fk_sql


def _scope_closed_before_commit() -> None:
    from shared.tenancy import run

    run.creator_scope = lambda creator_id: nullcontext()


def _reads_not_bound() -> None:
    from shared.tenancy import reads

    reads._bound = lambda sql, parameters: (sql, parameters)


def _reads_bind_the_session() -> None:
    from shared.tenancy import reads

    bound = reads._bound

    def for_ever(sql: str, parameters: Any) -> Any:
        message, values = bound(sql, parameters)
        return message.replace("SET LOCAL", "SET", 1), values

    reads._bound = for_ever


def _tokens_trusted() -> None:
    from apps.accounts.services.standing import _Confirmation

    read = _Confirmation.read
    _Confirmation.read = lambda self, claims, row: read(self, claims, row or ("owner", "", "", "", 0))


def _tags_for_everybody() -> None:
    from shared.reading import _Seal

    seal = _Seal.__init__

    def without_people(self: Any, request: Any, claims: Any, schema: Any) -> None:
        seal(self, request, claims, schema)
        self._about = self._about[len(claims.creator_id.bytes) + len(claims.user_id.bytes) + 2 :]

    _Seal.__init__ = without_people


def _kept_rows_for_all() -> None:
    from shared import reading

    reading.memory_key = lambda *parts: parts


def _statements_keep_their_creator() -> None:
    from shared.tenancy import statements

    parameters = statements.Statement.parameters
    first: dict[str, Any] = {}

    def of_the_first(self: Any, values: Any) -> list[Any]:
        filled = parameters(self, values)
        creator = first.setdefault(self.sql, statements.require_creator())
        places = zip(self.places, filled, strict=True)
        return [creator if isinstance(at, statements.Place) and at.name == "creator" else value for at, value in places]

    statements.Statement.parameters = of_the_first


POOL = "test_pool_reader.py::"
TAGS = "tests/hub/test_reading.py::"
SHARED = "tests/isolation/test_reads.py::"
ALTERNATING = "test_two_creators_on_one_connection_never_see_each_other_whoever_leaves"

MUTANTS = {
    "no policy": Mutant(
        sql=f"DROP POLICY one_creator ON {TABLE}",
        undo=f"CREATE POLICY one_creator ON {TABLE} USING ({POLICY}) WITH CHECK ({POLICY})",
        noticed_by=(f"{MATRIX}select Acme's row-Acme]", f"{MATRIX}insert for Acme-Acme]", CLEAN),
    ),
    "USING (true)": Mutant(
        sql=f"ALTER POLICY one_creator ON {TABLE} USING (true)",
        undo=f"ALTER POLICY one_creator ON {TABLE} USING ({POLICY})",
        noticed_by=(
            *(f"{MATRIX}{name} Acme's row-Mallory's]" for name in ("select", "lock", "delete")),
            f"{MATRIX}select every row-none]",
            f"{MATRIX}update every row-Mallory's]",
            CLEAN,
        ),
    ),
    "WITH CHECK (true)": Mutant(
        sql=f"ALTER POLICY one_creator ON {TABLE} WITH CHECK (true)",
        undo=f"ALTER POLICY one_creator ON {TABLE} WITH CHECK ({POLICY})",
        noticed_by=(
            f"{MATRIX}insert for Acme-Mallory's]",
            f"{MATRIX}insert for Acme-none]",
            f"{MATRIX}insert for nobody-Acme]",
            CLEAN,
        ),
    ),
    "row security off": Mutant(
        sql=f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY",
        undo=f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY",
        noticed_by=(f"{MATRIX}select Acme's row-Mallory's]", f"{MATRIX}insert for Acme-none]", CLEAN),
    ),
    "no FORCE": Mutant(
        sql=f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY",
        undo=f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY",
        noticed_by=(
            CLEAN,
            "test_crossing.py::test_row_security_binds_even_the_owner_of_the_table[knowledge.Document]",
        ),
    ),
    "primary key by id alone": Mutant(
        sql="ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey, ADD CONSTRAINT knowledge_stage_pkey"
        " PRIMARY KEY (id)",
        undo="ALTER TABLE knowledge_stage DROP CONSTRAINT knowledge_stage_pkey, ADD CONSTRAINT knowledge_stage_pkey"
        " PRIMARY KEY (creator_id, id)",
        noticed_by=(CLEAN, "test_crossing.py::test_anothers_id_is_as_free_as_any[knowledge.Stage]"),
    ),
    "a key of one column": Mutant(
        sql=f"ALTER TABLE {TABLE} ADD CONSTRAINT mutant_id UNIQUE (id);"
        " ALTER TABLE knowledge_version DROP CONSTRAINT {document_key},"
        f" ADD CONSTRAINT mutant_key FOREIGN KEY (document_id) REFERENCES {TABLE} (id) ON DELETE CASCADE"
        " DEFERRABLE INITIALLY DEFERRED",
        undo="ALTER TABLE knowledge_version DROP CONSTRAINT mutant_key, ADD CONSTRAINT {document_key}"
        f" FOREIGN KEY (creator_id, document_id) REFERENCES {TABLE} (creator_id, id) ON DELETE CASCADE"
        f" DEFERRABLE INITIALLY DEFERRED; ALTER TABLE {TABLE} DROP CONSTRAINT mutant_id",
        noticed_by=(
            CLEAN,
            f"{KEYS}[knowledge.Version-document-at once]",
            f"{KEYS}[knowledge.Version-document-at commit]",
        ),
    ),
    "keys made with one column": Mutant(
        patch=_no_composite_keys,
        noticed_by=(
            "test_schema.py::test_keys_are_composite_and_their_indexes_start_with_the_creator",
            "test_schema.py::test_setting_null_leaves_the_creator",
        ),
    ),
    "a right to truncate": Mutant(
        sql=f"GRANT TRUNCATE ON {TABLE} TO PUBLIC",
        undo=f"REVOKE TRUNCATE ON {TABLE} FROM PUBLIC",
        noticed_by=("test_roles.py::test_the_tests_run_as_the_role_that_production_uses",),
    ),
    "unscoped manager": Mutant(
        patch=_unscoped_manager,
        noticed_by=(
            "test_compiler_guard.py::test_the_manager_refuses_at_once",
            "test_compiler_guard.py::test_the_manager_names_the_creator_so_that_the_planner_can_use_the_keys",
            "test_compiler_guard.py::test_what_was_not_fetched_raises_instead_of_asking_in_silence",
        ),
    ),
    "no compiler guard": Mutant(
        patch=_no_compiler_guard,
        noticed_by=(
            "test_compiler_guard.py::test_a_queryset_built_inside_is_refused_outside",
            "test_compiler_guard.py::test_outside_a_scope_it_is_refused_before_anything_is_sent[select]",
            "test_compiler_guard.py::test_outside_a_scope_it_is_refused_before_anything_is_sent[delete]",
            "test_compiler_guard.py::test_outside_a_scope_it_is_refused_before_anything_is_sent[in]",
        ),
    ),
    "no prefix in cache keys": Mutant(
        patch=_no_prefix_in_cache_keys,
        noticed_by=(
            "test_names.py::test_what_one_creator_caches_another_cannot_read_and_nobody_can_either",
            "test_names.py::test_many_at_once_and_counters_are_prefixed_too",
        ),
    ),
    "one group for all": Mutant(
        patch=_one_group_for_all,
        noticed_by=(
            "test_run.py::test_news_goes_to_the_creators_own_group_once_the_rows_are_there",
            "tests/isolation/test_sockets.py::test_each_hears_their_own_news_and_nobody_elses[bearer]",
        ),
    ),
    "session-level SET": Mutant(
        patch=_session_level_set,
        noticed_by=(
            "test_backend_messages.py::test_in_a_scope_a_statement_and_its_binding_are_one_message_and_nothing_stays",
            "test_backend_messages.py::test_each_backend_of_autocommit_statements_is_left_clean",
            "test_pool.py::test_200_interleaved_requests_of_two_creators_on_a_small_pool[1]",
        ),
    ),
    "scopes may switch": Mutant(
        patch=_scopes_may_switch,
        noticed_by=("test_backend_binding.py::test_a_transaction_that_served_one_creator_serves_no_other",),
    ),
    "savepoints forgotten": Mutant(
        patch=_savepoints_forgotten,
        noticed_by=(
            "test_backend_binding.py::test_what_was_bound_inside_a_savepoint_is_not_believed_after_it_was_undone",
            "test_backend_binding.py::test_a_message_that_never_left_in_a_later_statement_is_not_counted_either",
        ),
    ),
    "connections kept by threads": Mutant(
        patch=_connections_kept,
        noticed_by=("test_run.py::test_forty_cancelled_calls_leave_the_pool_whole",),
    ),
    "no scope in run_as": Mutant(
        patch=_scope_closed_before_commit,
        noticed_by=("test_run.py::test_what_runs_on_commit_still_has_the_scope",),
    ),
    "reads not bound": Mutant(
        patch=_reads_not_bound,
        noticed_by=(f"{POOL}test_reads_side_by_side_see_only_their_own_creators_rows", f"{SHARED}{ALTERNATING}"),
    ),
    "reads bind the session": Mutant(
        patch=_reads_bind_the_session,
        noticed_by=(f"{POOL}test_a_read_leaves_no_creator_on_the_connection_to_the_next", f"{SHARED}{ALTERNATING}"),
    ),
    "tokens trusted without asking": Mutant(
        patch=_tokens_trusted,
        noticed_by=(
            "test_reads.py::test_a_token_whose_grounds_have_ended_reads_nothing_any_more[sign-in]",
            "test_reads.py::test_a_token_whose_grounds_have_ended_reads_nothing_any_more[membership]",
            "tests/isolation/test_ended_tokens.py::test_it_opens_nothing_and_changes_nothing"
            "[GET /api/v1/search-signed out and in again]",
            f"{TAGS}test_a_token_that_has_ended_is_refused_though_its_tag_is_right[/api/v1/documents-signed out]",
        ),
    ),
    "tags for everybody": Mutant(
        patch=_tags_for_everybody,
        noticed_by=(
            f"{TAGS}test_another_creators_tag_of_the_same_revision_is_worth_nothing",
            f"{TAGS}test_a_colleagues_tag_is_worth_nothing_though_both_are_called_the_same[/api/v1/documents]",
        ),
    ),
    "kept rows for all": Mutant(
        patch=_kept_rows_for_all,
        noticed_by=(
            "tests/lean/test_reading.py::test_each_creator_and_each_value_has_rows_of_its_own",
            f"{SHARED}{ALTERNATING}",
        ),
    ),
    "statements keep their first creator": Mutant(
        patch=_statements_keep_their_creator,
        noticed_by=(
            "test_statements.py::"
            "test_a_statement_compiled_for_one_creator_finds_only_the_others_row_for_the_other[find]",
            "test_statements.py::test_a_change_compiled_for_one_creator_changes_only_the_others_row_for_the_other",
        ),
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant", default="", help="which break of the kernel to run the tests against")
    parser.addoption("--outcomes", default="", help="file to write the outcome of each test to, as JSON")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    mutant = MUTANTS.get(config.getoption("--mutant"))
    if mutant and mutant.patch:
        mutant.patch()
    config.pluginmanager.register(Outcomes(Path(config.getoption("--outcomes"))))


class Outcomes:
    """Notes how each test ended. A failure to set up counts: a break may be noticed there. One to clean up does not."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = report.nodeid.removeprefix(HERE)
        if report.when == "call" or (report.when == "setup" and report.failed):
            self.found[name] = report.outcome

    def pytest_sessionfinish(self) -> None:
        self.file.write_text(json.dumps(self.found))


def _document_key() -> str:
    from tests.tenancy.tools import connect

    with connect() as session:
        return session.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = 'knowledge_version'::regclass"
            f" AND confrelid = '{TABLE}'::regclass"
        ).fetchone()[0]


@pytest.fixture(scope="session", autouse=True)
def _broken_database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Break the database for the whole run, and mend it: the next mutant uses it again."""
    mutant = MUTANTS.get(request.config.getoption("--mutant"))
    if not mutant or not mutant.sql:
        yield
        return
    from tests.tenancy.tools import as_owner

    with django_db_blocker.unblock():
        key = _document_key()
        as_owner(*mutant.sql.format(document_key=key).split("; "))
    yield
    with django_db_blocker.unblock():
        as_owner(*mutant.undo.format(document_key=key).split("; "))
