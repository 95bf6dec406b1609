from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import embedding
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Version
from apps.knowledge.search import finder
from apps.knowledge.search.finder import Question, find_passages
from apps.knowledge.search.words import Understood
from shared.tenancy.reads import follow
from shared.tenancy.scope import creator_scope
from tests.knowledge import files

pytestmark = pytest.mark.django_db


def asked(client, person, **query):
    response = client.get("/api/v1/search", query, headers=person.headers)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_passage_is_found_by_its_words_with_its_page(client, alice, bob, ready):
    document = ready(alice, files.pdf("Of cats and sofas.", "Of zeppelins and their gas."), "book.pdf")

    answer = asked(client, bob, q="Zeppelin")

    assert answer["query"] == "Zeppelin"
    assert answer["took_ms"] >= 0
    hit = answer["results"][0]
    assert (hit["document_id"], hit["title"], hit["page"], hit["heading"]) == (str(document.id), "book", 2, "")
    assert "gas" in hit["text"]
    assert set(hit) == {"chunk_id", "document_id", "title", "text", "page", "heading", "seconds", "score"} | {
        "highlights",
        "neighbours",
        "scores",
    }


def test_a_passage_is_found_by_its_meaning_with_its_heading(client, alice, ready, real_embedder):
    ready(alice, b"# Refunds\n\nWe return your money within thirty days.\n\n# Cats\n\nThey sleep.", "shop.md")

    results = asked(client, alice, q="how do I get reimbursed")["results"]

    assert results[0]["heading"] == "Refunds"
    assert results[0]["page"] is None


def test_words_that_nobody_wrote_find_nothing(client, alice, ready):
    ready(alice, b"Refunds are paid.")

    assert asked(client, alice, q="zeppelin")["results"] == []


def test_another_creator_finds_nothing(client, alice, mallory, ready):
    document = ready(alice, b"Refunds are paid.")

    assert asked(client, mallory, q="refunds")["results"] == []
    for wanted in (document.id, uuid4()):
        response = client.get("/api/v1/search", {"q": "refunds", "document_id": str(wanted)}, headers=mallory.headers)
        assert response.status_code == 404
        assert response.json()["code"] == "document_not_found"


def test_another_creators_passages_do_not_move_a_score(client, alice, mallory, ready):
    ready(alice, b"# A\n\nRefunds are paid.\n\n# B\n\nCats sleep.", "a.md")
    before = asked(client, alice, q="refunds cats")

    for number in range(5):
        ready(mallory, f"Refunds and cats, number {number}".encode())

    assert asked(client, alice, q="refunds cats")["results"] == before["results"]


def test_a_search_can_be_kept_to_a_tag_or_a_document(client, alice, ready):
    one = ready(alice, b"Refunds are paid.", "one.txt", tags=["money"])
    ready(alice, b"Refunds are late.", "two.txt", tags=["rules"])

    assert len(asked(client, alice, q="refunds")["results"]) == 2
    assert [hit["title"] for hit in asked(client, alice, q="refunds", tag="rules")["results"]] == ["two"]
    assert [hit["title"] for hit in asked(client, alice, q="refunds", document_id=str(one.id))["results"]] == ["one"]
    assert asked(client, alice, q="refunds", tag="nothing")["results"] == []


def test_a_document_gives_three_passages_at_most(client, alice, ready):
    ready(alice, "\n\n".join(f"# Part {n}\n\nRefunds number {n}." for n in range(9)).encode(), "long.md")
    ready(alice, b"One more on refunds.", "short.txt")

    titles = [hit["title"] for hit in asked(client, alice, q="refunds")["results"]]

    assert titles.count("long") == 3
    assert titles.count("short") == 1
    assert len(asked(client, alice, q="refunds", limit=2)["results"]) == 2


def test_by_document_each_is_found_once_with_the_passage_that_speaks_for_it(client, alice, ready):
    long = ready(alice, "\n\n".join(f"# Part {n}\n\nRefunds and cats {n}." for n in range(9)).encode(), "long.md")
    best = ready(alice, b"# One\n\nOf sofas.\n\n# Two\n\nRefunds, refunds, refunds of cats.", "best.md")
    short = ready(alice, b"One more on refunds.", "short.txt")

    results = asked(client, alice, q="refunds cats", group="document", limit=100)["results"]

    assert sorted(hit["document_id"] for hit in results) == sorted(str(one.id) for one in (long, best, short))
    assert next(hit["text"] for hit in results if hit["document_id"] == str(best.id)).endswith("refunds of cats.")
    assert [hit["score"] for hit in results] == sorted((hit["score"] for hit in results), reverse=True)
    assert len(asked(client, alice, q="refunds cats", group="document", limit=2)["results"]) == 2


def test_a_hundred_documents_are_found_when_asked_for(client, alice, ready):
    for number in range(103):
        ready(alice, f"Refunds of number {number}.".encode())

    results = asked(client, alice, q="refunds", group="document", limit=100)["results"]

    assert len({hit["document_id"] for hit in results}) == len(results) == 100


@pytest.mark.parametrize("group", ["passage", "document"])
def test_explained_each_leg_says_what_it_alone_would_have_answered(client, alice, ready, group):
    words = ready(alice, b"Zeppelins fly.", "words.txt")
    meaning = ready(alice, b"Of airships and balloons.", "meaning.txt")

    plain = asked(client, alice, q="zeppelins", group=group)
    answer = asked(client, alice, q="zeppelins", group=group, explain=True)

    assert plain["legs"] is None
    assert [{**hit, "scores": None} for hit in answer["results"]] == plain["results"]
    assert all(hit["scores"].keys() == {"lexical", "vector"} for hit in answer["results"])
    lexical, vector = answer["legs"]["lexical"], answer["legs"]["vector"]
    assert [one["document_id"] for one in lexical] == [str(words.id)]
    assert lexical[0]["chunk_id"] == answer["results"][0]["chunk_id"]
    assert {one["document_id"] for one in vector} == {str(words.id), str(meaning.id)}
    for leg in (lexical, vector):
        assert [one["rank"] for one in leg] == list(range(1, len(leg) + 1))
        assert [one["score"] for one in leg] == sorted((one["score"] for one in leg), reverse=True)


def test_only_owner_and_admins_have_a_search_explained(client, alice, bob, ready):
    ready(alice, b"Refunds are paid.")

    response = client.get("/api/v1/search?q=refunds&explain=true", headers=bob.headers)

    assert (response.status_code, response.json()["code"]) == (403, "role_required")


def test_scores_go_down_the_list(client, alice, ready):
    for number in range(6):
        ready(alice, f"Refunds {'and cats ' * number} number {number}.".encode())

    scores = [hit["score"] for hit in asked(client, alice, q="refunds")["results"]]

    assert scores == sorted(scores, reverse=True)


def test_only_the_version_that_answers_is_searched(client, alice, ready, bring):
    ready(alice, b"Refunds are paid.")
    bring(alice, b"Refunds that wait for their worker.")

    assert [hit["text"] for hit in asked(client, alice, q="refunds")["results"]] == ["Refunds are paid."]
    with creator_scope(alice.creator.id):
        Version.objects.update(live=False)
    assert asked(client, alice, q="refunds")["results"] == []


@pytest.mark.parametrize(
    "q",
    ["'; DROP TABLE knowledge_chunk; --", "a & b | !c:*", "\\ ' \" <->", "%s %(x)s {0}", "the of and", "😀", "x" * 500],
)
def test_no_question_breaks_the_search(client, alice, ready, q):
    ready(alice, b"Refunds are paid.")

    asked(client, alice, q=q)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "   "},
        {"q": "a\x00b"},
        {"q": "x" * 501},
        {"q": "x", "limit": 0},
        {"q": "x", "limit": 101},
        {"q": "x", "group": "tag"},
        {"q": "x", "explain": "perhaps"},
        {"q": "x", "document_id": "abc"},
        {"q": "x", "tag": "a\x00"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client, alice, query):
    assert client.get("/api/v1/search", query, headers=alice.headers).status_code == 422


def test_a_search_without_its_embedding_service_says_so(client, alice, monkeypatch):
    class Away:
        async def embed(self, texts):
            raise EmbeddingUnavailable

    monkeypatch.setattr(embedding, "_embedder", Away())
    response = client.get("/api/v1/search?q=refunds", headers=alice.headers)

    assert response.status_code == 503
    assert response.json()["code"] == "embedding_unavailable"


def test_passages_that_share_no_word_need_to_be_near(alice, ready, monkeypatch):
    ready(alice, b"Refunds are paid.")
    (vector,) = async_to_sync(embedding.current_embedder().embed)(["refunds are paid notes"])
    question = Question("zeppelin", vector, embedder_hash(embedding.current_embedder().name))

    def find():
        return async_to_sync(follow)(alice.actor, lambda: find_passages(question, Understood("zeppelin"))).hits

    assert len(find()) == 1
    monkeypatch.setattr(finder, "NEAR_ENOUGH", 1.1)
    assert find() == []
