"""Switching to another embedding model and back: at once, whole, and for one creator only."""

import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import embedding, pipeline, searching, tending
from apps.knowledge.models import Chunk, SearchIndex
from shared.tenancy.scope import creator_scope
from tests.knowledge.models import LETTERS, WORDS, answering, fill, found, listed, switch, switched, vectors

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(alice, ready):
    return ready(alice, b"Refunds are paid within thirty days.", "shop.md")


def tend():
    return async_to_sync(tending.tend_everybody)()


def test_the_switch_and_back(client, alice, document, next_model):
    fill(alice)
    next_model.asked.clear()
    assert found(client, alice)
    assert next_model.asked == []

    switched(client, alice, LETTERS)

    assert answering(client, alice) == "letters"
    assert found(client, alice)
    assert next_model.asked == [["refunds"]]
    switched(client, alice, WORDS)
    assert answering(client, alice) == "words"
    assert found(client, alice)
    assert next_model.asked == [["refunds"]]


def test_no_switch_while_passages_lack_vectors(client, alice, document, ready, next_model):
    fill(alice)
    ready(alice, b"Cats sleep.", "cats.txt")

    answer = switch(client, alice, LETTERS)

    assert (answer.status_code, answer.json()["code"]) == (409, "model_not_ready")
    assert answering(client, alice) == "words"
    fill(alice)
    switched(client, alice, LETTERS)


def test_a_model_that_is_not_configured_is_not_found(client, alice, document):
    answer = switch(client, alice, LETTERS)

    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_only_owner_and_admins_switch(client, alice, bob, document, next_model):
    fill(alice)

    assert listed(client, bob)
    assert switch(client, bob, LETTERS).status_code == 403
    assert answering(client, alice) == "words"


def test_whoever_has_no_documents_can_switch_too(client, alice, ready, next_model):
    switched(client, alice, LETTERS)
    ready(alice, b"Refunds are paid.")

    assert vectors(alice, LETTERS, live=True) == 1
    assert answering(client, alice) == "letters"


def test_another_creators_switch_changes_nothing_of_mine(client, alice, mallory, document, ready, next_model):
    ready(mallory, b"Refunds of Mallory's.")
    fill(alice)
    fill(mallory)
    next_model.asked.clear()

    switched(client, mallory, LETTERS)

    assert (answering(client, alice), answering(client, mallory)) == ("words", "letters")
    assert found(client, alice)
    assert next_model.asked == []


def test_after_the_switch_files_and_edits_are_embedded_by_the_one_that_answers(
    client, alice, document, ready, next_model
):
    fill(alice)
    switched(client, alice, LETTERS)

    ready(alice, b"Cats sleep.", "cats.txt")
    with creator_scope(alice.creator.id):
        chunk = Chunk.objects.get(document=document)
    url = f"/api/v1/documents/{document.id}/passages/{chunk.id}"
    client.patch(url, {"text": "Refunds take a year."}, content_type="application/json", headers=alice.headers)

    assert (vectors(alice, LETTERS), vectors(alice, WORDS)) == (2, 0)
    assert tend() == 1  # the way back stays open
    fill(alice)
    assert vectors(alice, WORDS) == 2
    switched(client, alice, WORDS)


def test_a_version_embedded_before_a_switch_is_verified_by_the_model_that_embedded_it(
    client, alice, document, bring, process, next_model, monkeypatch
):
    fill(alice)
    indexing = pipeline._Run._index

    async def switch_before(run):
        with creator_scope(alice.creator.id):
            await SearchIndex.objects.aupdate(model=LETTERS)
        return await indexing(run)

    monkeypatch.setattr(pipeline._Run, "_index", switch_before)

    assert process(alice.actor, bring(alice, b"Cats sleep all day.")).status == "ready"
    assert next_model.asked[1:] == []
    assert tend() == 1


def test_a_search_during_a_switch_is_wholly_of_one_model(client, alice, document, ready, next_model, monkeypatch):
    """The question is embedded by the model that answered when it came, and compared with that model's vectors."""
    fill(alice)
    seen = []
    embed, search = embedding.current_embedder().embed, searching.searching.search

    async def switch_meanwhile(texts):
        with creator_scope(alice.creator.id):
            await SearchIndex.objects.aupdate(model=LETTERS)
        return await embed(texts)

    def note(question, understood, **rest):
        seen.append((question.model, understood.model, question.vector.tolist()))
        return search(question, understood, **rest)

    monkeypatch.setattr(embedding.current_embedder(), "embed", switch_meanwhile)
    monkeypatch.setattr(searching.searching, "search", note)
    next_model.asked.clear()

    first = found(client, alice, "refunds")
    assert next_model.asked == []
    second = found(client, alice, "refunds")

    (before, _, of_words), (after, _, of_letters) = seen
    assert (before, after) == (WORDS, LETTERS)
    assert of_words == async_to_sync(embed)(["refunds"])[0].tolist()
    assert of_letters == async_to_sync(next_model.embed)(["refunds"])[0].tolist()
    assert first == second != []
