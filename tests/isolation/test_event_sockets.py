"""Events by number over sockets: whoever comes back, signed in whichever way, misses nothing and hears only its own."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async

from shared.tenancy import consumers
from shared.tenancy.live import rooms
from tests.isolation.sockets import Socket
from tests.isolation.test_sockets import HOST, bearer_of, close_code, cookie_of, hears_nothing, run, tell

pytestmark = pytest.mark.django_db(transaction=True)


def socket(path="/ws", headers=(), subprotocols=()):
    from config.asgi import application  # reads the catalogue, so not before there is a database

    return Socket(application, path, [HOST, *headers], subprotocols)


async def opened(*args, **kwargs):
    one = socket(*args, **kwargs)
    assert await one.connect() == (True, None)
    return one


async def numbers(one, count):
    return [(await one.receive_event())["seq"] for _ in range(count)]


async def tell_often(person, count):
    return [await tell(person, number=number) for number in range(count)]


def greeting(person, **more):
    return json.dumps({"type": "authenticate", "token": person.tokens.access_token, **more})


async def by_cookie(person, query=""):
    one = socket(f"/ws{query}", [await sync_to_async(cookie_of)(person)])
    await one.send_input({"type": "websocket.connect"})
    return one


async def by_header(person, query=""):
    one = socket(f"/ws{query}", [bearer_of(person)])
    await one.send_input({"type": "websocket.connect"})
    return one


async def by_subprotocol(person, query=""):
    one = socket(f"/ws{query}", subprotocols=["hub.v1", f"bearer.{person.tokens.access_token}"])
    await one.send_input({"type": "websocket.connect"})
    return one


async def by_first_message(person, query=""):
    one = socket(f"/ws{query}")
    await one.send_input({"type": "websocket.connect"})
    await one.send_text(greeting(person))
    return one


async def by_first_message_alone(person, query=""):
    one = socket()
    await one.send_input({"type": "websocket.connect"})
    after = query.removeprefix("?after=")
    await one.send_text(greeting(person, **({"after": int(after)} if after else {})))
    return one


WAYS = (by_cookie, by_header, by_subprotocol, by_first_message, by_first_message_alone)


@pytest.mark.parametrize("way", WAYS)
def test_whoever_comes_back_hears_what_was_missed_and_then_what_happens(alice, way):
    async def story():
        await tell_often(alice, 3)
        one = await way(alice, "?after=1")
        accepted = await one.receive_output(timeout=5)
        assert accepted["type"] == "websocket.accept"
        assert accepted["subprotocol"] == ("hub.v1" if way is by_subprotocol else None)
        assert await numbers(one, 2) == [2, 3]
        await tell(alice)
        assert await numbers(one, 1) == [4]
        await one.disconnect()

    run(story)


@pytest.mark.parametrize("way", WAYS)
def test_no_number_replays_another_creators_events(alice, mallory, way):
    async def story():
        await tell_often(alice, 3)
        foreign = await way(mallory, "?after=0")
        assert (await foreign.receive_output(timeout=5))["type"] == "websocket.accept"
        assert await hears_nothing(foreign)
        told = await tell(mallory)
        event = await foreign.receive_event()
        assert (event["seq"], event["id"]) == (1, told)
        await foreign.disconnect()

    run(story)


def test_a_number_of_another_creators_means_reload(alice, mallory):
    async def story():
        await tell_often(alice, 3)
        foreign = await by_header(mallory, "?after=3")
        await foreign.receive_output(timeout=5)
        event = await foreign.receive_event()
        assert (event["seq"], event["type"], event["id"], event["data"]) == (0, "reload", None, {})
        await foreign.disconnect()

    run(story)


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "eyJhbGciOiJub25lIn0.e30."])
def test_a_bad_token_among_the_subprotocols_is_closed_with_4401_even_beside_a_good_cookie(alice, token):
    async def story():
        headers = [await sync_to_async(cookie_of)(alice)]
        return await close_code(socket(headers=headers, subprotocols=["hub.v1", f"bearer.{token}"]))

    assert run(story) == 4401


NAMES = ("token", "access_token", "Authorization", "jwt", "key", "whatever")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_good_token_in_the_address_is_refused_whoever_sends_it(alice, name, signed_in):
    async def story():
        one = socket(f"/ws?{name}={alice.tokens.access_token}", [bearer_of(alice)] if signed_in else [])
        return await close_code(one), one.reason

    assert run(story) == (4400, "token_in_address")


@pytest.mark.parametrize("after", ["", "-1", "x", "1.0", "%00", "9" * 30, "1&after=x"])
def test_what_is_no_number_is_closed_with_4422(alice, after):
    async def story():
        one = socket(f"/ws?after={after}", [bearer_of(alice)])
        return await close_code(one), one.reason

    assert run(story) == (4422, "event_number_invalid")


def test_whoever_shows_nothing_hears_nothing_and_is_closed_with_4401(alice, monkeypatch):
    monkeypatch.setattr(consumers, "GREETING_SECONDS", 0.4)

    async def story():
        one = await opened()
        await tell(alice)
        message = await one.receive_output(timeout=5)
        assert (message["type"], message["code"], message["reason"]) == ("websocket.close", 4401, "not_authenticated")
        assert rooms()._rooms == {}
        await one.send_text(greeting(alice))  # too late
        assert await hears_nothing(one)

    run(story)


def test_a_stranger_who_leaves_is_forgotten(monkeypatch):
    monkeypatch.setattr(consumers, "GREETING_SECONDS", 0.2)

    async def story():
        one = await opened()
        await one.disconnect()
        await asyncio.sleep(0.3)
        assert one.output_queue.empty()

    run(story)


NO_GREETINGS = {
    "nothing": ("", 4400),
    "no JSON": ("{", 4400),
    "no object": ("[]", 4400),
    "another type": ('{"type": "subscribe", "token": "x"}', 4400),
    "no token": ('{"type": "authenticate"}', 4400),
    "a token that is no text": ('{"type": "authenticate", "token": 1}', 4400),
    "a bad token": ('{"type": "authenticate", "token": "x.y.z"}', 4401),
    "a number that is none": ('{"type": "authenticate", "token": "x", "after": "soon"}', 4422),
    "deep": ("[" * 30_000, 4400),
}


@pytest.mark.parametrize(("text", "code"), NO_GREETINGS.values(), ids=NO_GREETINGS)
def test_a_first_message_that_does_not_say_who_it_is_closes_the_socket(text, code):
    async def story():
        one = await opened()
        await one.send_text(text)
        message = await one.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", code)

    run(story)


def test_a_first_message_of_bytes_closes_the_socket():
    async def story():
        one = await opened()
        await one.send_bytes(b"\xff")
        assert (await one.receive_output(timeout=5))["code"] == 4400

    run(story)


def test_a_second_greeting_changes_nothing(alice, mallory):
    async def story():
        one = await by_first_message(mallory)
        await one.receive_output(timeout=5)
        await one.send_text(greeting(alice, after=0))
        await tell(alice)
        assert await hears_nothing(one)
        told = await tell(mallory)
        assert (await one.receive_event())["id"] == told
        await one.disconnect()

    run(story)


def test_a_foreign_page_is_refused_with_whatever_token(alice):
    async def story():
        offered = ["hub.v1", f"bearer.{alice.tokens.access_token}"]
        return await close_code(socket("/ws?after=0", [(b"origin", b"https://evil.example")], offered))

    assert run(story) == 4403
