"""Searches over real threads, transactions and processes: written beside the answer, and nothing else is touched."""

import asyncio
import time
from datetime import timedelta

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from apps.knowledge import search_log, tending
from apps.knowledge.models import Click, Search
from apps.knowledge.search_log import remember
from apps.knowledge.searching import Answer
from apps.knowledge.services.documents import update_document
from shared.tenancy.models import Event, Revision
from shared.tenancy.scope import creator_scope
from tests.isolation.server import web_process
from tests.isolation.world import build_acme
from tests.knowledge.test_search_log import until

pytestmark = pytest.mark.django_db(transaction=True)

SEARCH, SEARCHES, DOCUMENTS = "/api/v1/search", "/api/v1/searches", "/api/v1/documents"


@pytest.fixture
def world(alice):
    """Acme with a passage that a search finds, and no searches."""
    acme = build_acme(alice.actor)
    with creator_scope(alice.creator.id):
        Search.objects.all().delete()
    return acme


def kept(person):
    with creator_scope(person.creator.id):
        return list(Search.objects.order_by("id").values_list("query", flat=True))


def counted(person):
    """The creator's revision, and how many events there are."""
    with creator_scope(person.creator.id):
        return Revision.objects.values_list("number", flat=True).get(), Event.objects.count()


# ---- The revision, and the tags that it is in


def test_neither_searches_nor_clicks_nor_forgetting_renew_the_tag_of_a_list(client, alice, serve, world):
    tag = {"If-None-Match": client.get(DOCUMENTS, headers=alice.headers).headers["ETag"]}
    before = counted(alice)

    def is_unchanged():
        return client.get(DOCUMENTS, headers={**alice.headers, **tag}).status_code == 304

    answer = client.get(SEARCH, {"q": "tuned twice a year"}, headers=alice.headers).json()
    assert len(client.get(SEARCHES, headers=alice.headers).json()["items"]) == 1
    assert is_unchanged()

    body = {"chunk_id": answer["results"][0]["chunk_id"]}
    url = f"{SEARCH}/{answer['id']}/click"
    assert client.post(url, body, content_type="application/json", headers=alice.headers).status_code == 204
    assert is_unchanged()

    with creator_scope(alice.creator.id):
        assert Click.objects.count() == 1
        Search.objects.update(asked_at=timezone.now() - timedelta(days=100))
    assert async_to_sync(tending.trim_searches)() == 1
    assert kept(alice) == []
    assert is_unchanged()
    assert counted(alice) == before

    serve(alice.actor, update_document, document_id=world.things["handbook"], title="Renamed")
    assert not is_unchanged()


# ---- One process


@pytest.fixture
def application(transactional_db):
    from config.asgi import application  # reads the catalogue, so not before there is a database

    return application


@pytest.fixture
def answered(world):
    """Answers as a door has them."""

    def make(query):
        return Answer(query, None, 1, [])

    return make


async def test_a_stop_writes_what_waits(pool_reader, application, alice, answered, monkeypatch):
    monkeypatch.setattr(search_log, "WRITE_EVERY_SECONDS", 3600)
    for number in range(3):
        remember(alice.actor, answered(f"question {number}"))
    told = []

    async def stop():
        return {"type": "lifespan.shutdown"}

    async def tell(message):
        told.append((message["type"], await asyncio.to_thread(kept, alice)))

    await application({"type": "lifespan"}, stop, tell)

    assert told == [("lifespan.shutdown.complete", ["question 0", "question 1", "question 2"])]


async def test_what_waits_is_written_by_itself_within_about_a_second(pool_reader, alice, mallory, answered):
    remember(alice.actor, answered("mine"))
    remember(mallory.actor, answered("theirs"))
    began = time.monotonic()

    while await asyncio.to_thread(kept, mallory) != ["theirs"] or await asyncio.to_thread(kept, alice) != ["mine"]:
        assert time.monotonic() - began < 5
        await asyncio.sleep(0.02)


async def test_a_batch_that_is_written_twice_is_there_once(pool_reader, alice, answered):
    """As after a connection that was lost at the commit: nobody knows whether it was written."""
    for answer in [answered("once")] * 2:
        remember(alice.actor, answer)
    await search_log.search_log.write(alice.creator.id)

    assert await asyncio.to_thread(kept, alice) == ["once"]


async def test_the_searches_of_a_creator_that_is_gone_hold_nobody_up(pool_reader, alice, mallory, answered):
    await asyncio.to_thread(mallory.user.memberships.all().delete)
    await asyncio.to_thread(erase, mallory)
    remember(mallory.actor, answered("theirs"))
    remember(alice.actor, answered("mine"))

    await until(lambda: search_log.search_log._held == 0)

    assert await asyncio.to_thread(kept, alice) == ["mine"]


def erase(person):
    person.user.delete()
    person.creator.delete()


# ---- Processes


def test_a_click_that_reaches_another_process_first_is_not_lost_and_a_stop_loses_no_search(tmp_path, alice, world):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        web_process(folders[0]) as one,
        web_process(folders[1]) as two,
        httpx.Client(headers=alice.headers, trust_env=False, timeout=30) as client,
    ):
        client.get(one + DOCUMENTS), client.get(two + DOCUMENTS)
        answer = client.get(one + SEARCH, params={"q": "tuned twice a year"}).json()
        body = {"chunk_id": answer["results"][0]["chunk_id"]}
        clicked = client.post(f"{two}{SEARCH}/{answer['id']}/click", json=body)
        for number in range(5):
            assert client.get(two + SEARCH, params={"q": f"tuned {number} times a year"}).status_code == 200

    assert clicked.status_code == 204
    assert kept(alice) == ["tuned twice a year", *(f"tuned {number} times a year" for number in range(5))]
    with creator_scope(alice.creator.id):
        assert Click.objects.values_list("position", flat=True).get() == 1
    logs = "".join((folder / "web.log").read_text() for folder in folders)
    assert "searches_" not in logs
