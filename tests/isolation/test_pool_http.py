"""One database connection for everybody: two creators' requests one between the other's, and everything goes wrong."""

import asyncio
import contextlib
import json
import random

import httpx
import pytest
from django.db import connections

from tests.isolation.evidence import belongings_of, rows_of
from tests.isolation.server import NAME, web_process
from tests.tenancy.tools import connect

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = 200
# What a request may be answered with while its connection is being killed under it.
DATABASE_AWAY = 503


class Client:
    """One creator's program: remembers every answer."""

    def __init__(self, http, person, world, others):
        self.http, self.person, self.world, self.others = http, person, world, others
        self.answers = []

    def note(self, what, answer, body=None):
        text = f"{dict(answer.headers)} {answer.text if body is None else body.decode('utf-8', 'replace')}"
        self.answers.append((what, answer.status_code, text))
        return answer

    async def ask(self, what, method, path, **arguments):
        headers = self.person.headers | arguments.pop("headers", {})
        return self.note(what, await self.http.request(method, "/api/v1" + path, headers=headers, **arguments))

    def document(self, name="handbook"):
        return f"/documents/{self.world.things[name]}"

    async def reads(self):
        await self.ask("own", "GET", self.document())

    async def lists(self):
        await self.ask("own", "GET", "/documents")

    async def searches(self):
        await self.ask("own", "GET", "/search", params={"q": "tuned twice a year, opened before the rain"})

    async def counts(self):
        await self.ask("usage", "GET", "/usage")

    async def asks_for_the_others(self):
        await self.ask("missing", "GET", f"/documents/{self.others.things['handbook']}")

    async def makes_a_mistake(self):
        await self.ask("wrong", "GET", "/documents", params={"limit": -1})

    async def breaks_inside_a_savepoint(self):
        body = {"email": self.person.email, "password": "a long enough sentence", "display_name": "Again"}
        await self.ask("taken", "POST", "/auth/register", json=body)

    async def starts_a_job(self):
        headers = {"Idempotency-Key": f"key-{random.randrange(10**9)}"}
        await self.ask("own", "POST", self.document("broken") + "/reprocess", headers=headers)

    async def downloads(self):
        await self.ask("content", "GET", self.document("big") + "/content")

    async def leaves_during_a_download(self):
        url = "/api/v1" + self.document("big") + "/content"
        async with self.http.stream("GET", url, headers=self.person.headers) as answer:
            async for part in answer.aiter_bytes():
                self.note("part", answer, part)
                return

    async def leaves_early(self):
        what = random.choice([self.lists, self.searches, self.starts_a_job, self.reads])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0.001, 0.03)):
                await what()


ACTS = [
    Client.reads,
    Client.lists,
    Client.searches,
    Client.counts,
    Client.asks_for_the_others,
    Client.makes_a_mistake,
    Client.breaks_inside_a_savepoint,
    Client.starts_a_job,
    Client.downloads,
    Client.leaves_during_a_download,
    Client.leaves_early,
    Client.leaves_early,
]
EXPECTED = {
    "own": {200, 202},
    "usage": {200},
    "missing": {404},
    "wrong": {422},
    "taken": {409},
    "content": {200},
    "part": {200},
}


async def bring_a_long_text(client):
    """A file long enough to leave in the middle of."""
    word = client.world.words[0]
    file = ("big.txt", f"{word} stands in every line.\n".encode() * 20_000, "text/plain")
    answer = await client.ask("own", "POST", "/documents", files={"file": file}, data={"title": word})
    client.world.things["big"] = answer.json()["id"]


async def all_at_once(alices, mallorys, meanwhile):
    """200 requests, at most eight at a time, alternating between the two."""
    places = asyncio.Semaphore(8)

    async def one(client, act):
        async with places:
            await act(client)

    order = random.Random(20)
    jobs = [one((alices, mallorys)[number % 2], order.choice(ACTS)) for number in range(REQUESTS)]
    disturbing = asyncio.create_task(meanwhile())
    try:
        for outcome in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, httpx.TransportError):
                raise outcome
    finally:
        disturbing.cancel()


async def nothing_happens():
    """A quiet day."""


async def backends_are_killed():
    """Every connection of the web process, again and again, whatever it is doing."""
    with connect(autocommit=True) as killer:
        while True:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND datname = current_database()",
                [NAME],
            )
            await asyncio.sleep(random.uniform(0.05, 0.2))


@pytest.mark.parametrize(
    ("size", "meanwhile"), [("1", nothing_happens), ("1", backends_are_killed), ("3", backends_are_killed)]
)
def test_never_a_foreign_word(alice, mallory, acme_world, umbrella_world, tmp_path, size, meanwhile):
    connections.close_all()
    clients = {}

    async def story(address):
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as http:
            alices = clients["alice"] = Client(http, alice, acme_world, umbrella_world)
            mallorys = clients["mallory"] = Client(http, mallory, umbrella_world, acme_world)
            for client in clients.values():
                await bring_a_long_text(client)
            await all_at_once(alices, mallorys, meanwhile)
            for client in clients.values():  # afterwards all is well, for both
                await client.lists()
                await client.downloads()
                assert [status for _, status, _ in client.answers[-2:]] == [200, 200]

    with web_process(tmp_path, DATABASE_POOL_SIZE=size, DATABASE_THREADS="6", DATABASE_POOL_TIMEOUT_SECONDS="20") as at:
        asyncio.run(story(at))

    for client in clients.values():
        allowed_besides = {DATABASE_AWAY} if meanwhile is backends_are_killed else set()
        for what, status, text in client.answers:
            assert client.others.words_in(text) == [], what
            assert status in EXPECTED[what] | allowed_besides, (what, status, text[:500])
            if what in ("own", "content", "part") and status in EXPECTED[what] and '"results":[]' not in text:
                assert client.world.words_in(text), (what, text[:500])
        kinds = {what for what, status, _ in client.answers if status in EXPECTED[what]}
        assert kinds >= {"own", "missing", "wrong", "taken", "content", "part"}
    assert rows_are_kept_apart(acme_world, umbrella_world)


def rows_are_kept_apart(acme, umbrella):
    """Nothing that one wrote is among the other's rows."""
    return umbrella.words_in(json.dumps(rows_of(acme.creator_id))) == [] and not acme.words_in(
        json.dumps(rows_of(umbrella.creator_id))
    )


def test_a_client_that_leaves_takes_no_connection_along(alice, acme_world, tmp_path):
    """With a pool of one, a single lost connection would be the end."""
    connections.close_all()

    async def story(address):
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            client = Client(http, alice, acme_world, acme_world)
            await asyncio.gather(*[client.leaves_early() for _ in range(40)], return_exceptions=True)
            await client.lists()
            assert client.answers[-1][1] == 200

    with web_process(tmp_path, DATABASE_POOL_SIZE="1", DATABASE_POOL_TIMEOUT_SECONDS="20") as address:
        asyncio.run(story(address))
    assert belongings_of(acme_world.creator_id)["rows"]
