"""The base of every tenant table. A developer inherits it and writes nothing about isolation.

The presence of a `CreatorKey` is what makes a table a tenant table: for the schema editor (policy, composite keys),
the SQL compiler (no statement outside a scope) and the checks. Historical models in migrations keep the field,
so they are tenant models too.
"""

from typing import Any

from django.conf import settings
from django.db import models

from shared.tenancy.ids import uuid7
from shared.tenancy.scope import require_creator

# Filled as models are built, historical ones included; the compiler looks joined tables up here.
TENANT_TABLES: set[str] = set()


class CreatorKey(models.ForeignKey):
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

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        if not cls._meta.abstract:
            TENANT_TABLES.add(cls._meta.db_table)


def is_tenant_model(model: Any) -> bool:
    """Whether a model (historical ones included) is a tenant table."""
    return any(isinstance(field, CreatorKey) for field in model._meta.local_fields)


class TenantQuerySet(models.QuerySet[Any]):
    """An ordinary queryset; the class is the place for what all tenant querysets share."""


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Rows of the creator in scope only, fetched whole.

    Postgres would filter by itself; the literal `creator_id` lets the planner use the composite keys.
    Lazy loading of a related row or a deferred column raises: say `select_related` where it is meant.
    """

    use_in_migrations = False

    def get_queryset(self) -> Any:
        rows = super().get_queryset().filter(creator_id=require_creator())
        return rows.fetch_mode(models.FETCH_RAISE)


class BaseTenantModel(models.Model):
    """A row that belongs to one creator. Subclasses' `Meta` must inherit `BaseTenantModel.Meta`.

    In the database the primary key is `(creator_id, id)`, keys between tenant tables are composite, and one
    policy admits only the rows of the creator that the transaction is bound to.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    creator = CreatorKey()

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
