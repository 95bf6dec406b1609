"""Every table of the hub's own apps is a creator's, or is listed as global with its reason."""

from django.apps import apps
from django.conf import settings

from shared.tenancy.checks import tenant_models
from shared.tenancy.models import BaseTenantModel


def ours() -> list:
    return [model for model in apps.get_models() if model.__module__.startswith(("apps.", "shared."))]


def test_a_model_is_a_creators_or_listed_as_global():
    for model in ours():
        listed = model._meta.db_table in settings.GLOBAL_TABLES
        assert issubclass(model, BaseTenantModel) != listed, model._meta.label


def test_every_tenant_model_inherits_the_base():
    assert [model._meta.label for model in tenant_models() if not issubclass(model, BaseTenantModel)] == []


def test_ids_are_made_by_the_hub():
    for model in tenant_models():
        field = model._meta.pk
        assert field.name == "id"
        assert field.default.__name__ == "uuid7"
        assert not field.editable


def test_every_index_of_a_tenant_table_starts_with_the_creator():
    for model in tenant_models():
        for index in model._meta.indexes:
            assert index.fields[:1] == ["creator"] or index.expressions, f"{model._meta.label}: {index.name}"
