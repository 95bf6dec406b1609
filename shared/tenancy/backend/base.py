"""One rule: every statement runs under the creator in scope.

When the transaction on a connection is not bound to that creator, `SET LOCAL` goes in front of the statement, *in the
same message*: no extra round trip, and nothing outlives the transaction, so a pooled connection (ours or PgBouncer's)
never carries a creator to its next user. See docs/decisions/0001-transaction-local-setting.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends import utils
from django.db.backends.postgresql import base, creation, features, operations
from psycopg import sql as pgsql
from psycopg.pq import TransactionStatus

from shared.tenancy.backend.liveness import is_gone
from shared.tenancy.backend.schema import TenantSchemaEditor
from shared.tenancy.ids import uuid7
from shared.tenancy.keys import UNCOUNTED_TABLES, is_tenant_model, names_uncounted_table
from shared.tenancy.policies import SETTING
from shared.tenancy.scope import ScopeSwitch, current_creator


class _Unknown:
    """What a transaction is bound to after a rollback to a savepoint: Postgres knows, we do not."""


UNKNOWN = _Unknown()


def set_local(creator: UUID | None) -> str:
    """The statement that binds a transaction to a creator. A UUID's text needs no quoting."""
    if not (creator is None or isinstance(creator, UUID)):
        raise TypeError("a transaction is bound to a UUID or to nobody")
    return f"SET LOCAL {SETTING} = '{creator or ''}'; "


def count_revision(creator: UUID, *, unless_uncounted: bool = False) -> str:
    """The statement that counts a creator's revision up.

    Not for a transaction that has neither written nor locked a row, nor for one that has erased the creator; with
    `unless_uncounted`, nor for one that has written to nothing but uncounted tables.
    """
    creators = apps.get_model(settings.CREATOR_MODEL)._meta.db_table
    return (
        f"INSERT INTO tenancy_revision (creator_id, id, number) SELECT id, '{uuid7()}', 1 FROM {creators}"
        f" WHERE id = '{creator}' AND pg_current_xact_id_if_assigned() IS NOT NULL"
        f"{_wrote_what_counts() if unless_uncounted else ''}"
        " ON CONFLICT (creator_id) DO UPDATE SET number = tenancy_revision.number + 1; "
    )


def _wrote_what_counts() -> str:
    """Asks Postgres whether the transaction has written to a table that counts, whoever wrote: SQL and cascades too.

    Until it ends, a transaction holds a lock on each table that it has written to, stronger than those of readers and
    of row locks. The table of the count itself is locked by the very statement that asks. Looking at the locks takes
    several times as long as counting, so only transactions that may do without the count ask.
    """
    names = ", ".join(f"'{table}'" for table in sorted({"tenancy_revision", *UNCOUNTED_TABLES}))
    return (
        " AND EXISTS (SELECT 1 FROM pg_locks held JOIN pg_class locked ON locked.oid = held.relation"
        " WHERE held.pid = pg_backend_pid() AND held.locktype = 'relation' AND locked.relkind IN ('r', 'p')"
        f" AND held.mode NOT IN ('AccessShareLock', 'RowShareLock') AND locked.relname NOT IN ({names}))"
    )


class _BoundCursor:
    """Puts the binding in front of what is sent."""

    db: Any
    cursor: Any

    def _execute(self, sql: Any, params: Any, *context: Any) -> Any:
        self.db.validate_no_broken_transaction()
        uncounted = names_uncounted_table(sql)
        suffix = self.db.take_suffix(uncounted)
        prefix = self.db.take_prefix()
        self.db.may_leave_revision |= uncounted
        if not prefix:
            return super()._execute(sql, params, *context)  # type: ignore[misc]
        if isinstance(sql, pgsql.Composable):
            sql = pgsql.SQL(prefix) + sql + pgsql.SQL(suffix)
        else:
            sql = prefix + (sql.decode() if isinstance(sql, bytes) else sql) + suffix
        try:
            result = super()._execute(sql, params, *context)  # type: ignore[misc]
        except BaseException:
            self.db.forget_binding()  # the message may never have left: parameters are rendered on our side
            raise
        self.cursor.set_result(-2 if suffix else -1)  # the statement's own, not the binding's or the count's
        return result

    def _executemany(self, sql: Any, param_list: Any, *context: Any) -> Any:
        self.db.bind_now("executemany()")
        return super()._executemany(sql, param_list, *context)  # type: ignore[misc]

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        self.db.bind_now("callproc()")
        return super().callproc(*args, **kwargs)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        if name in ("copy", "stream"):
            self.db.bind_now(f"{name}()")
        return super().__getattr__(name)  # type: ignore[misc]


class TenantCursor(_BoundCursor, utils.CursorWrapper):
    """The cursor that production uses."""


class TenantDebugCursor(_BoundCursor, base.CursorDebugWrapper):
    """The cursor that records queries (`DEBUG`, `assertNumQueries`)."""


class Operations(operations.DatabaseOperations):
    """Names the compilers that refuse statements outside a scope."""

    compiler_module = "shared.tenancy.backend.compiler"


class Features(features.DatabaseFeatures):
    """`id` alone is not the primary key of a tenant table, so Postgres cannot group by it alone."""

    def allows_group_by_selected_pks_on_model(self, model: Any) -> bool:
        return super().allows_group_by_selected_pks_on_model(model) and not is_tenant_model(model)


class Creation(creation.DatabaseCreation):
    """Test databases are made and dropped by the owner; the tests themselves run as `hub_app`."""

    def create_test_db(self, *args: Any, **kwargs: Any) -> str:
        with self.connection.as_owner():
            return super().create_test_db(*args, **kwargs)

    def destroy_test_db(self, *args: Any, **kwargs: Any) -> None:
        with self.connection.as_owner():
            super().destroy_test_db(*args, **kwargs)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's Postgres connection, bound to the creator in scope for as long as each transaction lasts."""

    SchemaEditorClass = TenantSchemaEditor
    creation_class = Creation
    ops_class = Operations
    features_class = Features

    # What the open transaction is bound to, and the one creator it may ever be bound to.
    _bound: UUID | _Unknown | None = None
    _transaction_creator: UUID | None = None
    # Whether a statement of the open transaction has named an uncounted table: then its end asks what it has written.
    may_leave_revision = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in ("isolation_level", "server_side_binding"):
            if self.settings_dict["OPTIONS"].get(option):
                raise ImproperlyConfigured(f"DATABASES: the option {option!r} does not go with bound statements.")
        # Kept apart from the settings: test databases are made as the owner from start to end.
        self.serving_role: str = self.settings_dict["USER"]

    # ---- roles

    @contextmanager
    def as_owner(self) -> Iterator[None]:
        """Use the role that owns the tables: for migrations and test databases, never for serving."""
        owner = self.settings_dict.get("OWNER")
        if not owner or not owner.get("USER"):
            raise ImproperlyConfigured("Set DATABASE_OWNER_URL: migrations run as the owner of the tables.")
        if self.settings_dict["USER"] == owner["USER"]:
            yield
            return
        served_by = {key: self.settings_dict[key] for key in (*owner, "OPTIONS")}
        options = {key: value for key, value in served_by["OPTIONS"].items() if key != "pool"}
        self.close()
        self.close_pool()
        self.settings_dict.update(owner, OPTIONS=options)
        try:
            yield
        finally:
            self.close()
            self.settings_dict.update(served_by)

    # ---- the pool

    def get_new_connection(self, conn_params: Any) -> Any:
        """A connection of the pool whose server is there: after a restart of Postgres all that it has are dead."""
        one = super().get_new_connection(conn_params)
        while self.pool and is_gone(one):
            self.pool.putconn(one)  # the pool throws it away, and makes another
            one = super().get_new_connection(conn_params)
        return one

    # ---- scope

    def take_prefix(self) -> str:
        """What must travel in front of the next statement: `BEGIN`, `SET LOCAL`, both or nothing."""
        creator = current_creator()
        idle = self.connection.pgconn.transaction_status == TransactionStatus.IDLE
        if idle:
            self._bound = self._transaction_creator = None
            self.may_leave_revision = False
        inside = self.in_atomic_block or not self.autocommit
        begin = "BEGIN; " if inside and idle and self.connection.autocommit else ""
        if self._bound is not UNKNOWN and self._bound == creator:
            return begin
        self._refuse_switch(creator)
        if inside or not idle:  # else the binding ends with this one statement
            self._bound = creator
            self._transaction_creator = creator or self._transaction_creator
        return begin + set_local(creator)

    def take_suffix(self, uncounted: bool) -> str:
        """What must travel behind the next statement: the count of the revision, where no COMMIT will bring it.

        `uncounted`: the statement names a table that may leave the revision alone.
        """
        creator = current_creator()
        if creator is None or self.in_atomic_block or not self.autocommit:
            return ""
        if self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return ""
        # On a line of its own: a statement may end in a comment.
        return "\n; " + count_revision(creator, unless_uncounted=uncounted)

    def _refuse_switch(self, creator: UUID | None) -> None:
        first = self._transaction_creator
        in_test_case = any(block._from_testcase for block in self.atomic_blocks)
        if creator is not None and first is not None and creator != first and not in_test_case:
            raise ScopeSwitch("This transaction already served another creator.")

    def bind_now(self, what: str) -> None:
        """Bind ahead of a call that sends messages of its own. Only a transaction can hold the binding."""
        if current_creator() is not None and self.autocommit and not self.in_atomic_block:
            raise ScopeSwitch(f"{what} in a creator's scope needs a transaction.")
        prefix = self.take_prefix()
        if prefix:
            self.connection.execute(prefix)

    def make_cursor(self, cursor: Any) -> TenantCursor:
        return TenantCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> TenantDebugCursor:
        return TenantDebugCursor(cursor, self)

    def create_cursor(self, name: str | None = None) -> Any:
        if not name:
            return super().create_cursor()
        self.bind_now("iterator()")
        if self.in_atomic_block:
            # psycopg is in autocommit (our BEGIN is explicit), so Django would ask for a cursor WITH HOLD.
            return base.ServerSideCursor(self.connection, name=name, scrollable=False, withhold=False)
        return super().create_cursor(name)

    def _start_transaction_under_autocommit(self) -> None:
        """Nothing yet: BEGIN travels with the first statement."""

    def _set_autocommit(self, autocommit: bool) -> None:
        if autocommit and self.connection.autocommit:
            return  # a message for nothing: lazy BEGIN never left autocommit
        super()._set_autocommit(autocommit)

    def _commit(self) -> None:
        """In a creator's transaction COMMIT takes the count of the creator's revision along, in the same message."""
        creator = self._transaction_creator
        if creator is None or self.connection.pgconn.transaction_status != TransactionStatus.INTRANS:
            super()._commit()
            return
        with utils.debug_transaction(self, "COMMIT"), self.wrap_database_errors:
            # Deferred keys first: nothing may be waited for while the row of the count is held.
            check = "SET CONSTRAINTS ALL IMMEDIATE; "
            self.connection.execute(check + self._counted(creator) + "COMMIT")

    def _savepoint_commit(self, sid: str) -> None:
        # In a test case, which is rolled back, the end of the outermost savepoint stands for the commit.
        creator = current_creator()
        if creator is not None and self.atomic_blocks and all(block._from_testcase for block in self.atomic_blocks):
            with self.wrap_database_errors:
                self.connection.execute(self._counted(creator))
        super()._savepoint_commit(sid)

    def _counted(self, creator: UUID) -> str:
        """The count of the revision, for the transaction's creator."""
        bind = "" if self._bound == creator else set_local(creator)
        self._bound = creator
        return bind + count_revision(creator, unless_uncounted=self.may_leave_revision)

    def _savepoint_rollback(self, sid: str) -> None:
        # Past our cursor: the transaction may be aborted, and then only this statement is taken.
        with self.wrap_database_errors:
            self.connection.execute(self.ops.savepoint_rollback_sql(sid))
        self.forget_binding()

    def forget_binding(self) -> None:
        """Send the binding again with the next statement: what the transaction is bound to is not known."""
        self._bound = UNKNOWN

    def close(self) -> None:
        self._bound = self._transaction_creator = None
        self.may_leave_revision = False
        super().close()
