"""Sockets: who may open one, what it hears, and when it is closed."""

import asyncio
import json

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings

from apps.accounts.models import Membership, RefreshFamily, User
from shared.tenancy import consumers, live
from shared.tenancy.consumers import TenantConsumer
from shared.tenancy.ids import uuid7
from shared.tenancy.names import group_name
from shared.tenancy.run import announce, run_as
from shared.tenancy.scope import creator_scope
from tests.fixtures.service_integration_fixtures import HubClient
from tests.isolation.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)
HOST = (b"host", b"localhost")


def socket(headers=(), path="/ws", host=HOST):
    from config.asgi import application  # reads the catalogue, so not before there is a database

    return Socket(application, path, [host, *headers])


def cookie_of(person):
    client = person.browse(HubClient())
    return (b"cookie", f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode())


def bearer_of(person):
    return (b"authorization", person.headers["Authorization"].encode())


async def opened(person, credential=cookie_of):
    one = socket([await sync_to_async(credential)(person)])
    assert (await one.connect())[0]
    return one


async def close_code(one):
    """What a refused socket is closed with."""
    connected, code = await one.connect()
    assert not connected
    return code


async def tell(person, **data):
    """A service of this person's creator announces something."""
    about = uuid7()
    await run_as(person.actor, lambda actor: announce("document.changed", about, **data))
    return str(about)


async def hears(one):
    """The next event's id."""
    return (await one.receive_event())["id"]


async def hears_nothing(one):
    return await one.receive_nothing(timeout=0.3)


def run(coroutine_function):
    return async_to_sync(coroutine_function)()


@pytest.mark.parametrize("credential", [cookie_of, bearer_of], ids=["cookie", "bearer"])
def test_each_hears_their_own_news_and_nobody_elses(alice, mallory, credential):
    async def story():
        hers, foreign = await opened(alice, credential), await opened(mallory, credential)
        told = await tell(alice, status="ready")

        assert await hears(hers) == told
        assert await hears_nothing(foreign)
        told = await tell(mallory, status="ready")
        assert await hears(foreign) == told
        assert await hears_nothing(hers)
        for one in (hers, foreign):
            await one.disconnect()

    run(story)


def messages_that_name_acmes_group(creator):
    group = f"creator.{creator.id.hex}.events"
    for kind in ("join", "subscribe", "group_add", "hub.event", "websocket.accept", "join_group"):
        yield {"type": kind, "group": group, "creator_id": str(creator.id), "channel": group, "event": {"id": "x"}}
    yield {"action": "subscribe", "groups": [group, "*"]}
    yield [group]
    yield group


def test_nothing_that_is_sent_joins_another_creators_group(alice, mallory):
    async def story():
        foreign = await opened(mallory)
        for message in messages_that_name_acmes_group(alice.creator):
            await foreign.send_text(json.dumps(message))
        for text in ("", "{", "\x00", "[" * 5000, "x" * 100_000):
            await foreign.send_text(text)
        await foreign.send_bytes(b"\xff\xfe\x00")
        told = await tell(alice)

        assert await hears_nothing(foreign)
        assert told
        told = await tell(mallory)
        assert await hears(foreign) == told  # still open, still its own
        await foreign.disconnect()

    run(story)


@pytest.mark.parametrize("path", ["/ws?creator={creator}", "/ws?group=creator.{hex}.events&after=0"])
def test_nothing_in_the_address_chooses(alice, mallory, path):
    path = path.format(creator=alice.creator.id, hex=alice.creator.id.hex)

    async def story():
        one = socket([await sync_to_async(cookie_of)(mallory)], path)
        assert (await one.connect())[0]
        await tell(alice)
        assert await hears_nothing(one)
        await one.disconnect()

    run(story)


@pytest.mark.parametrize("headers", [[(b"cookie", b"sessionid=")], [(b"cookie", b"sessionid=made-up")]])
def test_without_a_session_it_is_closed_with_4401(alice, headers):
    async def story():
        return await close_code(socket(headers))

    assert run(story) == 4401


@pytest.mark.parametrize("header", [b"Bearer x.y.z", b"Bearer", b"Basic abc", b"\xff"])
def test_a_bad_token_is_closed_with_4401_even_beside_a_good_cookie(alice, header):
    async def story():
        return await close_code(socket([(b"authorization", header), await sync_to_async(cookie_of)(alice)]))

    assert run(story) == 4401


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "http://localhost:1",
        "http://localhost@evil.example",
        "file://",
        "localhost",
    ],
)
def test_a_page_of_another_site_is_closed_with_4403(alice, origin):
    async def story():
        return await close_code(socket([(b"origin", origin.encode()), await sync_to_async(cookie_of)(alice)]))

    assert run(story) == 4403


def test_the_hubs_own_page_may(alice):
    async def story():
        for origin in (settings.PUBLIC_URL, "http://localhost"):
            one = socket([(b"origin", origin.encode()), await sync_to_async(cookie_of)(alice)])
            assert (await one.connect())[0]
            await one.disconnect()

    run(story)


def test_another_host_name_is_closed_with_4403(alice):
    async def story():
        headers = [(b"origin", b"http://evil.example"), await sync_to_async(cookie_of)(alice)]
        return await close_code(socket(headers, host=(b"host", b"evil.example")))

    assert run(story) == 4403


def lose_the_membership(person):
    Membership.objects.filter(user=person.user).delete()


def become_inactive(person):
    User.objects.filter(pk=person.user.pk).update(is_active=False)


def move_to_another_creator(person):
    from apps.accounts.models import Creator

    Membership.objects.filter(user=person.user).update(creator=Creator.objects.create(display_name="Elsewhere"))


def end_every_session(person):
    from django.contrib.sessions.models import Session

    Session.objects.all().delete()


def change_the_password(person):
    person.user.set_password("another long sentence")
    person.user.save()


@pytest.mark.parametrize(
    "change", [lose_the_membership, become_inactive, move_to_another_creator, end_every_session, change_the_password]
)
def test_a_socket_is_closed_before_the_next_event(alice, bob, change):
    async def story():
        stays, goes = await opened(alice), await opened(bob)
        await tell(alice)
        await hears(stays)
        await hears(goes)
        await sync_to_async(change)(bob)
        if change is not end_every_session:
            told = await tell(alice)
            assert await hears(stays) == told
        else:
            await tell(alice)

        message = await goes.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", 4401)
        await stays.disconnect()

    run(story)


def test_signing_out_ends_the_tokens_socket(alice):
    async def story():
        one = await opened(alice, bearer_of)
        await sync_to_async(sign_out)(alice)
        await tell(alice)
        message = await one.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", 4401)

    run(story)


def sign_out(person):
    assert HubClient().post("/api/v1/auth/logout", headers=person.headers).status_code == 204
    assert RefreshFamily.objects.get(user=person.user).revoked_at


@pytest.mark.parametrize("asked", ["by an event", "by itself"])
def test_the_only_socket_of_a_room_is_closed_even_if_that_takes_a_while(alice, bob, monkeypatch, asked):
    close = TenantConsumer.close

    async def slowly(self, *said):
        await asyncio.sleep(0.01)
        await close(self, *said)

    monkeypatch.setattr(TenantConsumer, "close", slowly)
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.05 if asked == "by itself" else 60)

    async def story():
        goes = await opened(bob)
        await sync_to_async(lose_the_membership)(bob)
        if asked == "by an event":
            await tell(alice)
        message = await goes.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", 4401)

    run(story)


def test_a_socket_that_does_not_even_take_its_closing_is_ended(alice, bob, monkeypatch):
    monkeypatch.setattr(consumers, "_CLOSE_SECONDS", 0.05)

    async def never(self, *said):
        await asyncio.Event().wait()

    monkeypatch.setattr(TenantConsumer, "close", never)

    async def story():
        goes = await opened(bob)
        await sync_to_async(lose_the_membership)(bob)
        await tell(alice)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(goes.future), 5)
        assert live.rooms()._rooms == {}

    run(story)


def test_an_idle_socket_is_asked_again_too(alice, bob, monkeypatch):
    monkeypatch.setattr(live, "IDLE_RECHECK_SECONDS", 0.05)

    async def story():
        goes = await opened(bob)
        await sync_to_async(lose_the_membership)(bob)
        message = await goes.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", 4401)

    run(story)


def test_a_closed_socket_has_left_its_group(alice):
    async def story():
        one = await opened(alice)
        await one.disconnect()
        again = await opened(alice)
        told = await tell(alice)
        assert await hears(again) == told
        assert await hears_nothing(again)  # once, not once for each socket there ever was
        await again.disconnect()

    run(story)


def test_news_of_a_service_that_failed_are_never_heard(alice):
    async def story():
        one = await opened(alice)

        def fails(actor):
            announce("document.changed", uuid7())
            raise LookupError("after the announcement")

        with pytest.raises(LookupError):
            await run_as(alice.actor, fails)
        assert await hears_nothing(one)
        await one.disconnect()

    run(story)


def test_an_event_holds_ids_states_and_numbers_only(client, alice, mallory):
    """Whatever an upload is called, its words do not travel."""

    async def story():
        one = await opened(alice)
        await sync_to_async(upload)(alice)
        event = await one.receive_event()
        await one.disconnect()
        return event

    event = run(story)
    assert "Quorvexa".lower() not in str(event).lower()
    assert set(event) == {"seq", "type", "id", "at", "data"}
    assert set(event["data"]) <= {"status", "stage", "done", "total", "version", "live_version"}


def upload(person):
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("Quorvexa.txt", b"Quorvexa is a word.")
    answer = HubClient().post("/api/v1/documents", {"file": file, "title": "Quorvexa"}, headers=person.headers)
    assert answer.status_code == 202


def test_two_creators_groups_have_different_names(alice, mallory):
    names = set()
    for person in (alice, mallory):
        with creator_scope(person.creator.id):
            names.add(group_name("events"))

    assert len(names) == 2
    assert get_channel_layer() is not None


def test_a_foreign_page_is_refused_before_the_handshake(alice):
    async def story():
        one = socket([(b"origin", b"https://evil.example"), await sync_to_async(cookie_of)(alice)])
        await one.send_input({"type": "websocket.connect"})
        return (await one.receive_output(timeout=10))["type"]

    assert run(story) == "websocket.close"


def test_an_address_without_a_socket_is_refused_before_the_handshake():
    async def story():
        one = socket(path="/anything")
        await one.send_input({"type": "websocket.connect"})
        assert (await one.receive_output(timeout=5))["type"] == "websocket.close"

    run(story)


def test_a_client_that_leaves_while_it_is_let_in_leaves_no_room_behind(alice, monkeypatch):
    async def gone(self, subprotocol=None, headers=None):
        raise OSError

    monkeypatch.setattr(TenantConsumer, "accept", gone)

    async def story():
        one = socket([await sync_to_async(cookie_of)(alice)])
        await one.send_input({"type": "websocket.connect"})
        await one.wait(timeout=5)
        assert live.rooms()._rooms == {}

    run(story)
