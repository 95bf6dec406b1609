"""`manage.py check` holds models to what the database relies on: a wrong model for each number."""

import pytest
from django.apps import apps
from django.core import checks as framework
from django.db import models
from django.test.utils import isolate_apps

from shared.tenancy import checks
from shared.tenancy.models import BaseTenantModel, TenantManager


@pytest.fixture
def found(monkeypatch):
    """Which numbers are reported for the models that a test makes, and for nothing else."""
    with isolate_apps("tests.tenancy.house") as isolated:
        monkeypatch.setattr(checks, "apps", isolated)
        yield lambda: [message.id for message in checks.check_tenant_models(None)]


def test_the_hubs_own_models_pass():
    assert checks.check_tenant_models(None) == []
    assert len(checks.tenant_models()) >= 7
    assert [message for message in framework.run_checks() if message.id.startswith("tenancy")] == []


def test_a_good_model_passes(found):
    class Shelf(BaseTenantModel):
        name = models.TextField()

        class Meta(BaseTenantModel.Meta):
            app_label = "house"
            constraints = [
                models.UniqueConstraint(fields=["creator", "name"], name="shelf_once"),
                models.UniqueConstraint(models.F("creator"), models.F("name"), name="shelf_once_more"),
            ]

    class Book(BaseTenantModel):
        shelf = models.ForeignKey(Shelf, models.CASCADE)

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert found() == []


def test_e001_a_meta_that_does_not_inherit(found):
    class Shelf(BaseTenantModel):
        class Meta:
            app_label = "house"

    assert found() == ["tenancy.E001"]


def test_e002_a_one_to_one_key(found):
    class Shelf(BaseTenantModel):
        below = models.OneToOneField("self", models.CASCADE, null=True)

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert found() == ["tenancy.E002"]


def test_e002_an_implicit_many_to_many(found):
    class Shelf(BaseTenantModel):
        next_to = models.ManyToManyField("self")

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert "tenancy.E002" in found()


def test_e002_a_table_in_between_written_as_a_tenant_model_passes(found):
    class Shelf(BaseTenantModel):
        next_to = models.ManyToManyField("self", through="house.Neighbours")

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    class Neighbours(BaseTenantModel):
        left = models.ForeignKey(Shelf, models.CASCADE, related_name="+")
        right = models.ForeignKey(Shelf, models.CASCADE, related_name="+")

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert found() == []


def test_e003_a_unique_field(found):
    class Shelf(BaseTenantModel):
        name = models.TextField(unique=True)

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert found() == ["tenancy.E003"]


@pytest.mark.parametrize(
    "rule",
    [
        models.UniqueConstraint(fields=["name"], name="once"),
        models.UniqueConstraint(fields=["name", "creator"], name="once"),
        models.UniqueConstraint(models.functions.Lower("name"), name="once"),
        models.UniqueConstraint(models.functions.Lower("name"), models.F("creator"), name="once"),
        models.UniqueConstraint(fields=["name"], condition=models.Q(name="x"), name="once"),
    ],
)
def test_e003_a_constraint_that_does_not_start_with_the_creator(found, rule):
    class Shelf(BaseTenantModel):
        name = models.TextField()

        class Meta(BaseTenantModel.Meta):
            app_label = "house"
            constraints = [rule]

    assert found() == ["tenancy.E003"]


def test_e003_unique_together(found):
    class Shelf(BaseTenantModel):
        name = models.TextField()

        class Meta(BaseTenantModel.Meta):
            app_label = "house"
            unique_together = [("name", "creator")]

    assert found() == ["tenancy.E003"]


def test_e004_a_manager_that_leaves_the_scope(found):
    class Shelf(BaseTenantModel):
        everything = models.Manager()
        objects = TenantManager()

        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    assert found() == ["tenancy.E004"]


def test_e005_a_global_table_with_a_key_to_a_creators(found):
    class Shelf(BaseTenantModel):
        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    class Lamp(models.Model):
        shelf = models.ForeignKey(Shelf, models.CASCADE)

        class Meta:
            app_label = "house"

    assert found() == ["tenancy.E005"]


def test_e005_a_global_table_with_many_keys_to_a_creators(found):
    class Shelf(BaseTenantModel):
        class Meta(BaseTenantModel.Meta):
            app_label = "house"

    class Lamp(models.Model):
        shelves = models.ManyToManyField(Shelf)

        class Meta:
            app_label = "house"

    assert "tenancy.E005" in found()


def test_every_installed_model_is_looked_at():
    looked_at = set(apps.get_models(include_auto_created=True))
    assert set(checks.tenant_models()) <= looked_at
