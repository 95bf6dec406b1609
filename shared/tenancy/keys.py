"""The tenant column. Its presence is what makes a table a tenant table: for the schema editor (policy, composite
keys), the SQL compiler (no statement outside a scope) and the checks. Historical models in migrations keep the field,
so they are tenant models too.

Apart from `models.py`, because the database backend needs this and is loaded while the first model is being built.
"""

from typing import Any

from django.conf import settings
from django.db import models

from shared.tenancy.scope import require_creator

# Filled as models are built, historical ones included; the compiler looks joined tables up here.
TENANT_TABLES: set[str] = set()
# Those whose changes leave the creator's revision alone: models that say `counts_revision = False`.
UNCOUNTED_TABLES: set[str] = set()


class CreatorKey(models.ForeignKey):  # type: ignore[type-arg]
    """The tenant column, `creator_id`. Its default is the creator in scope.

    `DO_NOTHING`, because erasing a creator is a service and never a cascade.
    """

    def __init__(self, to: Any = None, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        kwargs.setdefault("related_name", "+")
        kwargs.setdefault("editable", False)
        kwargs.setdefault("db_index", False)  # every index of the table starts with this column anyway
        kwargs.setdefault("default", require_creator)
        super().__init__(to or settings.CREATOR_MODEL, on_delete, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("default", None)
        return name, path, args, kwargs

    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False, **kwargs: Any
    ) -> None:
        super().contribute_to_class(cls, name, private_only, **kwargs)
        if not cls._meta.abstract:
            TENANT_TABLES.add(cls._meta.db_table)
            if not getattr(cls, "counts_revision", True):
                UNCOUNTED_TABLES.add(cls._meta.db_table)


def names_uncounted_table(sql: Any) -> bool:
    """Whether a statement may have to do with an uncounted table. Never the last word: Postgres has that."""
    return isinstance(sql, str) and any(table in sql for table in UNCOUNTED_TABLES)


def is_tenant_model(model: Any) -> bool:
    """Whether a model (historical ones included) is a tenant table."""
    return any(isinstance(field, CreatorKey) for field in model._meta.local_fields)
