"""What people searched for: listed, clicked on, counted when it was asked in vain. Never by whom."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import embedding, search_log, tending
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable
from apps.knowledge.models import Chunk, Click, Search
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db


def made_older(person, days):
    with creator_scope(person.creator.id):
        for search in Search.objects.all():
            Search.objects.filter(id=search.id).update(asked_at=search.asked_at - timedelta(days=days))


# ---- Remembered


def test_a_search_is_remembered_with_what_it_found(alice, bob, ready, ask, listed):
    ready(alice, b"Refunds are paid.")

    answer = ask(bob, "Refunds  ")
    (search,) = listed(alice)

    assert UUID(answer["id"]).version == 7
    assert search.pop("asked_at") is not None
    assert search == {
        "id": answer["id"],
        "query": "Refunds",
        "took_ms": answer["took_ms"],
        "results": 1,
        "good": True,
        "clicks": [],
    }


def test_nothing_is_kept_of_who_asked():
    kept = {model: {field.column for field in model._meta.concrete_fields} for model in (Search, Click)}

    assert kept[Search] == {"creator_id", "id", "query", "normal_form", "hits", "good", "took_ms", "asked_at"}
    assert kept[Click] == {"creator_id", "id", "search_id", "document_id", "chunk_id", "position", "clicked_at"}


def test_searches_come_newest_first_and_page_by_page(client, alice, ask):
    for number in range(5):
        ask(alice, f"question {number}")

    pages, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/v1/searches?limit=2&cursor={cursor}", headers=alice.headers).json()
        pages.append([item["query"][-1] for item in page["items"]])
        cursor = page["next_cursor"]

    assert pages == [["4", "3"], ["2", "1"], ["0"]]


def test_the_list_is_filtered_by_whether_there_was_a_good_result(alice, ready, ask, listed):
    ready(alice, b"Refunds are paid.")
    for q in ("refunds", "zeppelins"):
        ask(alice, q)

    assert [item["query"] for item in listed(alice, good="false")] == ["zeppelins"]
    assert [item["query"] for item in listed(alice, good="true")] == ["refunds"]


def test_what_is_good_is_said_in_one_place(alice, ready, ask, listed, unanswered, monkeypatch):
    monkeypatch.setattr(search_log, "is_good", lambda answer: len(answer.results) > 1)
    ready(alice, b"Refunds are paid.")

    ask(alice, "refunds")

    assert [(item["results"], item["good"]) for item in listed(alice)] == [(1, False)]
    assert unanswered(alice) == [("refunds", 1)]


@pytest.mark.parametrize("query", ["good=perhaps", "limit=0", "limit=101", "cursor=%2A", "cursor=AAAA"])
def test_a_filter_that_makes_no_sense_is_refused(client, alice, query):
    assert client.get(f"/api/v1/searches?{query}", headers=alice.headers).status_code == 422


def test_what_the_hub_looks_for_by_itself_is_not_remembered(alice, ready, listed):
    ready(alice, b"Refunds are paid.")  # found by the last step of its processing

    assert listed(alice) == []


def test_what_was_refused_is_not_remembered(client, alice, listed, monkeypatch):
    class Away:
        async def embed(self, texts):
            raise EmbeddingUnavailable

    assert client.get("/api/v1/search?q=", headers=alice.headers).status_code == 422
    assert client.get(f"/api/v1/search?q=x&document_id={uuid4()}", headers=alice.headers).status_code == 404
    monkeypatch.setattr(embedding, "_embedder", Away())
    assert client.get("/api/v1/search?q=x", headers=alice.headers).status_code == 503

    assert listed(alice) == []


@pytest.mark.parametrize("q", ["ß" * 500, "\u0390" * 500, "\U0001d160" * 500, "x" * 500, "\U0001f600" * 500])
def test_the_longest_question_is_remembered_however_much_longer_its_normal_form_is(alice, ask, listed, unanswered, q):
    ask(alice, q)

    assert len(listed(alice)[0]["query"]) == 500
    assert [times for _, times in unanswered(alice)] == [1]


def test_where_nothing_shall_be_kept_nothing_is(settings, alice, ready, ask, listed, click):
    settings.SEARCHES_KEPT_DAYS = 0
    ready(alice, b"Refunds are paid.")

    answer = ask(alice, "refunds")

    assert UUID(answer["id"])
    assert listed(alice) == []
    assert click(alice, answer["id"], chunk_id=answer["results"][0]["chunk_id"]).status_code == 404


# ---- Clicked on


def test_a_click_says_what_was_opened_and_where_it_stood(alice, bob, ready, ask, listed, click):
    for number in range(3):
        ready(alice, f"Refunds {'and cats ' * number}".encode())
    answer = ask(bob, "refunds")
    hit = answer["results"][1]

    response = click(bob, answer["id"], chunk_id=hit["chunk_id"], document_id=hit["document_id"])

    assert (response.status_code, response.content) == (204, b"")
    (opened,) = listed(alice)[0]["clicks"]
    assert opened.pop("clicked_at") is not None
    assert opened == {"chunk_id": hit["chunk_id"], "document_id": hit["document_id"], "position": 2}


def test_the_same_click_counts_once_and_another_one_as_well(alice, ready, ask, listed, click):
    ready(alice, b"Refunds are paid.", "one.txt")
    ready(alice, b"Refunds are late.", "two.txt")
    answer = ask(alice, "refunds")
    first, second = (hit["chunk_id"] for hit in answer["results"])

    for chunk_id in (first, second, first, first):
        assert click(alice, answer["id"], chunk_id=chunk_id).status_code == 204

    assert [one["chunk_id"] for one in listed(alice)[0]["clicks"]] == [first, second]


def test_a_passage_that_was_not_shown_has_no_place(alice, ready, ask, listed, click):
    ready(alice, b"Cats sleep.")
    answer = ask(alice, "zeppelins")
    with creator_scope(alice.creator.id):
        chunk_id = Chunk.objects.values_list("id", flat=True).get()

    assert click(alice, answer["id"], chunk_id=str(chunk_id)).status_code == 204
    assert [one["position"] for one in listed(alice)[0]["clicks"]] == [None]


def test_a_click_may_name_the_place_of_what_was_opened_instead(alice, ready, ask, listed, click):
    for number in range(3):
        ready(alice, f"Refunds {'and cats ' * number}".encode())
    answer = ask(alice, "refunds")
    third = answer["results"][2]

    assert click(alice, answer["id"], position=3).status_code == 204
    assert click(alice, answer["id"], position=2, document_id=answer["results"][1]["document_id"]).status_code == 204

    clicks = listed(alice)[0]["clicks"]
    assert [one["position"] for one in clicks] == [3, 2]
    assert (clicks[0]["chunk_id"], clicks[0]["document_id"]) == (third["chunk_id"], third["document_id"])


def test_a_place_that_nothing_was_shown_at_is_none_nor_is_that_of_another_document(alice, ready, ask, click):
    ready(alice, b"Refunds are paid.")
    other = ready(alice, b"Cats sleep.")
    answer = ask(alice, "refunds")

    beyond = click(alice, answer["id"], position=len(answer["results"]) + 1)
    elsewhere = click(alice, answer["id"], position=1, document_id=str(other.id))

    assert {(response.status_code, response.json()["code"]) for response in (beyond, elsewhere)} == {
        (404, "passage_not_found")
    }


def test_a_place_whose_passage_is_gone_is_none(client, alice, ready, ask, click):
    document = ready(alice, b"Refunds are paid.")
    answer = ask(alice, "refunds")
    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    assert click(alice, answer["id"], position=1).json()["code"] == "passage_not_found"


def without_request(response):
    return response.status_code, {name: value for name, value in response.json().items() if name != "request_id"}


def test_a_foreign_search_is_like_none(alice, mallory, ready, ask, click):
    ready(alice, b"Refunds are paid.")
    ready(mallory, b"Umbrellas are opened.")
    theirs, mine = ask(alice, "refunds"), ask(mallory, "umbrellas")
    chunk_id = mine["results"][0]["chunk_id"]
    click(alice, theirs["id"], chunk_id=theirs["results"][0]["chunk_id"])

    answers = [without_request(click(mallory, search_id, chunk_id=chunk_id)) for search_id in (theirs["id"], uuid4())]

    assert answers[0] == answers[1]
    assert (answers[0][0], answers[0][1]["code"]) == (404, "search_not_found")


def test_a_foreign_passage_is_like_none(alice, mallory, ready, ask, click, listed):
    ready(alice, b"Refunds are paid.")
    document = ready(mallory, b"Umbrellas are opened.")
    theirs, mine = ask(alice, "refunds"), ask(mallory, "umbrellas")
    own = mine["results"][0]["chunk_id"]

    wrong = [{"chunk_id": theirs["results"][0]["chunk_id"]}, {"chunk_id": str(uuid4())}]
    wrong += [
        {"chunk_id": own, "document_id": str(uuid4())},
        {"chunk_id": str(uuid7()), "document_id": str(document.id)},
    ]
    answers = [without_request(click(mallory, mine["id"], **body)) for body in wrong]

    assert {answer[0] for answer in answers} == {404}
    assert {answer[1]["code"] for answer in answers} == {"passage_not_found"}
    assert all(answer == answers[0] for answer in answers)
    assert listed(mallory)[0]["clicks"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"chunk_id": None},
        {"chunk_id": "x"},
        {"chunk_id": 7},
        {"document_id": "x"},
        {"document_id": str(UUID(int=1))},
        {"chunk_id": str(UUID(int=1)), "position": 1},
        {"position": 0},
        {"position": -1},
        {"position": 101},
    ],
)
def test_a_click_on_nothing_is_refused(alice, click, body):
    assert click(alice, uuid4(), **body).status_code == 422


def test_a_deleted_document_takes_the_clicks_on_it_along_and_the_search_stays(client, alice, ready, ask, click, listed):
    document = ready(alice, b"Refunds are paid.")
    answer = ask(alice, "refunds")
    click(alice, answer["id"], chunk_id=answer["results"][0]["chunk_id"])

    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    assert [(item["query"], item["clicks"]) for item in listed(alice)] == [("refunds", [])]


# ---- Forgotten


def test_the_clock_forgets_what_has_had_its_time_and_only_that(settings, alice, mallory, ready, ask, click, listed):
    ready(alice, b"Refunds are paid.")
    answer = ask(alice, "refunds")
    click(alice, answer["id"], chunk_id=answer["results"][0]["chunk_id"])
    ask(mallory, "walrus")
    listed(mallory)
    made_older(alice, 90)
    made_older(mallory, 89)
    ask(alice, "cats")
    listed(alice)

    assert async_to_sync(tending.trim_searches)() == 1

    assert [item["query"] for item in listed(alice)] == ["cats"]
    assert [item["query"] for item in listed(mallory)] == ["walrus"]
    with creator_scope(alice.creator.id):
        assert Click.objects.count() == 0


def test_the_clock_forgets_some_at_a_time_until_all_are_gone(settings, alice, ask, listed, monkeypatch):
    monkeypatch.setattr(tending, "SEARCHES_AT_ONCE", 2)
    for number in range(5):
        ask(alice, f"question {number}")
    assert len(listed(alice)) == 5
    settings.SEARCHES_KEPT_DAYS = 0

    assert async_to_sync(tending.trim_searches)() == 5
    assert listed(alice) == []
