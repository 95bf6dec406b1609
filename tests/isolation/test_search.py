"""Search: nobody finds another creator's words, and nobody else's rows change what one finds."""

import json
from uuid import uuid4

import pytest
from django.db import transaction

from apps.knowledge.models import Chunk, Document, Vector, Version
from shared.tenancy.scope import creator_scope
from tests.isolation.world import CATEGORY, FILENAME, HEADING, NAME, TAG, TEXT, TITLE, make_findable

QUESTIONS = [
    TEXT,
    TITLE,
    HEADING,
    f"{TITLE} {HEADING} {TEXT}",
    "tuned twice a year",
    "Nobody else may know how",
    "How often is the instrument tuned?",
    TEXT.upper(),
    TEXT[:6],
    f'"{TEXT}"',
    f"{TEXT}:*",
    f"{TEXT} | umbrella",
    f"umbrella -{TEXT}",
    "%",
    "*",
    "' OR creator_id IS NOT NULL --",
]


def search(client, person, **query):
    answer = client.get("/api/v1/search", query, headers=person.headers)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_another_creator_finds_none_of_acmes_passages(client, mallory, acme_world, umbrella_world, question):
    results = search(client, mallory, q=question, limit=50)

    assert acme_world.words_in(json.dumps(results)) == []
    assert {result["document_id"] for result in results} <= {umbrella_world.things["handbook"]}


@pytest.mark.parametrize("question", [TEXT, "tuned twice a year", "How often is the instrument tuned?"])
def test_the_owner_finds_them(client, alice, acme_world, umbrella_world, question):
    results = search(client, alice, q=question)

    assert results[0]["document_id"] == acme_world.things["handbook"]
    assert {result["document_id"] for result in results} == {acme_world.things["handbook"]}


@pytest.mark.parametrize("narrowed", [{"tag": TAG}, {"tag": "wet"}, {}])
def test_narrowing_a_search_to_acmes_tag_finds_nothing_of_it(client, mallory, acme_world, umbrella_world, narrowed):
    results = search(client, mallory, q="tuned rain", **narrowed)

    assert acme_world.words_in(json.dumps(results)) == []
    assert (results == []) == (narrowed == {"tag": TAG})


def test_narrowing_a_search_to_acmes_document_is_like_narrowing_it_to_none(client, mallory, acme_world):
    answers = [
        client.get("/api/v1/search", {"q": "tuned", "document_id": document}, headers=mallory.headers)
        for document in (acme_world.things["handbook"], uuid4())
    ]

    bodies = [{name: value for name, value in answer.json().items() if "_ms" not in name} for answer in answers]
    for body in bodies:
        body.pop("request_id", None)
    assert answers[0].status_code == answers[1].status_code
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("word", [TITLE, FILENAME, TAG, NAME, CATEGORY, "handbook"])
def test_the_list_of_documents_finds_none_of_acmes_either(client, mallory, acme_world, umbrella_world, word):
    for query in ({"q": word}, {"tag": word}, {"status": "ready"}):
        answer = client.get("/api/v1/documents", query, headers=mallory.headers)

        assert acme_world.words_in(answer.text) == []
        assert answer.status_code == 200


@pytest.fixture
def a_thousand_near_copies(mallory, umbrella_world, acme_world):
    """Mallory has Acme's passage a thousand times over: same words, same meaning, same length."""
    with creator_scope(acme_world.creator_id):
        theirs = Chunk.objects.get(id=acme_world.things["chunk"])

    def copy():
        with creator_scope(mallory.creator.id), transaction.atomic():
            add_copies(umbrella_world, theirs, [f"{theirs.text} {number}" for number in range(1000)])
            assert Vector.objects.filter(live=True).count() > 1000

    return copy


def add_copies(world, chunk, texts):
    """More passages of a world's handbook, with the meaning of a passage that may be another creator's."""
    version = Version.objects.select_related("document").get(document_id=world.things["handbook"])
    Chunk.objects.bulk_create(
        Chunk(
            document=version.document,
            version=version,
            position=position,
            text=text,
            heading=chunk.heading,
            tokens=chunk.tokens,
        )
        for position, text in enumerate(texts, start=1000)
    )
    make_findable(version.document, version, chunk.text)


def test_a_thousand_near_copies_of_another_creator_change_nothing(client, alice, acme_world, a_thousand_near_copies):
    """Neither ranks, nor scores, nor counts: the statistics of words are a creator's own."""
    add_passages(acme_world)

    def all_that_alice_sees():
        found = [search(client, alice, q=question, limit=50) for question in QUESTIONS]
        usage = client.get("/api/v1/usage", headers=alice.headers).json()
        return found, usage, client.get("/api/v1/documents", headers=alice.headers).json()

    before = all_that_alice_sees()
    a_thousand_near_copies()

    assert all_that_alice_sees() == before
    assert len(before[0][0]) > 0


def test_the_copies_owner_finds_their_own_copies(client, mallory, a_thousand_near_copies, acme_world):
    a_thousand_near_copies()

    results = search(client, mallory, q=TEXT)
    assert {result["document_id"] for result in results}.isdisjoint(acme_world.things.values())
    assert len(results) > 0


def add_passages(world):
    """More passages, so that ranks could change."""
    with creator_scope(world.creator_id), transaction.atomic():
        first = Chunk.objects.get(id=world.things["chunk"])
        texts = [f"{first.text} And {number} more words, {'tuned ' * number}" for number in range(2, 12)]
        add_copies(world, first, texts)
        Document.objects.filter(id=first.document_id).update(chunk_count=11)
