"""A client on a real server, cut off twenty times while its creator uploads, misses no event and hears none twice."""

import asyncio
import json
import random

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from apps.knowledge.models import Document
from shared.tenancy.models import Event
from shared.tenancy.scope import creator_scope
from tests.isolation.server import web_process

pytestmark = pytest.mark.django_db(transaction=True)
CUTS, UPLOADS, SECONDS = 20, 60, 60


async def upload(client, number):
    """Two events, or three: it is queued, renamed, and every third is deleted."""
    made = await client.post("/documents", files={"file": (f"{number}.txt", b"Note number %d." % number)})
    address = f"/documents/{made.raise_for_status().json()['id']}"
    (await client.patch(address, json={"title": f"Note {number}"})).raise_for_status()
    if number % 3 == 0:
        (await client.delete(address)).raise_for_status()


class Reader:
    """Counts what it hears, comes back with its last number, and is cut off by itself."""

    def __init__(self, address, person):
        self.address, self.token = address, person.tokens.access_token
        self.heard, self.cuts, self.chance = [], 0, random.Random(4711)
        self.done = asyncio.Event()

    @property
    def last(self):
        return self.heard[-1] if self.heard else 0

    async def until_cut(self, reading):
        """Read until the connection is lost, or for good."""
        enough = self.chance.uniform(0, 0.05) if self.cuts < CUTS else None
        try:
            async with asyncio.timeout(enough):
                await reading()
        except TimeoutError:
            self.cuts += 1
        except (ConnectionClosed, httpx.TransportError):
            pass


class SocketReader(Reader):
    async def read(self):
        url = self.address.replace("http", "ws", 1) + f"/ws?after={self.last}"
        offers = ["hub.v1", f"bearer.{self.token}"]
        socket = await connect(url, subprotocols=offers, proxy=None)

        async def reading():
            async for message in socket:
                self.heard.append(json.loads(message)["seq"])

        await self.until_cut(reading)
        socket.transport.abort()  # without a word


class StreamReader(Reader):
    async def read(self):
        headers = {"Authorization": f"Bearer {self.token}", "Last-Event-ID": str(self.last)}

        async def reading():
            async with (
                httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client,
                client.stream("GET", f"{self.address}/api/v1/events", headers=headers) as answer,
            ):
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        self.heard.append(json.loads(line.removeprefix("data: "))["seq"])

        await self.until_cut(reading)


def stored(person):
    with creator_scope(person.creator.id):
        return list(Event.objects.order_by("seq").values_list("seq", flat=True))


@pytest.mark.parametrize("kind", [SocketReader, StreamReader])
def test_a_reader_that_is_cut_off_twenty_times_hears_every_event_once(alice, mallory, tmp_path, kind):
    async def story(address):
        reader, foreign = kind(address, alice), kind(address, mallory)
        uploading = asyncio.create_task(uploads(address))

        async def go_on(one):
            while True:
                await one.read()

        reading = [asyncio.create_task(go_on(one)) for one in (reader, foreign)]
        await uploading
        count = len(await asyncio.to_thread(stored_in_thread))
        async with asyncio.timeout(SECONDS):
            while reader.last < count or reader.cuts < CUTS:
                assert not reading[0].done(), reading[0].result()
                await asyncio.sleep(0.01)
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return reader, foreign, count

    async def uploads(address):
        async with httpx.AsyncClient(
            base_url=f"{address}/api/v1", headers=alice.headers, timeout=SECONDS, trust_env=False
        ) as client:
            for number in range(UPLOADS):
                await upload(client, number)

    def stored_in_thread():
        from django.db import connection

        try:
            return stored(alice)
        finally:
            connection.close()

    with web_process(tmp_path) as address:
        reader, foreign, count = asyncio.run(story(address))

    assert count >= 2 * UPLOADS - 1
    assert reader.cuts >= CUTS
    assert reader.heard == list(range(1, count + 1))
    assert foreign.heard == []
    with creator_scope(alice.creator.id):
        assert Document.objects.count() == UPLOADS - UPLOADS // 3
