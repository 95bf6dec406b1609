"""A creator's events: numbered in the order of commits, stored with what they tell of, trimmed, and read by number."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import Creator
from shared.tenancy import models
from shared.tenancy.events import PAGE, EventNumberInvalid, event_number, newest_seq, read_events
from shared.tenancy.ids import uuid7
from shared.tenancy.run import announce, run_as
from shared.tenancy.scope import creator_scope
from tests.tenancy.test_revisions import until_they_wait
from tests.tenancy.tools import bind, connect, left_behind

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20


def do(actor, work):
    return asyncio.run(run_as(actor, work))


def tell(actor, count=1, **data):
    """A service that announces so many events."""

    def service(actor):
        for number in range(count):
            announce("told", uuid7(), **({"number": number} | data))

    do(actor, service)


def stored(actor):
    with creator_scope(actor.creator_id):
        return list(models.Event.objects.order_by("seq").values_list("seq", flat=True))


def read(actor, after):
    return asyncio.run(read_events(actor.creator_id, after=after))


def test_each_creator_counts_from_one(two):
    tell(two.alice, 3)
    tell(two.mallory)
    tell(two.alice)

    assert (stored(two.alice), stored(two.mallory)) == ([1, 2, 3, 4], [1])
    assert asyncio.run(newest_seq(two.alice.creator_id)) == 4
    assert asyncio.run(newest_seq(two.mallory.creator_id)) == 1
    assert left_behind() == ""


def test_what_is_read_is_what_was_announced(two):
    subject = uuid7()
    do(two.alice, lambda actor: announce("document.changed", subject, status="ready", done=3, total=None))

    ((seq, text, is_reload),) = read(two.alice, 0)

    told = json.loads(text)
    at = told.pop("at")
    assert told == {
        "seq": 1,
        "type": "document.changed",
        "id": str(subject),
        "data": {"status": "ready", "done": 3, "total": None},
    }
    assert at.endswith("Z")
    assert (seq, is_reload, "\n" in text) == (1, False, False)


def test_a_service_that_fails_leaves_no_gap(two):
    def fails(actor):
        announce("told", uuid7())
        raise ZeroDivisionError

    tell(two.alice)
    with pytest.raises(ZeroDivisionError):
        do(two.alice, fails)
    tell(two.alice)

    assert stored(two.alice) == [1, 2]


def test_a_commit_that_fails_leaves_no_gap(two, house):
    def dangles(actor):
        announce("told", uuid7())
        house.Chair.objects.create(room_id=uuid7(), label="red")

    with pytest.raises(IntegrityError):
        do(two.alice, dangles)
    tell(two.alice)

    assert stored(two.alice) == [1]


def test_who_commits_first_has_the_lower_number_whoever_began_first(two):
    """The slow one announces first and commits last."""
    announced, go_on = Event(), Event()

    def slow(actor):
        announce("slow", uuid7())
        announced.set()
        assert go_on.wait(SECONDS)

    with ThreadPoolExecutor(1) as pool:
        slowly = pool.submit(do, two.alice, slow)
        assert announced.wait(SECONDS)
        tell(two.alice)
        go_on.set()
        slowly.result(SECONDS)

    assert [json.loads(text)["type"] for _, text, _ in read(two.alice, 0)] == ["told", "slow"]


def test_many_that_race_on_one_creator_leave_no_gap_and_nothing_is_seen_before_what_is_below_it(two):
    together = Barrier(5)

    def race():
        together.wait(SECONDS)
        for _ in range(20):
            tell(two.alice, 2)

    seen = []
    with ThreadPoolExecutor(4) as pool:
        racing = [pool.submit(race) for _ in range(4)]
        together.wait(SECONDS)
        while not all(one.done() for one in racing):
            seen.append(stored(two.alice))
        for one in racing:
            one.result()

    assert stored(two.alice) == list(range(1, 161))
    assert [numbers for numbers in seen if numbers != list(range(1, len(numbers) + 1))] == []


def test_who_waits_for_a_row_at_its_end_does_not_hold_the_counter(two, house):
    """The check of a deferred key waits for the room, whose holder is still to count."""
    room = do(two.alice, lambda actor: house.Room.objects.create(name="hall"))
    locked, go_on = Event(), Event()

    def holds(actor):
        house.Room.objects.lock(room.id)
        announce("told", uuid7())
        locked.set()
        assert go_on.wait(SECONDS)

    def needs(actor):
        house.Chair.objects.create(room=room, label="red")
        announce("told", uuid7())

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(do, two.alice, holds)
        assert locked.wait(SECONDS)
        waiter = pool.submit(do, two.alice, needs)
        until_they_wait([waiter])
        go_on.set()
        holder.result(SECONDS)
        waiter.result(SECONDS)

    assert stored(two.alice) == [1, 2]


def test_one_creators_counter_keeps_no_other_waiting(two):
    tell(two.alice)
    with connect() as other:
        bind(other, two.alice.creator_id)
        other.execute("SELECT last FROM tenancy_eventcounter FOR UPDATE")
        tell(two.mallory)

    assert stored(two.mallory) == [1]


def test_old_ones_are_trimmed_and_another_creators_stay(two, settings):
    settings.EVENTS_KEPT = 150
    tell(two.mallory, 260)
    for _ in range(4):
        tell(two.alice, 110)

    assert stored(two.alice) == list(range(291, 441))
    assert stored(two.mallory) == list(range(111, 261))


def test_whoever_is_too_far_behind_is_told_to_reload(two, settings):
    settings.EVENTS_KEPT = 100
    tell(two.alice, 300)

    assert [event.seq for event in read(two.alice, 200)] == list(range(201, 301))
    ((seq, text, is_reload),) = read(two.alice, 199)
    assert (seq, is_reload) == (300, True)
    told = json.loads(text)
    assert (told["seq"], told["type"], told["id"], told["data"]) == (300, "reload", None, {})
    assert read(two.alice, 300) == []


@pytest.mark.parametrize("after", [3, 2**63 - 1])
def test_whoever_is_ahead_is_told_to_reload(two, after):
    """As after a backup was restored."""
    tell(two.alice, 2)

    assert [(event.seq, event.is_reload) for event in read(two.alice, after)] == [(2, True)]


def test_without_any_event_there_is_nothing_to_read(two):
    assert read(two.alice, 0) == []
    assert [(event.seq, event.is_reload) for event in read(two.alice, 7)] == [(0, True)]


def test_many_are_read_a_page_at_a_time(two):
    tell(two.alice, PAGE + 1)

    assert [event.seq for event in read(two.alice, 0)] == list(range(1, PAGE + 1))
    assert [event.seq for event in read(two.alice, PAGE)] == [PAGE + 1]


def test_another_creators_numbers_say_nothing(two):
    tell(two.alice, 5)
    tell(two.mallory)

    assert [(event.seq, event.is_reload) for event in read(two.mallory, 3)] == [(1, True)]


def test_a_creator_can_be_erased_with_its_events(two):
    tell(two.alice)
    with creator_scope(two.alice.creator_id), transaction.atomic():
        for model in (models.Event, models.EventCounter, models.Revision):
            model.objects.all().delete()
        Creator.objects.get(id=two.alice.creator_id).delete()

    assert [creator.id for creator in Creator.objects.all()] == [two.mallory.creator_id]


@pytest.mark.django_db
def test_storing_leaves_deferred_keys_deferred_in_a_test_that_goes_on(two, house, serve):
    serve(two.alice, lambda actor: announce("told", uuid7()))
    with creator_scope(two.alice.creator_id), connection.cursor() as cursor:
        chair = house.Chair(room=house.Room(name="later"), label="red")
        chair.room_id = chair.room.id
        chair.save(force_insert=True)
        chair.room.save(force_insert=True)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_what_is_no_json_is_refused_where_it_is_announced(two):
    with pytest.raises(TypeError):
        tell(two.alice, thing=object())
    assert stored(two.alice) == []


@pytest.mark.parametrize(("value", "number"), [(None, None), ("0", 0), (7, 7), ("41", 41), (str(2**63 - 1), 2**63 - 1)])
def test_numbers_as_clients_say_them(value, number):
    assert event_number(value) == number


HOSTILE = [
    "",
    " ",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "1_0",
    "x",
    "٣",
    "\x00",
    "9" * 5000,
    str(2**63),
    -1,
    2**63,
    1.5,
    True,
    [1],
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: str(value)[:10])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(EventNumberInvalid):
        event_number(value)
