"""A row for any tenant table, made by looking at its model: a new table is in the matrix on the day it is written."""

import itertools
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from apps.accounts.models import Creator, User
from shared.tenancy.checks import tenant_models
from shared.tenancy.keys import CreatorKey, is_tenant_model
from shared.tenancy.models import Revision
from shared.tenancy.scope import creator_scope

_numbers = itertools.count(1)
# Fields whose values mean something to a constraint of their table, where a made-up value would be refused.
SPECIAL: dict[str, dict[str, Any]] = {"knowledge.GoldenRun": {"state": "done"}}


def labels() -> list[str]:
    """Every tenant model, by its label."""
    return sorted(model._meta.label for model in tenant_models())


class Rows:
    """Makes and keeps one row in each tenant table, for one creator. Parents are made when a key needs them."""

    def __init__(self, creator: Creator) -> None:
        self.creator = creator
        self.made: dict[type[models.Model], models.Model] = {}

    def one(self, model: type[models.Model]) -> Any:
        """The creator's row in a table, committed by whoever holds the transaction."""
        if model not in self.made:
            row = self.new(model)
            with creator_scope(self.creator.id):
                # The count of a creator's changes is there as soon as anything else is.
                counted = Revision.objects.first() if model is Revision else None
                if counted is None:
                    row.save(force_insert=True)
            self.made[model] = counted or row
        return self.made[model]

    def new(self, model: type[models.Model]) -> Any:
        """A row that could be inserted next to `one()`, not saved."""
        with creator_scope(self.creator.id):
            return model(**{field.attname: self._value(model, field) for field in model._meta.concrete_fields})

    def columns(self, model: type[models.Model]) -> dict[str, Any]:
        """The same as plain columns and values, ready for SQL written by hand."""
        row = self.new(model)
        prepared = {}
        for field in model._meta.concrete_fields:
            value = field.pre_save(row, add=True)
            if not field.generated and not hasattr(value, "as_sql"):
                prepared[field.column] = field.get_db_prep_save(value, connection)
        return prepared

    def _value(self, model: type[models.Model], field: Any) -> Any:
        special = SPECIAL.get(model._meta.label, {})
        if field.name in special:
            return special[field.name]
        if isinstance(field, CreatorKey):
            return self.creator.id
        if isinstance(field, models.ForeignKey):
            return self._key(model, field)
        if field.has_default():
            return field.get_default()
        if field.choices:
            return field.flatchoices[0][0]
        return _made_up(field)

    def _key(self, model: type[models.Model], field: models.ForeignKey) -> UUID | None:
        target = field.remote_field.model
        if target is model:
            return None
        if is_tenant_model(target):
            return self.one(target).pk
        if issubclass(target, User):
            return User.objects.create(email=f"{uuid4().hex}@example.org", display_name="Somebody").pk
        if issubclass(target, Creator):
            return self.creator.id
        raise NotImplementedError(f"{model._meta.label}.{field.name}: teach tests/tenancy/rows.py to make one")


_BY_KIND: dict[str, Any] = {
    "CharField": lambda field, n: f"w{n}"[: field.max_length],
    "TextField": lambda field, n: f"words {n}",
    "UUIDField": lambda field, n: uuid4(),
    "BooleanField": lambda field, n: False,
    "DateTimeField": lambda field, n: timezone.now() + timedelta(seconds=n),
    "DateField": lambda field, n: date(2026, 1, 1),
    "FloatField": lambda field, n: float(n),
    "DecimalField": lambda field, n: Decimal(n % 10),
    "DurationField": lambda field, n: timedelta(seconds=n),
    "BinaryField": lambda field, n: f"bytes {n}".encode(),
    "JSONField": lambda field, n: {"n": n},
    "ArrayField": lambda field, n: [],
    "SearchVectorField": lambda field, n: None,
    "HalfVectorField": lambda field, n: [1.0] + [0.0] * ((field.dimensions or 3) - 1),
    "VectorField": lambda field, n: [1.0] + [0.0] * (field.dimensions - 1),
}


def _made_up(field: Any) -> Any:
    number = next(_numbers)
    for kind in type(field).__mro__:
        if kind.__name__ in _BY_KIND:
            return _BY_KIND[kind.__name__](field, number)
        if kind.__name__.endswith("IntegerField"):
            return number
    if field.null:
        return None
    raise NotImplementedError(f"{field.model._meta.label}.{field.name}: teach tests/tenancy/rows.py its kind")


class Stage:
    """Both creators with a row in every table, committed."""

    def __init__(self) -> None:
        self.acme = Rows(Creator.objects.create(display_name="Acme"))
        self.mallory = Rows(Creator.objects.create(display_name="Mallory's"))
        for label in labels():
            self.acme.one(apps.get_model(label))
            self.mallory.one(apps.get_model(label))

    def scope(self, name: str) -> str | None:
        """The setting of a column of the table; None leaves it unset."""
        values = {"none": None, "empty": "", "not a UUID": "nobody"}
        values |= {"Acme": str(self.acme.creator.id), "Mallory's": str(self.mallory.creator.id)}
        return values[name]

    def clear(self) -> None:
        """Leave nothing behind."""
        for rows in (self.acme, self.mallory):
            with creator_scope(rows.creator.id), transaction.atomic():
                for model in reversed(rows.made):
                    model._base_manager.all()._raw_delete("default")
                # In one transaction, as every write to a creator's rows leaves a count of it behind.
                rows.creator.delete()
