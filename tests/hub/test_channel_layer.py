"""The channel layer: what is sent to a group, with Redis there, silent and away."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import redis
from channels.layers import get_channel_layer
from django.conf import settings as hub
from redis.exceptions import ConnectionError as RedisConnectionError

from shared import channel_layer
from shared.channel_layer import HubChannelLayer
from tests.tenancy.gate import until

SECONDS = 20


@pytest.fixture
async def layer():
    made = get_channel_layer()
    yield made
    await made.flush()


async def subscribed(layer, *groups):
    channel = await layer.new_channel()
    for group in groups:
        await layer.group_add(group, channel)
    return channel


async def heard(layer, channel):
    async with asyncio.timeout(SECONDS):
        return (await layer.receive(channel))["number"]


def in_redis(ask):
    with redis.Redis.from_url(hub.REDIS_URL) as client:
        return ask(client)


def connections():
    """Those to this test's database, by their numbers: what each has last asked."""

    def ask(client):
        own, me = client.client_info()["db"], client.client_id()
        others = [one for one in client.client_list() if int(one["db"]) == own and int(one["id"]) != me]
        return {int(one["id"]): one["cmd"] for one in others}

    return in_redis(ask)


async def test_all_in_a_group_hear_what_is_sent_to_it_in_order_and_nobody_else_does(layer):
    first, second = await subscribed(layer, "creator.a"), await subscribed(layer, "creator.a", "creator.b")
    foreign = await subscribed(layer, "creator.c")
    await asyncio.gather(*(layer.group_send("creator.a", {"type": "event", "number": n}) for n in range(100)))
    await layer.group_send("creator.b", {"type": "event", "number": "b"})
    await layer.group_send("creator.c", {"type": "event", "number": "c"})

    assert [await heard(layer, first) for _ in range(100)] == list(range(100))
    assert [await heard(layer, second) for _ in range(101)] == [*range(100), "b"]
    assert await heard(layer, foreign) == "c"


async def test_all_senders_share_a_connection(layer):
    line = await layer.line.send("CLIENT", "ID")
    before = connections()
    await asyncio.gather(*(layer.group_send("creator.a", {"type": "event"}) for _ in range(20)))

    assert connections() == before | {line: "publish"}


async def test_what_is_flushed_hears_nothing_more_and_can_be_used_again(layer):
    old = await subscribed(layer, "creator.a")
    connection = await layer.line.send("CLIENT", "ID")
    await layer.flush()
    await until(lambda: connection not in connections())
    assert in_redis(lambda client: client.pubsub_channels("hub__group__creator.a")) == []

    new = await subscribed(layer, "creator.a")
    await layer.group_send("creator.a", {"type": "event", "number": 1})
    assert await heard(layer, new) == 1
    assert old not in layer.channels


def test_its_connections_end_with_their_event_loop():
    async def send():
        await subscribed(get_channel_layer(), "creator.a")
        await get_channel_layer().group_send("creator.a", {"type": "event"})
        return await get_channel_layer().line.send("CLIENT", "ID")

    first = asyncio.run(send())
    second = asyncio.run(until_gone(first))

    assert first != second
    assert get_channel_layer()._layers == {}


async def until_gone(number):
    await until(lambda: number not in connections())
    return await get_channel_layer().line.send("CLIENT", "ID")


@asynccontextmanager
async def silent_server(settings):
    """Takes connections, and says nothing. Hands out the list of them."""
    met = []
    server = await asyncio.start_server(lambda *streams: met.append(streams), "127.0.0.1", 0)
    settings.REDIS_URL = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield met
    finally:
        for _, writer in met:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_sending_while_redis_is_away_is_an_error(settings):
    async with silent_server(settings):
        pass
    away = HubChannelLayer(hosts=[settings.REDIS_URL])

    with pytest.raises(RedisConnectionError):
        await away.group_send("creator.a", {"type": "event"})


async def test_sending_to_a_redis_that_says_nothing_is_an_error(settings, monkeypatch):
    monkeypatch.setattr(channel_layer, "_SILENT_SECONDS", 0.1)
    async with asyncio.timeout(SECONDS), silent_server(settings) as met:
        silent = HubChannelLayer(hosts=[settings.REDIS_URL])
        with pytest.raises(TimeoutError):
            await silent.group_send("creator.a", {"type": "event"})

    assert len(met) == 1
