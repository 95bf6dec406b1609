"""System checks. `manage.py check` reads the models; `check --database default` reads the catalogue as well.

| id | refuses |
| --- | --- |
| tenancy.E001 | a tenant model whose `Meta` does not inherit `BaseTenantModel.Meta` |
| tenancy.E002 | a one-to-one key or an implicit many-to-many on a tenant model |
| tenancy.E003 | uniqueness on a tenant model that does not start with the creator |
| tenancy.E004 | a manager on a tenant model that is not a `TenantManager` |
| tenancy.E005 | a global model that points at a tenant model |
| tenancy.E010 | a role that could look past row security |
| tenancy.E011 | a table that is unprotected, or that nobody classified |
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, models

from shared.exceptions import HubError
from shared.tenancy.keys import is_tenant_model
from shared.tenancy.models import TenantManager
from shared.tenancy.policies import Finding, role_findings, table_findings


class UnfitDatabase(HubError):
    """The database would not keep creators apart, so the hub does not start."""

    code = "unfit_database"


def tenant_models() -> list[type[models.Model]]:
    """Every installed tenant model."""
    return [model for model in apps.get_models(include_auto_created=True) if is_tenant_model(model)]


@register(Tags.models)
def check_tenant_models(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Hold the models to the rules that the database relies on."""
    found: list[CheckMessage] = []
    for model in apps.get_models(include_auto_created=True):
        rules = _tenant_rules(model) if is_tenant_model(model) else _global_rules(model)
        found += [Error(text, obj=model, id=f"tenancy.{number}") for number, text in rules]
    return found


def _tenant_rules(model: Any) -> Iterator[tuple[str, str]]:
    meta = model._meta
    if meta.base_manager_name != "objects":
        yield "E001", "Write `class Meta(BaseTenantModel.Meta)`: without it lookups by key leave the scope."
    for field in [*meta.local_fields, *meta.local_many_to_many]:
        if field.many_to_many and field.remote_field.through._meta.auto_created:
            yield "E002", f"{field.name}: write the table in between as a tenant model."
        if field.one_to_one:
            yield "E002", f"{field.name}: a one-to-one key is unique across creators. Use a ForeignKey."
        if field.unique and not field.primary_key and not field.one_to_one:
            yield "E003", f"{field.name}: unique=True reaches across creators. Use a UniqueConstraint."
    uniques = [list(names) for names in meta.unique_together]
    uniques += [_leading(rule) for rule in meta.constraints if isinstance(rule, models.UniqueConstraint)]
    for names in uniques:
        if not names or names[0] not in ("creator", "creator_id"):
            yield "E003", f"The unique constraint on {names} must start with the creator."
    for manager in meta.managers:
        if not isinstance(manager, TenantManager):
            yield "E004", f"The manager {manager.name} must be a TenantManager."


def _leading(rule: models.UniqueConstraint) -> list[str]:
    """The columns of a unique constraint as far as they are plain."""
    names = [getattr(getattr(part, "expression", part), "name", "?") for part in rule.expressions]
    return list(rule.fields) or names


def _global_rules(model: Any) -> Iterator[tuple[str, str]]:
    for field in model._meta.local_fields:
        target = field.remote_field.model if field.remote_field else None
        if target is not None and not isinstance(target, str) and is_tenant_model(target):
            yield "E005", f"{field.name}: a table of no creator cannot hold a key to a creator's row."


@register(Tags.database)
def check_isolation(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Read the catalogue of each database that was named."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        found += [Error(f.problem, hint=f.hint, id="tenancy.E010") for f in _role(alias)]
        found += [Error(f.problem, hint=f.hint, id="tenancy.E011") for f in _tables(alias)]
    return found


def _role(alias: str) -> list[Finding]:
    with connections[alias].cursor() as cursor:
        return role_findings(cursor)


def _tables(alias: str) -> list[Finding]:
    with connections[alias].cursor() as cursor:
        return table_findings(
            cursor,
            tenant_tables={model._meta.db_table for model in tenant_models()},
            global_tables=settings.GLOBAL_TABLES,
        )


def refuse_unfit_database(alias: str = "default") -> None:
    """Stop the start-up of a web or worker process on a role or a table that breaks the promise.

    Raises `UnfitDatabase` with every finding and what to do; database errors when Postgres cannot be asked.
    """
    findings = _role(alias) + _tables(alias)
    if findings:
        lines = [f"- {finding.problem} {finding.hint}" for finding in findings]
        raise UnfitDatabase("\n".join(["The hub does not start on this database:", *lines]))
