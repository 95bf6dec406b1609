"""Row ids: RFC 9562's version 7, in order, also within a millisecond and when the clock steps back."""

import itertools
import threading
from uuid import RFC_4122

from shared.tenancy import ids
from shared.tenancy.ids import uuid7


def test_ids_have_the_version_and_the_variant_of_the_rfc():
    made = [uuid7() for _ in range(1000)]
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}


def test_later_ids_sort_after_earlier_ones():
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_the_first_48_bits_are_the_time_in_milliseconds(monkeypatch):
    monkeypatch.setattr(ids, "_latest", 0)
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_123_456_789)
    assert uuid7().int >> 80 == 1_700_000_000_123


def test_a_clock_that_steps_back_does_not_step_ids_back(monkeypatch):
    before = uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_000_000)
    assert uuid7() > before


def test_a_neighbours_id_cannot_be_guessed_by_counting(monkeypatch):
    monkeypatch.setattr(ids, "_latest", 0)
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made = [uuid7().int for _ in range(200)]
    steps = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert len(set(steps)) == len(steps)
    assert min(steps) > 2**20


def test_threads_never_make_the_same_id():
    made: list[list] = [[] for _ in range(8)]
    threads = [threading.Thread(target=lambda out=out: out.extend(uuid7() for _ in range(2000))) for out in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for part in made for each in part}) == 16_000
