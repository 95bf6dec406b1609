"""The cache: one word, as many values as there are creators."""

from uuid import UUID

import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.cache import cache

from shared.tenancy.scope import creator_scope

# Always the same: they are part of the names of tests, and all workers must collect the same ones.
ACME, UMBRELLA = UUID("0199a000-0000-7000-8000-00000000000a"), UUID("0199a000-0000-7000-8000-00000000000b")


@pytest.fixture
def kept():
    """Acme has put something into the cache, and so has nobody."""
    with creator_scope(ACME):
        cache.set("settings", "Acme's")
    cache.set("settings", "everybody's")


def test_the_same_key_means_something_else_to_each_creator(kept):
    with creator_scope(UMBRELLA):
        assert cache.get("settings") is None
        cache.set("settings", "Umbrella's")

    with creator_scope(ACME):
        assert cache.get("settings") == "Acme's"
    with creator_scope(UMBRELLA):
        assert cache.get("settings") == "Umbrella's"


def test_outside_a_scope_no_creators_value_is_found_and_inside_none_of_nobodys(kept):
    assert cache.get("settings") == "everybody's"
    with creator_scope(UMBRELLA):
        assert cache.get("settings") is None
    cache.delete("settings")
    with creator_scope(UMBRELLA):
        assert cache.get("settings") is None


@pytest.mark.parametrize(
    "operation",
    [
        lambda: cache.get_many(["settings"]),
        lambda: cache.has_key("settings"),
        lambda: cache.touch("settings", 1),
        lambda: cache.delete("settings"),
        lambda: cache.delete_many(["settings"]),
        lambda: async_to_sync(cache.aget)("settings"),
        lambda: cache.ttl("settings"),
    ],
    ids=["get_many", "has_key", "touch", "delete", "delete_many", "aget", "ttl"],
)
def test_no_operation_of_another_creator_reaches_acmes_value(kept, operation):
    with creator_scope(UMBRELLA):
        assert not operation()

    with creator_scope(ACME):
        assert cache.get("settings") == "Acme's"
        assert cache.ttl("settings") > 60


def test_counting_and_adding_are_apart_too(kept):
    with creator_scope(ACME):
        cache.set("count", 1)
    with creator_scope(UMBRELLA):
        assert cache.add("count", 100)
        assert cache.incr("count") == 101
        assert cache.get_or_set("settings", "mine") == "mine"

    with creator_scope(ACME):
        assert cache.get("count") == 1
        assert cache.get("settings") == "Acme's"


@pytest.mark.parametrize(
    "named", [f"creator.{ACME.hex}:1:settings", f":creator.{ACME.hex}:1:settings", "*", "settings\n"]
)
def test_a_key_that_names_another_creator_is_only_a_word(kept, named):
    assert cache.get(named) is None
    with creator_scope(UMBRELLA):
        assert cache.get(named) is None


def test_a_pattern_does_not_reach_further_than_its_creator(kept):
    with creator_scope(UMBRELLA):
        cache.set("settings", "Umbrella's")
        assert cache.delete_pattern("*") == 1

    with creator_scope(ACME):
        assert cache.get("settings") == "Acme's"
    assert cache.get("settings") == "everybody's"


def test_redis_itself_shows_whose_each_value_is(kept):
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        names = sorted(key.decode() for key in client.keys("*settings*"))

    assert names == [f"cache:creator.{ACME.hex}:1:settings", "cache:global:1:settings"]
