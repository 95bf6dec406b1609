"""Refuse any ORM statement on a tenant table outside a scope.

Postgres would answer such a statement with no rows, in silence; `instance.delete()` and querysets that were
built inside a scope and evaluated outside both end here, whatever manager they came from.
"""

from typing import Any

from django.db.backends.postgresql import compiler

from shared.tenancy.keys import TENANT_TABLES
from shared.tenancy.scope import require_creator


def _guard(query: Any) -> None:
    """Raise `NoCreatorInScope` when a query touches a tenant table and no creator is in scope."""
    tables = {join.table_name for join in query.alias_map.values()} | set(query.extra_tables)
    if query.model is not None:
        tables.add(query.model._meta.db_table)
    if not tables.isdisjoint(TENANT_TABLES):
        require_creator()


class _Guarded:
    query: Any

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        # After compiling: only then are all joins known. Nested queries pass here with compilers of their own.
        sql = super().as_sql(*args, **kwargs)  # type: ignore[misc]
        _guard(self.query)
        return sql


class SQLCompiler(_Guarded, compiler.SQLCompiler):
    """SELECT."""


class SQLInsertCompiler(_Guarded, compiler.SQLInsertCompiler):
    """INSERT."""


class SQLDeleteCompiler(_Guarded, compiler.SQLDeleteCompiler):
    """DELETE."""


class SQLUpdateCompiler(_Guarded, compiler.SQLUpdateCompiler):
    """UPDATE."""


class SQLAggregateCompiler(_Guarded, compiler.SQLAggregateCompiler):
    """Aggregates over a sub-query; the sub-query is guarded by its own compiler."""
