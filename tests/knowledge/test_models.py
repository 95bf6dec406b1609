"""Another embedding model: its index is built beside the one that answers, then a creator switches, and back."""

from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import embedding, filling, pipeline, tending
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable
from apps.knowledge.models import Cell, Chunk, SearchIndex, Vector, Version
from apps.knowledge.services import filling as filling_service
from apps.knowledge.services.documents import delete_document
from apps.knowledge.services.switching import restore_version
from shared.tenancy.scope import creator_scope
from tests.knowledge.models import (
    LETTERS,
    WORDS,
    Letters,
    answering,
    fill,
    found,
    listed,
    switched,
    vectors,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(alice, ready):
    return ready(alice, b"Refunds are paid within thirty days.", "shop.md")


def jobs():
    return list(ProcrastinateJob.objects.filter(task_name="knowledge.embed_again").order_by("id"))


def tend():
    return async_to_sync(tending.tend_everybody)()


# ---- Which there are


def test_one_model_answers_where_no_other_is_configured(client, alice, document):
    assert embedding.available_models() == [WORDS]
    (model,) = listed(client, alice).values()
    assert (model["id"], model["answers"], model["is_ready"], model["trial"]) == (str(WORDS), True, True, None)
    assert tend() == 0


def test_the_configuration_names_the_next_model(monkeypatch):
    monkeypatch.setenv("NEXT_EMBEDDING_URL", "https://ai.example.com/v1")
    monkeypatch.setenv("NEXT_EMBEDDING_MODEL", "multilingual")
    monkeypatch.setenv("NEXT_EMBEDDING_API_KEY", "secret")
    monkeypatch.setenv("NEXT_EMBEDDING_DIMENSIONS", "1024")

    primary, following = embedding.available_embedders()

    assert (primary.name, primary.dimensions) == ("words", embedding.DIMENSIONS)
    assert following.name == "https://ai.example.com/v1/embeddings multilingual (1024)"
    assert following.dimensions == 1024
    assert following._headers == {"Authorization": "Bearer secret"}


def test_the_model_that_comes_along_can_be_the_next(monkeypatch):
    monkeypatch.setenv("NEXT_EMBEDDING_MODEL", "built-in")

    assert embedding.available_embedders()[1].name.startswith("all-MiniLM-L6-v2 ")


def test_the_same_model_twice_is_one(monkeypatch):
    monkeypatch.setattr(embedding, "_embedder", Letters())
    monkeypatch.setattr(embedding, "_next_embedder", Letters())

    assert embedding.available_models() == [LETTERS]


def test_a_model_that_is_configured_no_more_is_answered_by_the_primary(next_model):
    assert embedding.embedder_of(LETTERS) is next_model
    assert embedding.embedder_of(None).name == embedding.embedder_of(uuid4()).name == "words"


def test_no_address_is_shown(client, alice, document, next_model):
    assert list(listed(client, alice)) == ["words", "letters"]


# ---- Built beside


def test_the_next_model_sees_every_passage_beside_the_one_that_answers(client, alice, document, next_model):
    assert listed(client, alice)["letters"]["passages_done"] == 0
    assert tend() == 1
    assert tend() == 0
    assert found(client, alice)

    fill(alice)

    state = listed(client, alice)["letters"]
    assert (state["passages_done"], state["passages"], state["is_ready"], state["answers"]) == (1, 1, True, False)
    assert vectors(alice, WORDS) == vectors(alice, LETTERS, live=True, hidden=False) == 1
    ProcrastinateJob.objects.all().delete()
    assert tend() == 0


def test_a_version_that_is_being_processed_does_not_wait_for_the_next_model(alice, bring, process, next_model):
    document = process(alice.actor, bring(alice, b"Cats sleep all day."))

    assert document.status == "ready"
    assert next_model.asked == []
    assert tend() == 1


def test_the_oldest_come_first_and_sixteen_at_a_time(alice, ready, next_model):
    for number in range(20):
        ready(alice, f"Text number {number}.".encode(), f"{number:02}.txt")

    fill(alice)

    assert [len(texts) for texts in next_model.asked] == [16, 4]
    assert next_model.asked[0][0] == "00\nText number 0."
    assert next_model.asked[1][-1] == "19\nText number 19."


def test_what_changes_is_filled_again(client, alice, document, ready, bring_version, process, serve, next_model):
    fill(alice)
    with creator_scope(alice.creator.id):
        chunk = Chunk.objects.get()
    url = f"/api/v1/documents/{document.id}/passages/{chunk.id}"
    client.patch(url, {"text": "Refunds take a year."}, content_type="application/json", headers=alice.headers)
    assert (vectors(alice, WORDS), vectors(alice, LETTERS)) == (1, 0)
    assert not listed(client, alice)["letters"]["is_ready"]
    assert tend() == 1
    fill(alice)
    assert next_model.asked[-1] == ["shop\nRefunds take a year."]

    bring_version(alice, document, b"Refunds are paid at once.")
    process(alice.actor, document)
    fill(alice)
    assert vectors(alice, LETTERS, live=True) == 1
    asked = len(next_model.asked)

    serve(alice.actor, restore_version, document_id=document.id, number=1)
    fill(alice)
    assert len(next_model.asked) == asked  # what can be restored has its vectors already
    assert vectors(alice, LETTERS, live=True) == 1
    assert vectors(alice, LETTERS) == vectors(alice, WORDS) == 2


def test_vectors_of_many_dimensions_stay_in_their_rows(alice, document, next_model):
    fill(alice)

    assert vectors(alice, LETTERS) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'knowledge_vector'")
        assert cursor.fetchone() == (0,)


def test_passages_that_stay_are_not_embedded_again(alice, document, bring_version, process, next_model):
    fill(alice)
    asked = len(next_model.asked)
    bring_version(alice, document, b"Refunds are paid within thirty days.\n", name="shop.txt")
    process(alice.actor, document)

    fill(alice)

    assert len(next_model.asked) == asked
    assert vectors(alice, LETTERS, live=True) == 1


def test_an_edit_meanwhile_leaves_no_vector_of_the_old_text(client, alice, document, serve, next_model):
    (old,) = serve(alice.actor, filling_service.passages_to_fill, model=LETTERS, after=None, limit=16)
    with creator_scope(alice.creator.id):
        chunk = Chunk.objects.get()
    url = f"/api/v1/documents/{document.id}/passages/{chunk.id}"
    client.patch(url, {"text": "Refunds take a year."}, content_type="application/json", headers=alice.headers)
    one = filling_service.Filled(old, pipeline.HalfVector([1.0] * embedding.DIMENSIONS))

    assert serve(alice.actor, filling_service.fill, embedder=Letters.name, filled=[one]) == 0

    assert vectors(alice, LETTERS) == 0
    serve(alice.actor, delete_document, document_id=document.id)
    assert serve(alice.actor, filling_service.fill, embedder=Letters.name, filled=[one]) == 0


def test_an_endpoint_that_is_away_is_tried_later_and_holds_up_no_other_model(alice, document, monkeypatch):
    class Away(Letters):
        name = "away"

        async def embed(self, texts):
            raise EmbeddingUnavailable

    monkeypatch.setattr(embedding, "_embedder", Away())
    monkeypatch.setattr(embedding, "_next_embedder", Letters())

    fill(alice)

    assert vectors(alice, LETTERS) == 1
    assert tend() == 1


def test_it_gives_way_to_files_that_wait(alice, mallory, document, bring, next_model, monkeypatch):
    monkeypatch.setattr(filling, "_TURN_SECONDS", -1.0)
    bring(mallory, b"Waits for a worker.")

    fill(alice)

    assert next_model.asked == []
    assert len(jobs()) == 1
    assert tend() == 0  # the job that was left is the one
    ProcrastinateJob.objects.filter(task_name="knowledge.process_version").delete()
    ProcrastinateJob.objects.filter(task_name="knowledge.embed_again").delete()
    fill(alice)
    assert vectors(alice, LETTERS) == 1


# ---- Gone from the configuration


def test_the_night_forgets_vectors_of_models_that_are_configured_no_more(
    client, alice, document, next_model, monkeypatch
):
    fill(alice)
    switched(client, alice, LETTERS)
    with creator_scope(alice.creator.id):
        Cell.objects.create(model=LETTERS, number=1, size=1, centre=[1.0] * 3)
        SearchIndex.objects.update(cell_model=LETTERS)
    async_to_sync(tending.tidy_indexes)()
    assert vectors(alice, LETTERS) == 1  # while it is configured, it stays

    monkeypatch.setattr(embedding, "_next_embedder", None)
    assert answering(client, alice) == "words"
    assert found(client, alice)
    async_to_sync(tending.tidy_indexes)()

    assert (vectors(alice, LETTERS), vectors(alice, WORDS)) == (0, 1)
    with creator_scope(alice.creator.id):
        index = SearchIndex.objects.get()
        assert not Cell.objects.exists()
    # Should it be configured again, it begins anew and does not answer before it is whole.
    assert (index.model, index.cell_model) == (None, None)
    monkeypatch.setattr(embedding, "_next_embedder", next_model)
    assert answering(client, alice) == "words"


def test_vectors_are_forgotten_some_at_a_time(alice, ready, next_model, monkeypatch):
    for number in range(3):
        ready(alice, f"Text number {number}.".encode(), f"{number}.txt")
    fill(alice)
    monkeypatch.setattr(embedding, "_next_embedder", None)
    monkeypatch.setattr(tending, "VECTORS_AT_ONCE", 2)

    async_to_sync(tending.tidy_indexes)()

    assert (vectors(alice, LETTERS), vectors(alice, WORDS)) == (0, 3)


def test_a_primary_that_was_replaced_is_filled_too(client, alice, document, monkeypatch):
    monkeypatch.setattr(embedding, "_embedder", Letters())
    assert tend() == 1

    fill(alice)

    with creator_scope(alice.creator.id):
        assert Vector.objects.filter(version__in=Version.objects.filter(live=True), model=LETTERS).count() == 1
    assert listed(client, alice)["letters"]["is_ready"]
