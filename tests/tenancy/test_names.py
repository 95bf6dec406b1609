"""Names of what creators share: each carries the creator, and none can be made without one."""

import pytest
from channels.layers import BaseChannelLayer
from django.core.cache import cache
from django.core.exceptions import SuspiciousFileOperation

from shared.tenancy import names
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import NoCreatorInScope, creator_scope

ACME, OTHER = uuid7(), uuid7()
MAKERS = {
    "group": lambda: names.group_name("events"),
    "lock": lambda: names.lock_key("upload", "7"),
    "path": lambda: names.storage_path("documents", uuid7()),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_no_name_without_a_creator(make):
    with pytest.raises(NoCreatorInScope):
        make()


@pytest.mark.parametrize("make", [*list(MAKERS.values())[:2], lambda: names.cache_key("k")])
def test_two_creators_never_mean_the_same_by_one_word(make):
    with creator_scope(ACME):
        first, again = make(), make()
    with creator_scope(OTHER):
        second = make()
    assert first == again != second


def test_what_one_creator_caches_another_cannot_read_and_nobody_can_either():
    with creator_scope(ACME):
        cache.set("plans", "Acme's plans")
    with creator_scope(OTHER):
        assert cache.get("plans") is None
        cache.set("plans", "Mallory's")
        cache.delete("plans")
    assert cache.get("plans") is None
    cache.set("plans", "everybody's")
    with creator_scope(ACME):
        assert cache.get("plans") == "Acme's plans"


def test_a_key_that_spells_anothers_prefix_stays_ones_own():
    with creator_scope(ACME):
        cache.set("plans", "Acme's plans")
    with creator_scope(OTHER):
        assert cache.get(f"creator.{ACME.hex}:1:plans") is None
        assert cache.get(f":creator.{ACME.hex}:1:plans") is None
    assert cache.get(f"creator.{ACME.hex}:1:plans") is None


def test_many_at_once_and_counters_are_prefixed_too():
    with creator_scope(ACME):
        cache.set_many({"a": 1, "b": 2})
        assert cache.incr("a") == 2
    with creator_scope(OTHER):
        assert cache.get_many(["a", "b"]) == {}
        assert cache.add("a", 7)
    with creator_scope(ACME):
        assert cache.get_many(["a", "b"]) == {"a": 2, "b": 2}


def test_a_group_name_is_one_that_channels_accepts():
    with creator_scope(ACME):
        group = names.group_name("events")
    BaseChannelLayer().require_valid_group_name(group)
    assert ACME.hex in group


def test_a_lock_fits_what_postgres_takes_and_parts_do_not_run_together():
    with creator_scope(ACME):
        numbers = {names.lock_key("a", "bc"), names.lock_key("ab", "c"), names.lock_key("abc")}
    numbers.add(names.global_lock_key("abc"))
    assert len(numbers) == 4
    assert all(-(2**63) <= number < 2**63 for number in numbers)


def test_a_path_lies_below_its_creator():
    document = uuid7()
    with creator_scope(ACME):
        assert names.storage_path("documents", document) == f"creators/{ACME.hex}/documents/{document.hex}"


@pytest.mark.parametrize(
    "part", ["", ".", "..", "../x", "a/b", "a\\b", "a b", "a.pdf", "\x00", "ü", "٣", "x\n", "-/..", "~root", "%2e%2e"]
)
def test_a_part_that_could_climb_or_that_a_client_chose_is_refused(part):
    with creator_scope(ACME), pytest.raises(SuspiciousFileOperation):
        names.storage_path("documents", part)


def test_a_stored_path_is_opened_by_its_own_creator_only():
    with creator_scope(ACME):
        path = names.storage_path("documents", "x")
        assert names.own_path(path) == path
    for creator in (OTHER, ACME):
        climbing = f"creators/{ACME.hex}/../{OTHER.hex}/x"
        with creator_scope(creator), pytest.raises(SuspiciousFileOperation):
            names.own_path(path if creator == OTHER else climbing)
    with pytest.raises(NoCreatorInScope):
        names.own_path(path)
