"""The base of every tenant table. A developer inherits it and writes nothing about isolation."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import signals

from shared.tenancy.ids import uuid7
from shared.tenancy.keys import CreatorKey
from shared.tenancy.scope import require_creator
from shared.tenancy.statements import find_row, save_fields, writable_fields


class TenantQuerySet(models.QuerySet[Any]):
    """An ordinary queryset; the class is the place for what all tenant querysets share."""


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Rows of the creator in scope only, fetched whole.

    Postgres would filter by itself; the literal `creator_id` lets the planner use the composite keys.
    Lazy loading of a related row or a deferred column raises: say `select_related` where it is meant.
    """

    use_in_migrations = False

    def find(self, row_id: UUID) -> Any:
        """The row with this id, or None. The lookup that every operation begins with, compiled once."""
        return find_row(self.model, row_id)

    def lock(self, row_id: UUID) -> Any:
        """The same, kept from others until the transaction ends."""
        return find_row(self.model, row_id, lock=True)

    def get_queryset(self) -> Any:
        rows = super().get_queryset().filter(creator_id=require_creator())
        return rows.fetch_mode(models.FETCH_RAISE)


class BaseTenantModel(models.Model):
    """A row that belongs to one creator. Subclasses' `Meta` must inherit `BaseTenantModel.Meta`.

    In the database the primary key is `(creator_id, id)`, keys between tenant tables are composite, and one
    policy admits only the rows of the creator that the transaction is bound to.

    `counts_revision = False` is for rows that the hub writes about a creator all the time and that no answer with an
    ETag is made of: a transaction that changes nothing else leaves the revision where it is.
    """

    counts_revision: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    creator = CreatorKey()

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **options: Any) -> None:
        """Django's. `save(update_fields=...)`, which most writes are, runs a statement that was compiled once."""
        named = options.get("update_fields")
        names = tuple(named) if isinstance(named, list | tuple) else ()
        ordinary = not args and len(options) == 1 and names and not self._state.adding
        known = len(set(names)) == len(names) and writable_fields(type(self)).issuperset(names)
        known = known and not any(self._is_expression(name) for name in names)
        listeners = signals.pre_save.has_listeners(type(self)) or signals.post_save.has_listeners(type(self))
        if ordinary and known and not listeners:
            save_fields(self, names)
        else:
            super().save(*args, **options)

    def _is_expression(self, name: str) -> bool:
        """Whether a field holds something for Postgres to work out, such as `F("bytes") + 1`."""
        value = self.__dict__.get(self._meta.get_field(name).attname)  # type: ignore[union-attr]
        return hasattr(value, "resolve_expression")


class Revision(BaseTenantModel):
    """How often a creator's rows have changed. Counted by every transaction that wrote what counts, as it commits.

    Whoever keeps something that was made of a creator's rows keeps this number with it: while the number stands, so
    do the rows. See docs/decisions/0006-revisions.md.
    """

    number = models.BigIntegerField(default=1)

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator"], name="revision_once_per_creator")]

    def __str__(self) -> str:
        return f"revision {self.number}"


class EventCounter(BaseTenantModel):
    """The number of a creator's newest event. Whoever counts it up holds it until the transaction ends."""

    last = models.BigIntegerField()

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator"], name="event_counter_once_per_creator")]

    def __str__(self) -> str:
        return f"events up to {self.last}"


class Event(BaseTenantModel):
    """Something that happened to a creator's things, under the creator's next number. Old ones are trimmed.

    Ids, states and numbers only. See docs/decisions/0009-events.md.
    """

    seq = models.BigIntegerField()
    type = models.CharField(max_length=64)
    subject = models.UUIDField()
    at = models.DateTimeField()
    # JSON, as it is sent: nobody looks inside.
    data = models.TextField()

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator", "seq"], name="event_seq_once_per_creator")]

    def __str__(self) -> str:
        return f"event {self.seq}: {self.type}"
