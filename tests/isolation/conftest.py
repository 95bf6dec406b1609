"""Acme and Umbrella, each with rows and files of its own."""

import pytest

from tests.isolation.operations import nowhere
from tests.isolation.world import build_acme, build_umbrella


def _with_credentials(world, person):
    world.things |= {"email": person.email, "password": person.password, "refresh_token": person.tokens.refresh_token}
    return world


@pytest.fixture
def acme_world(alice):
    """Everything that Alice's creator has."""
    return _with_credentials(build_acme(alice.actor, alice.email), alice)


@pytest.fixture
def umbrella_world(mallory):
    """Something of Mallory's own."""
    return _with_credentials(build_umbrella(mallory.actor), mallory)


@pytest.fixture
def nothing():
    """Ids that name nothing."""
    return nowhere()
