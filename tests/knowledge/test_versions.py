"""New content, going back, and what a creator has made of passages."""

import threading
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import embedding, storage
from apps.knowledge.models import Chunk, Vector, Version
from apps.knowledge.services import switching
from shared.tenancy.scope import creator_scope
from tests.knowledge.conftest import WordEmbedder, path_of

pytestmark = pytest.mark.django_db

OLD = b"# Refunds\n\nRefunds are paid within thirty days.\n\n# Cats\n\nCats sleep on the sofa."
NEW = b"# Refunds\n\nRefunds are paid within ninety days.\n\n# Cats\n\nCats sleep on the sofa."


def restore(client, person, document, number):
    return client.post(f"/api/v1/documents/{document.id}/versions/{number}/restore", headers=person.headers)


def found(client, person, q):
    hits = client.get("/api/v1/search", {"q": q}, headers=person.headers).json()["results"]
    return " ".join(hit["text"] for hit in hits)


# ---- New content


def test_new_content_answers_once_it_is_ready_and_the_old_until_then(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")

    answer = bring_version(alice, document, NEW, "shop-2027.md")

    assert answer.status_code == 202
    assert (answer.json()["version"], answer.json()["live_version"]) == (2, 1)
    assert answer.json()["filename"] == "shop-2027.md"
    assert "thirty" in found(client, alice, "refunds")

    assert process(alice.actor, document).live_version == 2
    assert "ninety" in found(client, alice, "refunds")
    assert "thirty" not in found(client, alice, "refunds")


def test_each_version_keeps_its_own_file(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)
    process(alice.actor, document)
    url = f"/api/v1/documents/{document.id}/content"

    newest, first = (client.get(url + query, headers=alice.headers) for query in ("", "?version=1"))
    missing = client.get(f"{url}?version=3", headers=alice.headers)

    assert (b"".join(newest), b"".join(first)) == (NEW, OLD)
    assert (missing.status_code, missing.json()["code"]) == (404, "version_not_found")


def test_the_content_it_has_already_changes_nothing(alice, ready, bring_version):
    document = ready(alice, OLD, "shop.md")

    answer = bring_version(alice, document, OLD)

    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert ProcrastinateJob.objects.filter(task_name="knowledge.process_version").count() == 1


def test_the_content_of_another_document_is_refused_and_names_it(alice, ready, bring_version, settings):
    first, second = ready(alice, OLD, "shop.md"), ready(alice, NEW, "other.md")

    answer = bring_version(alice, second, OLD)

    assert (answer.status_code, answer.json()["code"]) == (409, "content_elsewhere")
    assert str(first.id) in answer.json()["detail"]
    with creator_scope(alice.creator.id):
        assert Version.objects.filter(document=second).count() == 1


def test_newer_content_takes_the_place_of_content_that_is_still_processed(alice, bring, process, bring_version):
    document = bring(alice, OLD, "shop.md")

    assert bring_version(alice, document, NEW).json()["version"] == 2

    document = process(alice.actor, document)
    assert (document.status, document.live_version) == ("ready", 2)
    with creator_scope(alice.creator.id):
        assert list(Version.objects.order_by("number").values_list("status", flat=True)) == ["cancelled", "ready"]


def test_new_content_needs_the_role_editor(bob, alice, ready, bring_version):
    answer = bring_version(bob, ready(alice, OLD, "shop.md"), NEW)

    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


def test_new_content_of_no_document_leaves_no_file(alice, db, bring_version, settings):
    nobody = SimpleNamespace(id=uuid4())

    assert bring_version(alice, nobody, NEW).status_code == 404
    with creator_scope(alice.creator.id):
        assert storage.files_older_than(timedelta(seconds=-1)) == []


def test_a_repeated_request_brings_one_version(alice, ready, bring_version):
    document = ready(alice, OLD, "shop.md")
    key = {"Idempotency-Key": str(uuid4())}

    answers = [bring_version(alice, document, NEW, **key) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    with creator_scope(alice.creator.id):
        assert Version.objects.count() == 2


def test_deleting_a_document_deletes_the_files_of_all_its_versions(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    paths = [path_of(alice, document)]
    bring_version(alice, document, NEW)
    paths.append(path_of(alice, process(alice.actor, document)))
    assert all(default_storage.exists(path) for path in paths)

    assert client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers).status_code == 204

    assert not any(default_storage.exists(path) for path in paths)


# ---- Only what changed is embedded


class Counting(WordEmbedder):
    def __init__(self):
        self.texts = []

    async def embed(self, texts):
        self.texts += texts
        return await super().embed(texts)


def embedded_in(process, alice, document, monkeypatch):
    embedder = Counting()
    monkeypatch.setattr(embedding, "_embedder", embedder)
    document = process(alice.actor, document)
    assert document.status == "ready"
    return [text for text in embedder.texts if text.startswith(document.title)]  # questions have no title in front


def test_only_passages_whose_text_changed_are_embedded(client, alice, ready, process, bring_version, monkeypatch):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)

    assert [text.partition("ninety")[1] for text in embedded_in(process, alice, document, monkeypatch)] == ["ninety"]
    with creator_scope(alice.creator.id):
        assert Vector.objects.filter(live=True).count() == Chunk.objects.filter(version__number=2).count()


def test_the_same_content_again_embeds_nothing(client, alice, ready, process, monkeypatch):
    document = ready(alice, OLD, "shop.md")
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)

    assert embedded_in(process, alice, document, monkeypatch) == []


def test_another_model_embeds_everything(client, alice, ready, process, monkeypatch):
    document = ready(alice, OLD, "shop.md")
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    monkeypatch.setattr(Counting, "name", "another")

    assert len(embedded_in(process, alice, document, monkeypatch)) == 2


# ---- Going back


def test_going_back_answers_at_once(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)
    process(alice.actor, document)

    answer = restore(client, alice, document, 1)

    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["live_version"], answer.json()["status"]) == (2, 1, "ready")
    assert "thirty" in found(client, alice, "refunds")
    assert "ninety" not in found(client, alice, "refunds")


def test_going_back_gives_up_what_is_being_processed(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)

    assert restore(client, alice, document, 1).json()["status"] == "cancelled"
    assert process(alice.actor, document).live_version == 1


def test_an_old_version_whose_passages_are_gone_is_made_anew(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    for number in range(switching.KEPT_VERSIONS):
        bring_version(alice, document, NEW + b"\n\nEdition %d." % number)
        process(alice.actor, document)
    with creator_scope(alice.creator.id):
        kept = Version.objects.filter(keeps_passages=True).values_list("number", flat=True)
        assert sorted(kept) == [2, 3, 4]
        assert set(Chunk.objects.values_list("version__number", flat=True)) == {2, 3, 4}

    answer = restore(client, alice, document, 1)

    assert (answer.status_code, answer.json()["version"]) == (202, 5)
    assert process(alice.actor, document).live_version == 5
    assert "thirty" in found(client, alice, "refunds")


def test_the_version_that_answered_last_keeps_its_passages(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    for number in range(2):
        bring_version(alice, document, NEW + b"\n\nEdition %d." % number)
        process(alice.actor, document)
    restore(client, alice, document, 1)
    bring_version(alice, document, NEW)

    process(alice.actor, document)

    with creator_scope(alice.creator.id):
        kept = Version.objects.filter(keeps_passages=True).values_list("number", flat=True)
        assert sorted(kept) == [1, 3, 4]


def test_what_never_was_ready_cannot_be_restored(client, alice, ready, bring_version):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)

    refused, missing = restore(client, alice, document, 2), restore(client, alice, document, 7)

    assert (refused.status_code, refused.json()["code"]) == (409, "version_not_restorable")
    assert (missing.status_code, missing.json()["code"]) == (404, "version_not_found")


def test_going_back_needs_the_role_editor(client, bob, alice, ready):
    assert restore(client, bob, ready(alice, OLD, "shop.md"), 1).status_code == 403


# ---- Languages


def test_words_are_cut_in_the_language_of_their_document(client, alice, ready):
    german = (
        "Die Bücher der Bibliothek stehen in den Häusern der Stadt, und die Kinder lesen sie gerne an langen Abenden. "
        "Wir haben viele Wörter gesammelt und in Kapiteln geordnet, damit alle sie schnell wiederfinden können."
    )
    document = ready(alice, german.encode(), "buecher.txt")
    ready(alice, b"The books of the library are read by children on long evenings, whenever they like.", "books.txt")

    with creator_scope(alice.creator.id):
        assert sorted(Version.objects.values_list("language", flat=True)) == ["de", "en"]
    hits = client.get("/api/v1/search", {"q": "Buch"}, headers=alice.headers).json()["results"]
    assert [hit["document_id"] for hit in hits][:1] == [str(document.id)]
    assert "books" in found(client, alice, "booking of a book")


# ---- While somebody searches


@pytest.mark.django_db(transaction=True)
def test_a_search_answers_wholly_from_one_version_while_they_switch(client, alice, bring, process, bring_version):
    """Each edition says its number in every passage; a search that mixes two has read across a switch."""

    def edition(number):
        return "\n\n".join(f"# Part {p}\n\nEdition{number} says zeppelin again." for p in range(3)).encode()

    document = process(alice.actor, bring(alice, edition(0), "book.md"))
    stop, seen, problems = threading.Event(), set(), []

    def keep_searching():
        from tests.fixtures.service_integration_fixtures import HubClient

        mine = HubClient()
        while not stop.is_set():
            hits = mine.get("/api/v1/search?q=zeppelin", headers=alice.headers).json()["results"]
            editions = {hit["text"].partition("Edition")[2].split()[0] for hit in hits}
            seen.update(editions)
            if len(editions) != 1 or len(hits) != 3:
                problems.append(hits)
            stop.wait(0.1)  # so many in a minute are allowed, and no more

    searchers = [threading.Thread(target=keep_searching) for _ in range(3)]
    for searcher in searchers:
        searcher.start()
    try:
        for number in range(1, 7):
            bring_version(alice, document, edition(number), "book.md")
            assert process(alice.actor, document).live_version == number + 1
    finally:
        stop.set()
        for searcher in searchers:
            searcher.join()

    assert problems == []
    assert len(seen) > 1
