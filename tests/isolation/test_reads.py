"""Another creator's ids, cursors, tags and SQL, on the one connection that both creators read over."""

import asyncio
import json
import random
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import connection

from apps.knowledge.models import Document
from apps.knowledge.services.cursors import read_cursor, write_cursor
from shared.lean import LeanHandler
from shared.tenancy.exchange import ReadConnection
from shared.tenancy.policies import SETTING
from shared.tenancy.scope import creator_scope
from tests.lean.asgi import Exchange
from tests.tenancy.gate import until

DOCUMENTS = "/api/v1/documents"
SECONDS = 60
committed = pytest.mark.django_db(transaction=True)


# ---- On a connection that another creator has just used


@pytest.fixture
def one_connection(settings):
    settings.DATABASE_READ_CONNECTIONS = 1
    settings.DATABASE_POOL_TIMEOUT_SECONDS = SECONDS


@pytest.fixture
def ask(one_connection, pool_reader):
    """Ask the hub for an address as a person: `await ask(alice, "/api/v1/usage")`."""
    handler = LeanHandler()

    async def call(person, address, *, etag="", **query):
        path, _, rest = address.partition("?")
        headers = [(b"authorization", person.headers["Authorization"].encode())]
        if etag:
            headers.append((b"if-none-match", etag.encode()))
        exchange = Asking(path, headers=tuple(headers))
        exchange.query = (rest or urlencode(query)).encode()
        async with asyncio.timeout(SECONDS):
            return await exchange.through(handler)

    return call


class Asking(Exchange):
    """A request that may have a query."""

    query = b""

    def scope(self):
        return {**super().scope(), "query_string": self.query}

    @property
    def everything(self):
        """All that the client received."""
        return f"{self.status} {self.answered} {self.body.decode()}"


async def pool_is_whole(pool_reader):
    """Once the one connection is back, and clean of any creator."""
    pool = await pool_reader.open()
    await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"] == 1)
    async with pool.connection() as idle:
        left = await idle.execute(f"SELECT coalesce(current_setting('{SETTING}', true), ''), pg_backend_pid()")
        return await left.fetchone()


NAMED = [DOCUMENTS + "/{id}", *(DOCUMENTS + "/{id}/" + part for part in ("content", "stages", "versions"))]
SEARCH = "/api/v1/search?q=tuned+twice+a+year&document_id={id}"


@committed
@pytest.mark.parametrize("address", [*NAMED, SEARCH])
async def test_acmes_ids_are_nobodys_right_after_acme_has_read_them(
    ask, pool_reader, alice, mallory, acme_world, umbrella_world, address
):
    answers = []
    for thing in (acme_world.things["handbook"], str(uuid4())):
        own = await ask(alice, address.format(id=acme_world.things["handbook"]))
        assert own.status == 200
        foreign = await ask(mallory, address.format(id=thing), etag=own.answered.get("etag", ""))
        answers.append((foreign.status, foreign.body.replace(thing.encode(), b"<id>")))
        assert acme_world.words_in(foreign.everything) == []

    assert [status for status, _ in answers] == [404, 404]
    assert without_request_id(answers[0][1]) == without_request_id(answers[1][1])
    assert (await pool_is_whole(pool_reader))[0] == ""


def without_request_id(body):
    return {name: value for name, value in json.loads(body).items() if name not in ("request_id", "instance")}


@committed
async def test_acmes_cursor_shows_mallory_only_where_ids_of_that_age_begin(
    ask, alice, mallory, acme_world, umbrella_world
):
    own = {umbrella_world.things[name] for name in ("handbook", "draft", "broken")}
    pages = [json.loads((await ask(person, DOCUMENTS, limit=1)).body) for person in (alice, mallory)]
    cursors = [page["next_cursor"] for page in pages]
    newest = read_cursor(cursors[0])
    beside = write_cursor(UUID(int=newest.int + 1))

    answers = []
    for cursor in (*cursors, beside, write_cursor(UUID(int=2**128 - 1))):
        answer = await ask(mallory, DOCUMENTS, limit=50, cursor=cursor)
        answers.append(json.loads(answer.body))
        assert answer.status == 200
        assert acme_world.words_in(answer.everything) == []

    found = [{item["id"] for item in answer["items"]} for answer in answers]
    assert found[0] == found[2] == {thing for thing in own if UUID(thing) < newest}  # as if Acme's id did not exist
    assert len(found[1]) == 2
    assert found[3] == own


# ---- Values that would like to be SQL


def injections(acme):
    """Texts that end a literal, a message or a placeholder, and then bind Acme."""
    bind = f"SET LOCAL {SETTING} = '{acme.creator_id}'"
    every = "SELECT * FROM knowledge_document"
    return [
        f"'; {bind}; {every} --",
        f"\\'; {bind}; {every} --",
        f"'); COMMIT; BEGIN; {bind}; {every}; --",
        f"' || set_config('{SETTING}', '{acme.creator_id}', false) || '",
        f"' OR creator_id = '{acme.creator_id}' OR title LIKE '%",
        "' UNION SELECT id, title FROM knowledge_document --",
        "%s %(bound_to)s %(creator)s %% %",
        f"$${bind}$$ $1 E'\\047",
        f"\u02bc\uff07; {bind} \u00bf\\\u00bf'",
        "\\",
        "_%",
    ]


@committed
async def test_whatever_a_value_says_it_is_a_value(ask, pool_reader, alice, mallory, acme_world, umbrella_world):
    texts = injections(acme_world)
    for text in texts:
        title, tags = f"Umbrella {text}", [text[:50].replace(",", " ")]
        mine = await asyncio.to_thread(bring, mallory, title, tags)
        by_title = await ask(mallory, DOCUMENTS, q=text)
        by_tag = await ask(mallory, DOCUMENTS, tag=tags[0])
        found = await ask(mallory, "/api/v1/search", q=text, tag=tags[0])

        # Each looks for the text as it stands, and a text may be a part of a longer one.
        assert mine in {item["id"] for item in json.loads(by_title.body)["items"]}
        assert all(text.lower() in item["title"].lower() for item in json.loads(by_title.body)["items"])
        assert [item["id"] for item in json.loads(by_tag.body)["items"]] == [mine]
        assert (found.status, json.loads(found.body)["results"]) == (200, [])
        answer = await ask(mallory, DOCUMENTS, cursor=text[:64])
        assert (answer.status, json.loads(answer.body)["code"]) == (422, "cursor_invalid")
    assert (await pool_is_whole(pool_reader))[0] == ""
    assert json.loads((await ask(alice, "/api/v1/usage")).body)["documents"] == 3


def bring(person, title, tags):
    with creator_scope(person.creator.id):
        document = Document.objects.create(title=title, filename="f.txt", bytes=1, tags=tags)
    connection.close()
    return str(document.id)


# ---- Two creators and one connection, while clients come and go

COMINGS_AND_GOINGS = 300
ADDRESSES = ["/auth/me", "/documents", "/profile", "/usage", "/documents/{own}", "/documents/{other}"]
# A client leaves after so many turns of the event loop, or as soon as its message is on its way. Half of them stay.
SENT = "sent"
LEAVES = [0, 1, 3, 8, 21, *[SENT] * 3, *[None] * 8]
leaves_when_sent = ContextVar("leaves_when_sent", default=False)


@pytest.fixture
def left_on_the_way(monkeypatch):
    """The messages that nobody waited for any more while Postgres had them."""
    left, send = [], ReadConnection.send

    def sending(self, sql, parameters):
        answer = send(self, sql, parameters)
        if leaves_when_sent.get():
            asyncio.current_task().cancel()
            left.append(answer)
        return answer

    monkeypatch.setattr(ReadConnection, "send", sending)
    return left


@dataclass
class Reader:
    """One creator's program, which remembers its ETags."""

    ask: Callable
    person: Any
    own: Any
    other: Any
    tags: dict = field(default_factory=dict)
    outcomes: list = field(default_factory=list)

    async def read(self, address, with_tag, leaves):
        leaves_when_sent.set(leaves == SENT)
        path = "/api/v1" + address.format(own=self.own.things["handbook"], other=self.other.things["handbook"])
        call = asyncio.create_task(self.ask(self.person, path, etag=self.tags.get(path, "") if with_tag else ""))
        if leaves not in (None, SENT):
            for _ in range(leaves):
                await asyncio.sleep(0)
            call.cancel()
        try:
            self.note(address, path, await call)
        except asyncio.CancelledError:
            self.outcomes.append("left")

    def note(self, address, path, answer):
        self.outcomes.append(answer.status)
        assert self.other.words_in(answer.everything) == []
        assert (answer.status == 404) is ("{other}" in address)
        if answer.status == 200:
            # What has no words of one's own names the creator, or says how many bytes one has.
            size = sum(map(len, self.own.files.values()))
            facts = (*self.own.words, str(self.own.creator_id), f'"bytes":{size},')
            assert any(fact.lower() in answer.everything.lower() for fact in facts)
            self.tags[path] = answer.answered["etag"]


@committed
async def test_two_creators_on_one_connection_never_see_each_other_whoever_leaves(
    ask, pool_reader, settings, left_on_the_way, alice, mallory, acme_world, umbrella_world
):
    settings.DATABASE_QUEUE = COMINGS_AND_GOINGS
    chance = random.Random(7)
    _, server = await pool_is_whole(pool_reader)
    alices, mallorys = (
        Reader(ask, alice, acme_world, umbrella_world),
        Reader(ask, mallory, umbrella_world, acme_world),
    )

    async with asyncio.TaskGroup() as group:
        for number in range(COMINGS_AND_GOINGS):
            reader = (alices, mallorys)[number % 2]
            work = reader.read(chance.choice(ADDRESSES), chance.random() < 0.5, chance.choice(LEAVES))
            reading = group.create_task(work)
            if number % 20 == 19:  # so that the next ones know ETags
                await reading

    for reader in (alices, mallorys):
        assert {"left", 200, 304, 404} == set(reader.outcomes)
    assert len(left_on_the_way) > COMINGS_AND_GOINGS // 10
    assert await pool_is_whole(pool_reader) == ("", server)
