"""Statements that the ORM compiles once for their shape, and that each call fills with its own values.

Compiling takes the ORM several times as long as Postgres takes to answer, so what runs on every request is compiled at
its first use. The text, the columns and the creator's place in it come from the models like everything else.
"""

from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, models, transaction
from django.db.models.sql import UpdateQuery
from django.db.transaction import TransactionManagementError

from shared.tenancy.scope import creator_scope, require_creator

# In whose scope statements are compiled; each call puts its own creator in this one's place.
_TEMPLATE = UUID(int=2**128 - 1)


class Place(models.Expression):
    """Stands in a query for a value that each call brings."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, and for each of its places the name of a value, or something that is always the same."""

    sql: str
    places: tuple[Any, ...]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the statement's places, for the creator in scope."""
        filled = {**values, "creator": require_creator()}
        return [filled[place.name] if isinstance(place, Place) else place for place in self.places]


def compile_statement(make_query: Callable[[], Any]) -> Statement:
    """The statement of a query that is made for nobody in particular: `make_query` runs in a scope of its own."""
    # In a context without a scope: the one that is open is some creator's, and the statement is for all of them.
    return Context().run(_compile, make_query)


def _compile(make_query: Callable[[], Any]) -> Statement:
    with creator_scope(_TEMPLATE):
        sql, parameters = make_query().get_compiler(DEFAULT_DB_ALIAS).as_sql()
    return Statement(sql, tuple(Place("creator") if value == _TEMPLATE else value for value in parameters))


# ---- Rows by their id


def find_row[M: models.Model](model: type[M], row_id: UUID, *, lock: bool = False) -> M | None:
    """The creator's row with this id, or None. With `lock`, kept from others until the transaction ends.

    As `model.objects.filter(id=row_id).first()`, and with `select_for_update()`. Raises `TransactionManagementError`
    for a lock outside a transaction, where it would end at once.
    """
    if lock and not connection.in_atomic_block:
        raise TransactionManagementError("A row can only be locked inside a transaction.")
    statement = _by_id(model, lock)
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters({"id": row_id}))
        row = cursor.fetchone()
    if row is None:
        return None
    attributes = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(DEFAULT_DB_ALIAS, attributes, row, fetch_mode=models.FETCH_RAISE)


@lru_cache(maxsize=256)
def _by_id(model: Any, lock: bool) -> Statement:
    unread = [field.name for field in model._meta.concrete_fields if hasattr(field, "from_db_value")]
    if unread:
        raise TypeError(f"{model.__name__}: {', '.join(unread)} need the ORM to be read")

    def query() -> Any:
        rows = model.objects.filter(id=Place("id"))
        return (rows.select_for_update() if lock else rows).query

    return compile_statement(query)


@lru_cache(maxsize=256)
def writable_fields(model: Any) -> frozenset[str]:
    """The names of the fields that `save_fields` can write: all but the key."""
    return frozenset(field.name for field in model._meta.concrete_fields if not field.primary_key)


def save_fields(row: Any, names: tuple[str, ...]) -> None:
    """Write some fields of a row, as `save(update_fields=names)` does. Raises `NotUpdated` when it is not there."""
    fields = [row._meta.get_field(name) for name in names]
    values = {field.attname: field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in fields}
    model: Any = type(row)
    statement = _change(model, names)
    with transaction.mark_for_rollback_on_error(), connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters({**values, "id": row.pk}))
        if not cursor.rowcount:
            raise model.NotUpdated("Save with update_fields did not affect any rows.")  # in Django's own words


@lru_cache(maxsize=256)
def _change(model: Any, names: tuple[str, ...]) -> Statement:
    def query() -> Any:
        changing = model.objects.filter(id=Place("id")).query.chain(UpdateQuery)
        fields = [model._meta.get_field(name) for name in names]
        changing.add_update_fields([(field, None, Place(field.attname)) for field in fields])
        return changing

    return compile_statement(query)
