"""Numbers in rooms: whatever Redis loses, repeats or brings late, each listener hears each number once, in order."""

import asyncio
import json
import random

import pytest
from channels.layers import get_channel_layer
from structlog.testing import capture_logs

from shared.exceptions import NotAuthenticated
from shared.tenancy import live, run
from shared.tenancy.events import PAGE
from shared.tenancy.ids import uuid7
from shared.tenancy.live import Listening, rooms
from shared.tenancy.models import Event, EventCounter
from shared.tenancy.names import group_name
from shared.tenancy.run import announce, run_as
from shared.tenancy.scope import creator_scope
from tests.tenancy.gate import until
from tests.tenancy.tools import actor_of

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """Notes the numbers that it hears."""

    def __init__(self, actor, after=None):
        self.listening = Listening(actor, uuid7())
        self.seq, self.heard, self.closed = after, [], None

    async def deliver(self, event):
        self.heard.append((event.seq, "reload") if event.is_reload else event.seq)

    async def turn_out(self, error):
        self.closed = error
        rooms().leave(self)


class Keeper:
    """Admits everybody but those it is told, and can be made to wait."""

    def __init__(self):
        self.refused, self.asked, self.may_answer = [], [], asyncio.Event()
        self.may_answer.set()

    async def still_admitted(self, listening):
        self.asked.append(len(listening))
        await self.may_answer.wait()
        return [None if one in self.refused else one for one in listening]


@pytest.fixture
async def keeper(monkeypatch, two):
    made = Keeper()
    monkeypatch.setattr(live, "doorkeeper", lambda: made)
    yield made
    for room in list(rooms()._rooms.values()):
        for listener in list(room.listeners):
            rooms().leave(listener)
    await asyncio.gather(*rooms()._closing)


@pytest.fixture
def redis_loses(monkeypatch):
    """Nothing that is told arrives while it is set."""
    lost = asyncio.Event()
    group_send = get_channel_layer().group_send

    async def send(group, message):
        if not lost.is_set():
            await group_send(group, message)

    monkeypatch.setattr(get_channel_layer(), "group_send", send, raising=False)
    return lost


async def listen(actor, after=None):
    one = Listener(actor, after)
    await rooms().join(one)
    rooms().begin(one)
    return one


async def tell(actor, count=1):
    def service(actor):
        for _ in range(count):
            announce("told", uuid7())

    await run_as(actor, service)
    await until(lambda: not run._telling)


async def nudge(actor, last, *seqs):
    """What Redis may bring at any time."""
    told = [(seq, json.dumps({"seq": seq})) for seq in seqs]
    with creator_scope(actor.creator_id):
        await get_channel_layer().group_send(group_name("events"), {"type": "hub.events", "last": last, "events": told})


async def caught_up(one):
    (room,) = (room for room in rooms()._rooms.values() if one in room.listeners)
    await until(lambda: one in room._caught_up)
    return room


async def test_without_a_number_one_hears_from_now_on(keeper, two):
    await tell(two.alice, 3)
    one = await listen(two.alice)
    await tell(two.alice, 2)
    await until(lambda: len(one.heard) == 2)

    assert one.heard == [4, 5]


@pytest.mark.parametrize("count", [3, 2 * PAGE + 7])
async def test_with_a_number_one_hears_what_was_missed_first(keeper, two, count):
    await tell(two.alice, count)
    one = await listen(two.alice, 1)
    await tell(two.alice)
    await until(lambda: one.seq == count + 1)

    assert one.heard == list(range(2, count + 2))


async def test_what_redis_lost_is_read_when_the_next_is_told(keeper, two, redis_loses):
    one = await listen(two.alice)
    redis_loses.set()
    await tell(two.alice, 3)
    redis_loses.clear()
    await tell(two.alice)
    await until(lambda: len(one.heard) == 4)

    assert one.heard == [1, 2, 3, 4]


async def test_what_redis_lost_is_found_though_nothing_else_happens(keeper, two, redis_loses, monkeypatch):
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.02)
    one = await listen(two.alice)
    redis_loses.set()
    with capture_logs() as lines:
        await tell(two.alice, PAGE + 3)
        await until(lambda: one.seq == PAGE + 3)

    assert one.heard == list(range(1, PAGE + 4))
    assert sum(line["events"] for line in lines if line["event"] == "events_found") == PAGE + 3


async def test_of_many_events_only_the_number_is_told_and_all_are_heard(keeper, two):
    one = await listen(two.alice)
    await tell(two.alice, run._MOST_TOLD + 1)
    await until(lambda: one.seq == run._MOST_TOLD + 1)

    assert one.heard == list(range(1, run._MOST_TOLD + 2))


async def test_what_comes_twice_or_late_is_heard_once(keeper, two):
    one = await listen(two.alice)
    await tell(two.alice, 3)
    await until(lambda: one.seq == 3)
    for seqs in ((1, 2), (3,), (2,), (1, 2, 3)):
        await nudge(two.alice, seqs[-1], *seqs)
    await tell(two.alice)
    await until(lambda: one.seq == 4)

    assert one.heard == [1, 2, 3, 4]


async def test_what_comes_out_of_order_is_heard_in_order(keeper, two, redis_loses):
    one = await listen(two.alice)
    redis_loses.set()
    await tell(two.alice, 4)
    redis_loses.clear()
    for seq in (3, 4, 2, 1):
        await nudge(two.alice, seq, seq)
    await until(lambda: one.seq == 4)
    await asyncio.sleep(0.05)

    assert one.heard == [1, 2, 3, 4]


async def test_a_number_that_was_never_given_ends_in_nothing(keeper, two):
    one = await listen(two.alice)
    await nudge(two.alice, 99)
    await tell(two.alice)
    await until(lambda: one.heard)

    assert (one.heard, one.closed) == ([1], None)


async def test_whoever_comes_back_with_more_than_the_room_has_heard_of_hears_the_next(keeper, two, redis_loses):
    first = await listen(two.alice)
    redis_loses.set()
    await tell(two.alice, 2)
    redis_loses.clear()
    second = await listen(two.alice, 2)  # from another process, where nothing was lost
    await caught_up(second)
    await tell(two.alice)
    await until(lambda: first.seq == second.seq == 3)

    assert (first.heard, second.heard) == ([1, 2, 3], [3])


@pytest.mark.parametrize("after", [0, 8])
async def test_whoever_cannot_be_told_all_reloads_and_goes_on(keeper, two, settings, after):
    settings.EVENTS_KEPT = 2
    await tell(two.alice, 5)
    with creator_scope(two.alice.creator_id):
        await asyncio.to_thread(in_thread, lambda: Event.objects.filter(seq__lt=4).delete())
    one = await listen(two.alice, after)
    await tell(two.alice)
    await until(lambda: one.seq == 6)

    assert one.heard == [(5, "reload"), 6]


def in_thread(work):
    from django.db import connection

    try:
        return work()
    finally:
        connection.close()


async def test_after_a_backup_was_restored_everybody_reloads_and_goes_on(keeper, two, monkeypatch):
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.05)
    here = await listen(two.alice)
    await tell(two.alice, 5)
    await until(lambda: here.seq == 5)

    def restore():
        Event.objects.filter(seq__gt=2).delete()
        EventCounter.objects.update(last=2)

    with creator_scope(two.alice.creator_id):
        await asyncio.to_thread(in_thread, restore)
    back = await listen(two.alice, 5)
    await until(lambda: (here.seq, back.seq) == (2, 2))
    await tell(two.alice)
    await until(lambda: here.seq == back.seq == 3)

    assert here.heard == [1, 2, 3, 4, 5, (2, "reload"), 3]
    assert back.heard[0] == (2, "reload")
    assert back.heard[-1] == 3


async def test_whoever_comes_during_a_question_is_asked_about_and_misses_nothing(keeper, two):
    first = await listen(two.alice)
    await caught_up(first)
    keeper.may_answer.clear()
    await tell(two.alice)
    await until(lambda: keeper.asked == [1])
    late, refused = await listen(two.alice, 0), await listen(two.alice, 0)
    keeper.refused = [refused.listening]
    keeper.may_answer.set()
    await until(lambda: late.heard and refused.closed)

    assert (first.heard, late.heard, refused.heard) == ([1], [1], [])
    assert isinstance(refused.closed, NotAuthenticated)


async def test_who_may_not_stay_does_not_even_hear_what_was_missed(keeper, two):
    await tell(two.alice, 2)
    one = Listener(two.alice, 0)
    await rooms().join(one)
    keeper.refused = [one.listening]
    rooms().begin(one)
    await until(lambda: one.closed)

    assert one.heard == []


async def test_whoever_leaves_while_it_is_told_what_was_missed_hears_no_more(keeper, two):
    await tell(two.alice, 3)
    one = await listen(two.alice, 0)
    rooms().leave(one)
    rooms().begin(one)
    await asyncio.gather(*rooms()._closing)

    assert one.heard == []
    assert rooms()._rooms == {}


async def test_when_what_was_missed_cannot_be_read_the_listener_is_told_and_the_others_stay(keeper, two, monkeypatch):
    stays = await listen(two.alice)
    await tell(two.alice)
    await until(lambda: stays.seq == 1)

    async def away(*_, **__):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(live, "read_events", away)
        goes = await listen(two.alice, 0)
        await until(lambda: goes.closed)
    await tell(two.alice)
    await until(lambda: stays.seq == 2)

    assert isinstance(goes.closed, ConnectionError)
    assert (stays.heard, stays.closed) == ([1, 2], None)


async def test_two_creators_hear_their_own(keeper, two):
    await tell(two.alice, 2)
    hers, foreign = await listen(two.alice, 0), await listen(two.mallory, 0)
    await tell(two.mallory)
    await until(lambda: foreign.heard and len(hers.heard) == 2)

    assert (hers.heard, foreign.heard) == ([1, 2], [1])


async def test_an_event_is_told_though_whoever_caused_it_has_left(keeper, two):
    from threading import Event as Signal

    begun, go_on = Signal(), Signal()
    one = await listen(two.alice)

    def slow(actor):
        announce("told", uuid7())
        begun.set()
        assert go_on.wait(20)

    writing = asyncio.create_task(run_as(two.alice, slow))
    await asyncio.to_thread(begun.wait, 20)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    go_on.set()
    await until(lambda: one.heard)

    assert writing.cancelled()
    assert one.heard == [1]


async def test_while_events_rain_listeners_that_are_cut_twenty_times_hear_each_once(keeper, two, redis_loses):
    """Some of what is told is lost, too."""
    count, chance = 500, random.Random(4711)

    async def write():
        for _ in range(count):
            (redis_loses.set if chance.random() < 0.2 else redis_loses.clear)()
            await run_as(two.alice, lambda actor: announce("told", uuid7()))
        redis_loses.clear()
        await tell(two.alice)

    async def be_cut():
        heard, cuts = [], 0
        one = await listen(two.alice, 0)
        while one.seq <= count:
            await asyncio.sleep(0.01)
            if cuts < 20 and chance.random() < 0.5:
                cuts += 1
                rooms().leave(one)
                heard += one.heard
                await asyncio.sleep(chance.choice([0, 0.001, 0.02]))
                one = await listen(actor_of(two.alice.creator_id), heard[-1] if heard else 0)
        return heard + one.heard, cuts

    writing = asyncio.create_task(write())
    for heard, cuts in await asyncio.gather(*(be_cut() for _ in range(8))):
        assert heard == list(range(1, count + 2))
        assert cuts == 20
    await writing
