"""What every tenant table gets from the migration that creates it: row security, policy, composite keys.

Nothing is written by hand in a migration, so nothing can be forgotten there; `sqlmigrate` shows all of it.
"""

from typing import Any

from django.db import NotSupportedError
from django.db.backends.ddl_references import Columns
from django.db.backends.postgresql import schema

from shared.tenancy.keys import CreatorKey, is_tenant_model
from shared.tenancy.policies import POLICY_NAME, POLICY_SQL


class TenantSchemaEditor(schema.DatabaseSchemaEditor):
    """Django's schema editor for Postgres, which isolates tenant tables as it makes them."""

    # A key that is added later takes the same path as one made with its table.
    sql_create_column_inline_fk = None

    def create_model(self, model: Any) -> None:
        super().create_model(model)
        if is_tenant_model(model):
            self._isolate(model)

    def add_field(self, model: Any, field: Any) -> None:
        super().add_field(model, field)
        if isinstance(field, CreatorKey):
            self._isolate(model)

    def effective_default(self, field: Any) -> Any:
        # The default asks for the creator in scope, and a migration has none: a table with rows must be filled first.
        return None if isinstance(field, CreatorKey) else super().effective_default(field)

    def remove_field(self, model: Any, field: Any) -> None:
        if isinstance(field, CreatorKey):
            raise NotSupportedError(f"{model._meta.label}: a tenant table cannot become a global one in place.")
        super().remove_field(model, field)

    def _isolate(self, model: Any) -> None:
        table = self.quote_name(model._meta.db_table)
        key = self.quote_name(f"{model._meta.db_table}_pkey")
        pk = self.quote_name(model._meta.pk.column)
        # With PRIMARY KEY (id), inserting another creator's id would be told apart from inserting a free one.
        self.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}, ADD CONSTRAINT {key} PRIMARY KEY (creator_id, {pk})")
        self.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        self.execute(f"CREATE POLICY {POLICY_NAME} ON {table} USING ({POLICY_SQL}) WITH CHECK ({POLICY_SQL})")

    def _create_fk_sql(self, model: Any, field: Any, suffix: str) -> Any:
        statement = super()._create_fk_sql(model, field, suffix)
        target = field.remote_field.model
        if not (is_tenant_model(model) and is_tenant_model(target)):
            return statement
        # Foreign keys bypass row security: only a composite one cannot point at another creator's row.
        statement.parts["column"] = self._with_creator(model, field.column)
        statement.parts["to_column"] = self._with_creator(target, field.target_field.column)
        action = statement.parts["on_delete_db"]
        if "SET NULL" in action or "SET DEFAULT" in action:
            # Without its column list Postgres would set creator_id to null as well.
            statement.parts["on_delete_db"] = f"{action} ({self.quote_name(field.column)})"
        return statement

    def _with_creator(self, model: Any, column: str) -> Columns:
        return Columns(model._meta.db_table, ["creator_id", column], self.quote_name)

    def _field_indexes_sql(self, model: Any, field: Any) -> list[Any]:
        if not is_tenant_model(model):
            return super()._field_indexes_sql(model, field)
        if not self._field_should_be_indexed(model, field):
            return []
        return [self._create_index_sql(model, fields=[model._meta.get_field("creator"), field])]

    def _constraint_names(self, model: Any, column_names: Any = None, **kinds: Any) -> list[str]:
        """Django looks for a key or an index by its one column; ours has the creator in front."""
        names = super()._constraint_names(model, column_names, **kinds)
        looks_for_ours = kinds.get("foreign_key") or kinds.get("index")
        if looks_for_ours and column_names and len(column_names) == 1 and is_tenant_model(model):
            names += super()._constraint_names(model, ["creator_id", *column_names], **kinds)
        return names

    def _alter_field(self, model: Any, old_field: Any, new_field: Any, *args: Any, **kwargs: Any) -> None:
        # Filling nulls is an UPDATE, and FORCE hides every row from the owner as well.
        fills_nulls = is_tenant_model(model) and old_field.null and not new_field.null
        table = self.quote_name(model._meta.db_table)
        if fills_nulls:
            self.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        super()._alter_field(model, old_field, new_field, *args, **kwargs)
        if fills_nulls:
            self.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
