"""Where to look, and what is shown around a passage."""

from datetime import UTC, datetime

import pytest

from apps.knowledge.models import Document
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def dated(alice, ready):
    """Three documents, by the day they came."""
    days = {}
    for day in (1, 2, 3):
        document = ready(alice, f"Refunds of day {day}.".encode(), f"{day}.txt")
        with creator_scope(alice.creator.id):
            Document.objects.filter(id=document.id).update(created_at=datetime(2026, 3, day, 23, 59, 59, tzinfo=UTC))
        days[str(document.id)] = day
    return days


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, {1, 2, 3}),
        ({"from": "2026-03-02"}, {2, 3}),
        ({"to": "2026-03-02"}, {1, 2}),
        ({"from": "2026-03-02", "to": "2026-03-02"}, {2}),
        ({"from": "2026-03-04"}, set()),
    ],
)
def test_a_search_can_be_kept_to_days_both_included(ask, alice, dated, query, days):
    results = ask(alice, "refunds", **query)["results"]

    assert {dated[hit["document_id"]] for hit in results} == days


def test_a_search_can_be_kept_to_a_language(ask, alice, ready):
    german = ready(alice, "Die Katze schläft auf dem alten Sofa und träumt von Mäusen.".encode(), "katze.txt")
    ready(alice, b"The cat sleeps on the old sofa, and dreams of mice in the house.", "cat.txt")

    assert len(ask(alice, "sofa")["results"]) == 2
    assert [hit["document_id"] for hit in ask(alice, "sofa", language="de")["results"]] == [str(german.id)]
    assert ask(alice, "sofa", language="fr")["results"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"to": "2026-02-30"},
        {"language": "German"},
        {"language": "%"},
        {"neighbours": 4},
        {"neighbours": -1},
    ],
)
def test_what_makes_no_sense_is_refused(client, alice, query):
    assert client.get("/api/v1/search", {"q": "x", **query}, headers=alice.headers).status_code == 422


def test_highlights_say_where_the_words_are(ask, alice, ready):
    ready(alice, b"Refunds for cancelled courses: we refund all of it.")

    hit = ask(alice, "refund of a cancellation")["results"][0]

    marked = [hit["text"][one["start"] : one["end"]] for one in hit["highlights"]]
    assert marked == ["Refunds", "cancelled", "refund"]


def test_highlights_are_of_the_words_that_were_searched_for(ask, alice, ready):
    ready(alice, "Zwölf 😀 Refunds.".encode())

    (hit,) = ask(alice, "refnuds")["results"]

    assert [hit["text"][one["start"] : one["end"]] for one in hit["highlights"]] == ["Refunds"]


def test_neighbours_stand_around_a_passage_in_their_order(client, ask, alice, ready):
    text = "\n\n".join(f"# Part {n}\n\nOf {word}." for n, word in enumerate(["cats", "dogs", "zeppelins", "gas"]))
    document = ready(alice, text.encode(), "parts.md")
    passages = client.get(f"/api/v1/documents/{document.id}/passages", headers=alice.headers).json()["items"]

    def beside(**query):
        hits = ask(alice, "zeppelins", **query)["results"]
        hit = next(hit for hit in hits if "zeppelins" in hit["text"])
        return [(one["away"], one["chunk_id"]) for one in hit["neighbours"]]

    ids = [passage["id"] for passage in passages]
    assert beside() == []
    assert beside(neighbours=1) == [(-1, ids[1]), (1, ids[3])]
    assert beside(neighbours=3) == [(-2, ids[0]), (-1, ids[1]), (1, ids[3])]
    path = f"/api/v1/documents/{document.id}/passages/{ids[1]}"
    client.patch(path, {"hidden": True}, headers=alice.headers, content_type="application/json")
    assert beside(neighbours=1) == [(1, ids[3])]


def test_explained_a_search_says_how_much_each_leg_counts(ask, alice, ready):
    ready(alice, b"Zeppelins fly.")
    ready(alice, b"Of zeppelins and balloons over the sea.")

    answer = ask(alice, "zeppelins", explain=True)

    assert answer["legs"]["weights"] == {"lexical": 0.5, "vector": 0.5}
    by_id = {one["chunk_id"]: one["score"] for one in answer["legs"]["lexical"]}
    assert {hit["chunk_id"]: hit["scores"]["lexical"] for hit in answer["results"]} == by_id
