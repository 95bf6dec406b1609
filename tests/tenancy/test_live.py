"""Rooms: one subscription and one question for all of a creator's sockets, and nobody is left in a silent one."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest
import redis
from channels.layers import get_channel_layer
from django.conf import settings
from structlog.testing import capture_logs

from apps.accounts.models import Creator
from shared.exceptions import NotAuthenticated, ServiceUnavailable
from shared.tenancy import live
from shared.tenancy.ids import uuid7
from shared.tenancy.live import Listening, ReaderTooSlow, rooms
from shared.tenancy.names import group_name
from shared.tenancy.run import announce, run_as
from shared.tenancy.scope import creator_scope
from tests.tenancy.gate import until
from tests.tenancy.tools import actor_of

pytestmark = pytest.mark.django_db(transaction=True)
ALICES, MALLORYS = uuid7(), uuid7()


@pytest.fixture(autouse=True)
def creators(transactional_db):
    """They have the same ids in every test."""
    for creator_id in (ALICES, MALLORYS):
        Creator.objects.create(id=creator_id, display_name="Somebody's")


class Listener:
    """A socket that notes what it hears, or takes nothing."""

    def __init__(self, creator=ALICES, *, takes=True):
        self.listening = Listening(actor_of(creator), uuid7())
        self.seq = None
        self.takes, self.heard, self.closed, self.others = takes, [], None, ()

    async def deliver(self, event):
        if not self.takes:
            await asyncio.Event().wait()
        self.heard.append(json.loads(event.text)["data"]["number"])

    async def turn_out(self, error):
        self.closed = error
        self.heard_by_others = [list(other.heard) for other in self.others]
        rooms().leave(self)


class Keeper:
    """A doorkeeper that refuses whom it is told, and can be made to wait or to fail."""

    def __init__(self):
        self.asked, self.refused, self.error, self.forgets = [], [], None, False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def still_admitted(self, listening):
        self.asked.append(len(listening))
        await self.may_answer.wait()
        if self.error:
            raise self.error
        if self.forgets:
            return []
        return [None if one in self.refused else one for one in listening]


@pytest.fixture
async def keeper(monkeypatch):
    made = Keeper()
    monkeypatch.setattr(live, "doorkeeper", lambda: made)
    yield made
    for room in list(rooms()._rooms.values()):
        for listener in list(room.listeners):
            rooms().leave(listener)
    await asyncio.gather(*rooms()._closing)
    assert get_channel_layer()._get_layer().channels == {}  # nothing is kept of a room


@pytest.fixture
def subscribed(monkeypatch):
    """The groups that were joined."""
    joined, group_add = [], get_channel_layer().group_add

    async def noting(group, channel):
        joined.append(group)
        await group_add(group, channel)

    monkeypatch.setattr(get_channel_layer(), "group_add", noting, raising=False)
    return joined


async def joined(*listeners):
    await asyncio.gather(*(rooms().join(listener) for listener in listeners))
    for listener in listeners:
        rooms().begin(listener)
    await until(lambda: all(room.listeners == room._caught_up for room in rooms()._rooms.values()))
    return listeners


async def send(message, creator=ALICES):
    with creator_scope(creator):
        await get_channel_layer().group_send(group_name("events"), message)


def subscriptions(*channels):
    """How many connections Redis passes on to what is sent to these."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return sum(count for _, count in client.pubsub_numsub(*channels))


def channel_of_news():
    with creator_scope(ALICES):
        return get_channel_layer()._get_group_channel_name(group_name("events"))


async def tell(*numbers, creator=ALICES):
    for number in numbers:
        await run_as(actor_of(creator), lambda actor, number=number: announce("told", uuid7(), number=number))


async def test_all_of_a_creators_sockets_share_a_subscription_and_a_question(keeper, subscribed):
    alices = await joined(*(Listener() for _ in range(5)))
    (mallorys,) = await joined(Listener(MALLORYS))
    await tell(1)
    await tell(2, creator=MALLORYS)
    await until(lambda: all(one.heard for one in (*alices, mallorys)))

    assert len(subscribed) == 2
    assert sorted(keeper.asked) == [1, 5]
    assert [one.heard for one in alices] == [[1]] * 5
    assert mallorys.heard == [2]


async def test_what_comes_during_a_question_is_asked_about_once_and_passed_on_in_order(keeper):
    (one,) = await joined(Listener())
    keeper.may_answer.clear()
    await tell(1)
    await until(lambda: keeper.asked)
    await tell(2, 3, 4)
    (room,) = rooms()._rooms.values()
    await until(lambda: room._nudges.qsize() == 3)
    keeper.may_answer.set()

    await until(lambda: one.heard == [1, 2, 3, 4])
    assert keeper.asked == [1, 1]


async def test_many_are_asked_about_in_parts(keeper, monkeypatch):
    monkeypatch.setattr(live, "_AT_ONCE", 2)
    everybody = await joined(*(Listener() for _ in range(5)))
    await tell(1)
    await until(lambda: all(one.heard for one in everybody))

    assert keeper.asked == [2, 2, 1]


async def test_who_may_not_stay_hears_nothing_more(keeper):
    stays, goes = await joined(Listener(), Listener())
    keeper.refused = [goes.listening]
    await tell(1)
    await until(lambda: stays.heard)

    assert (goes.heard, type(goes.closed)) == ([], NotAuthenticated)
    assert stays.closed is None


async def test_who_stays_is_asked_about_next_with_the_proof_of_now(keeper, monkeypatch):
    async def renewed(listening):
        return [replace(one, proof=one.proof + 1) for one in listening]

    monkeypatch.setattr(keeper, "still_admitted", renewed)
    (one,) = await joined(Listener())
    one.listening = replace(one.listening, proof=0)
    for number in (1, 2):
        await tell(number)
        await until(lambda number=number: number in one.heard)

    assert one.listening.proof == 2


async def test_when_nobody_can_say_who_may_stay_all_are_closed_with_the_reason(keeper):
    everybody = await joined(Listener(), Listener())
    keeper.error = ServiceUnavailable()
    await tell(1)
    await until(lambda: all(one.closed for one in everybody))

    assert [one.closed for one in everybody] == [keeper.error] * 2
    assert [one.heard for one in everybody] == [[], []]
    assert rooms()._rooms == {}


async def test_one_that_takes_nothing_is_closed_and_the_others_have_heard_by_then(keeper, monkeypatch):
    monkeypatch.setattr(live, "SLOWEST_READER_SECONDS", 0.1)
    stuck, *others = await joined(Listener(takes=False), *(Listener() for _ in range(5)))
    stuck.others = others
    await tell(1)
    await until(lambda: stuck.closed)
    await tell(2)
    await until(lambda: all(one.heard == [1, 2] for one in others))

    assert isinstance(stuck.closed, ReaderTooSlow)
    assert stuck.heard_by_others == [[1]] * 5


async def test_one_that_fails_at_its_news_is_closed_alone(keeper, monkeypatch):
    fails, stays = await joined(Listener(), Listener())
    monkeypatch.setattr(fails, "deliver", None)  # not even to be called
    await tell(1, 2)
    await until(lambda: fails.closed and stays.heard == [1, 2])

    assert isinstance(fails.closed, ReaderTooSlow)
    assert stays.closed is None


async def test_one_whose_sending_is_cancelled_does_not_silence_the_room(keeper, monkeypatch):
    async def cancelled(event):
        raise asyncio.CancelledError

    bad, other = await joined(Listener(), Listener())
    monkeypatch.setattr(bad, "deliver", cancelled)
    await tell(1)
    await until(lambda: bad.closed)
    await tell(2)
    await until(lambda: other.heard == [1, 2])


async def test_those_who_may_not_stay_are_closed_together(keeper, monkeypatch):
    refused = await joined(*(Listener() for _ in range(3)))
    all_are_closing = asyncio.Barrier(3)

    async def wait_for_the_others(close, error):
        await all_are_closing.wait()
        await close(error)

    for one in refused:
        monkeypatch.setattr(one, "turn_out", partial(wait_for_the_others, one.turn_out))
    keeper.refused = [one.listening for one in refused]
    await tell(1)
    await until(lambda: all(one.closed for one in refused))


async def closes_never(error):
    await asyncio.Event().wait()


async def fails_to_close(error):
    raise ConnectionError


@pytest.mark.parametrize("turn_out", [closes_never, fails_to_close])
async def test_one_that_cannot_even_be_closed_keeps_nobody_from_the_news(keeper, monkeypatch, turn_out):
    monkeypatch.setattr(live, "_CLOSE_SECONDS", 0.05)
    goes, stays, goes_too = await joined(Listener(), Listener(), Listener())
    monkeypatch.setattr(goes, "turn_out", turn_out)
    keeper.refused = [goes.listening, goes_too.listening]
    await tell(1)
    await until(lambda: stays.heard == [1] and goes_too.closed)


async def cannot_hear(keeper):
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.publish(channel_of_news(), b"\xc1")  # no message of the channel layer


async def cannot_pass_on(keeper):
    keeper.forgets = True
    await tell(1)


@pytest.mark.parametrize("breaks", [cannot_hear, cannot_pass_on])
async def test_a_room_that_cannot_go_on_closes_its_sockets(keeper, breaks):
    everybody = await joined(Listener(), Listener())
    with capture_logs() as logs:
        await breaks(keeper)
        await until(lambda: all(one.closed for one in everybody))

    assert [line["event"] for line in logs] == ["room_failed"]
    assert [one.heard for one in everybody] == [[], []]
    assert rooms()._rooms == {}


async def test_the_last_to_leave_ends_the_subscription_and_the_next_begins_another(keeper, subscribed):
    first, last = await joined(Listener(), Listener())
    (room,) = rooms()._rooms.values()
    channels = channel_of_news(), room._channel
    rooms().leave(first)
    assert rooms()._closing == set()
    assert subscriptions(*channels) == 2
    rooms().leave(last)
    await asyncio.gather(*rooms()._closing)
    assert (rooms()._rooms, rooms()._checking) == ({}, None)
    await until(lambda: subscriptions(*channels) == 0)

    (next_one,) = await joined(Listener())
    await tell(1)
    await until(lambda: next_one.heard == [1])
    assert (first.heard, last.heard) == ([], [])
    assert len(subscribed) == 2


async def test_a_subscription_that_fails_leaves_nobody_in_a_room_and_the_next_may_try_again(keeper, monkeypatch):
    async def away(group, channel):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(get_channel_layer(), "group_add", away, raising=False)
        everybody = (rooms().join(Listener()) for _ in range(2))
        failed = await asyncio.gather(*everybody, return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 2
    assert (rooms()._rooms, rooms()._checking) == ({}, None)

    (one,) = await joined(Listener())
    await tell(1)
    await until(lambda: one.heard == [1])


async def test_one_that_goes_while_the_room_opens_leaves_it_to_the_others(keeper):
    goes, stays = Listener(), Listener()
    joining = [asyncio.create_task(rooms().join(one)) for one in (goes, stays)]
    await asyncio.sleep(0)  # both wait for the subscription
    joining[0].cancel()
    await asyncio.gather(*joining, return_exceptions=True)
    rooms().begin(stays)
    await tell(1)
    await until(lambda: stays.heard == [1])

    assert joining[0].cancelled()
    assert goes.heard == []


async def test_an_event_that_cannot_be_read_is_logged_and_the_next_one_heard(keeper):
    (one,) = await joined(Listener())
    with capture_logs() as logs:
        await send({"type": "hub.events"})
        await tell(1)
        await until(lambda: one.heard == [1])

    assert [line["event"] for line in logs] == ["event_unreadable"]


async def test_silent_sockets_are_asked_about_too(keeper, monkeypatch):
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.01)
    stays, goes = await joined(Listener(), Listener(MALLORYS))
    await until(lambda: len(keeper.asked) > 1)  # again and again
    keeper.refused = [goes.listening]
    await until(lambda: goes.closed)

    assert keeper.asked[:2] == [2, 2]  # both rooms in one question
    assert isinstance(goes.closed, NotAuthenticated)
    assert stays.closed is None


async def test_a_check_of_silent_sockets_that_fails_is_logged_and_made_again(keeper, monkeypatch):
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.01)
    (goes,) = await joined(Listener())
    with capture_logs() as logs:
        keeper.forgets = True
        await until(lambda: logs)
        keeper.forgets, keeper.refused = False, [goes.listening]
        await until(lambda: goes.closed)

    assert {line["event"] for line in logs} == {"recheck_failed"}
    assert isinstance(goes.closed, NotAuthenticated)


def test_rooms_of_a_loop_that_has_ended_are_forgotten():
    async def own():
        return rooms()

    first, second = asyncio.run(own()), asyncio.run(own())

    assert first is not second
    assert first not in live._by_loop.values()


async def test_a_redis_that_says_nothing_is_unavailable_and_leaves_nobody_waiting(keeper, monkeypatch):
    async def silent(group, channel):
        await asyncio.Event().wait()

    monkeypatch.setattr(live, "_SUBSCRIBE_SECONDS", 0.05)
    monkeypatch.setattr(get_channel_layer(), "group_add", silent, raising=False)
    with pytest.raises(ServiceUnavailable):
        await joined(Listener())

    await asyncio.gather(*rooms()._closing)
    assert rooms()._rooms == {}
