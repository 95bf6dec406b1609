"""Two creators, and the kernel's own tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from apps.accounts.models import Creator
from shared.tenancy.actor import Actor
from tests.tenancy.rows import Stage
from tests.tenancy.tools import actor_of, installed, tables_of


@dataclass(frozen=True)
class Two:
    """Alice, who owns Acme, and Mallory, who owns another creator."""

    alice: Actor
    mallory: Actor


@pytest.fixture
def two(request: pytest.FixtureRequest) -> Two:
    """Two creators; committed when the test uses threads, rolled back otherwise."""
    marker = request.node.get_closest_marker("django_db")
    transactional = marker is not None and marker.kwargs.get("transaction", False)
    request.getfixturevalue("transactional_db" if transactional else "db")
    acme, other = (Creator.objects.create(display_name=name) for name in ("Acme", "Mallory's"))
    return Two(actor_of(acme.id), actor_of(other.id))


@pytest.fixture(scope="module")
def house(django_db_setup: None, django_db_blocker: Any) -> Iterator[ModuleType]:
    """The tables of `tests.tenancy.house`, made by the schema editor and dropped after the module."""
    from tests.tenancy import house as package
    from tests.tenancy.house import models

    with django_db_blocker.unblock(), installed("tests.tenancy.house", "house", package), tables_of(*models.MODELS):
        yield models


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Both creators with a row in every tenant table, committed, and cleared after the module."""
    with django_db_blocker.unblock():
        made = Stage()
        yield made
        made.clear()
