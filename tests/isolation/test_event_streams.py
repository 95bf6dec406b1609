"""Events by number as a stream: whoever comes back misses nothing, and hears nobody else's."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async

from config.api import api
from shared.tenancy import live, streams
from shared.tenancy.live import rooms
from tests.isolation.test_event_sockets import tell_often
from tests.isolation.test_sockets import bearer_of, run, sign_out, tell
from tests.lean.asgi import Exchange
from tests.tenancy.gate import until

pytestmark = pytest.mark.django_db(transaction=True)


class Stream(Exchange):
    """A client of the stream."""

    def events(self):
        frames = self.body.decode().split("\n\n")[:-1]
        told = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]
        for frame in told:
            if "data" in frame:
                assert frame["id"] == str(json.loads(frame["data"])["seq"])
        return [json.loads(frame["data"]) for frame in told if "data" in frame]

    def numbers(self):
        return [event["seq"] for event in self.events()]


def stream(person, query="", *headers):
    one = Stream("/api/v1/events", headers=(bearer_of(person), *headers))
    scope = one.scope
    one.scope = lambda: {**scope(), "query_string": query.encode()}
    return one


def go(one):
    from config.asgi import application

    return asyncio.create_task(one.through(application))


async def leave(one, going):
    one.leave()
    await asyncio.wait_for(going, 5)
    assert rooms()._rooms == {}


@pytest.mark.parametrize(
    ("query", "headers"),
    [("after=1", ()), ("", ((b"last-event-id", b"1"),)), ("after=0", ((b"last-event-id", b"1"),))],
)
def test_a_stream_begins_with_what_was_missed_and_goes_on(alice, query, headers):
    async def story():
        await tell_often(alice, 3)
        one = stream(alice, query, *headers)
        going = go(one)
        await until(lambda: len(one.numbers()) == 2)
        told = await tell(alice, status="ready")
        await until(lambda: len(one.numbers()) == 3)
        await leave(one, going)
        assert one.numbers() == [2, 3, 4]
        assert set(one.events()[-1]) == {"seq", "type", "id", "at", "data"}
        assert (one.events()[-1]["id"], one.events()[-1]["data"]) == (told, {"status": "ready"})
        return one

    one = run(story)
    assert one.status == 200
    assert one.answered["content-type"] == "text/event-stream"
    assert one.answered["cache-control"] == "no-store"
    assert one.answered["x-accel-buffering"] == "no"
    assert "ratelimit" in one.answered
    assert one.body.startswith(b"retry: 2000\n")


def test_a_stream_without_a_number_says_where_it_begins_and_hears_what_happens(alice):
    async def story():
        await tell_often(alice, 2)
        one = stream(alice)
        going = go(one)
        await until(lambda: one.body)
        await tell(alice)
        await until(one.numbers)
        await leave(one, going)
        return one

    one = run(story)
    assert one.body.startswith(b"retry: 2000\nid: 2\n\n")
    assert one.numbers() == [3]


def test_a_stream_of_another_creators_hears_nothing_of_it(alice, mallory):
    async def story():
        await tell_often(alice, 3)
        one = stream(mallory, "after=0")
        going = go(one)
        await until(lambda: one.body)
        await tell(alice)
        told = await tell(mallory)
        await until(one.numbers)
        await leave(one, going)
        return one.events(), told

    events, told = run(story)
    assert [(event["seq"], event["id"]) for event in events] == [(1, told)]


def test_a_stream_ends_with_its_sign_in_and_does_not_begin_again(alice):
    async def story():
        one = stream(alice)
        going = go(one)
        await until(lambda: one.body)
        await sync_to_async(sign_out)(alice)
        await tell(alice)
        await asyncio.wait_for(going, 5)
        again = stream(alice, "after=0")
        await go(again)
        return one, again

    one, again = run(story)
    assert one.numbers() == []
    assert (again.status, json.loads(again.body)["code"]) == (401, "token_invalid")


def test_a_quiet_stream_is_kept_open_by_comments_and_asked_about(alice, monkeypatch):
    monkeypatch.setattr(streams, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.05)

    async def story():
        one = stream(alice)
        going = go(one)
        await until(lambda: one.body.count(b": still here\n\n") > 2)
        await sync_to_async(sign_out)(alice)
        await asyncio.wait_for(going, 5)
        assert rooms()._rooms == {}

    run(story)


def test_a_stream_that_nobody_takes_is_ended_and_holds_up_nobody(alice, monkeypatch):
    monkeypatch.setattr(live, "SLOWEST_READER_SECONDS", 0.2)
    monkeypatch.setattr(streams, "_MOST_WAITING", 2)

    async def story():
        slow, quick = stream(alice), stream(alice)
        taken = asyncio.Event()
        send = slow._send

        async def slowly(message):
            await send(message)
            if message.get("body"):
                await taken.wait()

        slow._send = slowly
        going = [go(slow), go(quick)]
        await until(lambda: slow.body and quick.body)
        await tell_often(alice, 5)
        (room,) = rooms()._rooms.values()
        await until(lambda: len(quick.numbers()) == 5 and len(room.listeners) == 1)
        taken.set()
        await asyncio.wait_for(going[0], 5)
        assert len(slow.numbers()) < 5
        await leave(quick, going[1])

    run(story)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", f"after={2**63}", "after=1.5"])
def test_a_stream_from_what_is_no_number_is_refused(alice, query):
    async def story():
        one = stream(alice, query)
        await go(one)
        return one.status, json.loads(one.body)["code"]

    assert run(story) == (422, "validation_failed")


def test_the_description_of_the_api_tells_of_the_stream():
    told = api.get_openapi_schema()["paths"]["/api/v1/events"]["get"]

    assert list(told["responses"][200]["content"]) == ["text/event-stream"]
    assert {(one["name"], one["in"]) for one in told["parameters"]} == {("after", "query"), ("Last-Event-ID", "header")}
    assert "reload" in told["description"]
