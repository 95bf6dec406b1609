"""Queries without a good result: nothing is found for them, or nobody opens what is."""

import pytest

from apps.knowledge.models import Click
from shared.tenancy.scope import creator_scope
from tests.knowledge.test_searches import made_older

pytestmark = pytest.mark.django_db


# ---- Asked in vain


def test_queries_in_vain_are_counted_together_most_frequent_first(alice, bob, ready, ask, unanswered):
    ready(alice, b"Refunds are paid.")
    for q in ("Zeppelin  Gas", "walrus", "ZEPPELIN gas", "refunds", "zeppelin gas", "Straße", "STRASSE"):
        ask(bob, q)

    assert unanswered(alice) == [("zeppelin gas", 3), ("STRASSE", 2), ("walrus", 1)]
    assert unanswered(alice, limit=1) == [("zeppelin gas", 3)]


def test_of_two_that_are_as_frequent_the_one_asked_last_comes_first(alice, ask, unanswered):
    for q in ("walrus", "zeppelin"):
        ask(alice, q)

    assert unanswered(alice) == [("zeppelin", 1), ("walrus", 1)]


def test_it_says_when_it_was_last_asked(client, alice, ask, listed):
    for q in ("walrus", "Walrus"):
        ask(alice, q)

    (item,) = client.get("/api/v1/searches/unanswered", headers=alice.headers).json()["items"]

    last = listed(alice)[0]["asked_at"]
    assert item == {"query": "Walrus", "reason": "nothing_found", "times": 2, "last_asked_at": last}


def test_a_query_that_has_been_answered_leaves_the_list_until_it_is_asked_in_vain_again(
    client, alice, ready, ask, unanswered
):
    ask(alice, "zeppelins")
    ask(alice, "zeppelins")
    document = ready(alice, b"Zeppelins float.")
    assert unanswered(alice) == [("zeppelins", 2)]

    ask(alice, "ZEPPELINS")
    assert unanswered(alice) == []

    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)
    ask(alice, "Zeppelins")
    assert unanswered(alice) == [("Zeppelins", 1)]


def test_only_the_last_days_count(alice, ask, unanswered):
    ask(alice, "zeppelin")
    assert unanswered(alice) == [("zeppelin", 1)]
    made_older(alice, 10)
    ask(alice, "walrus")

    assert unanswered(alice, days=9) == [("walrus", 1)]
    assert unanswered(alice, days=11) == [("walrus", 1), ("zeppelin", 1)]
    made_older(alice, 25)
    assert unanswered(alice) == [("walrus", 1)]


@pytest.mark.parametrize("query", ["days=0", "days=x", "days=100000", "limit=0", "limit=101", "reason=none"])
def test_days_that_make_no_sense_are_refused(client, alice, query):
    assert client.get(f"/api/v1/searches/unanswered?{query}", headers=alice.headers).status_code == 422


def test_another_creators_questions_are_in_no_list(alice, mallory, ready, ask, listed, unanswered):
    """Nor does their answer take one's own question from the list."""
    ready(mallory, b"Zeppelins float.")
    ask(alice, "zeppelins")
    ask(mallory, "zeppelins")
    ask(mallory, "walrus")

    assert ([item["query"] for item in listed(alice)], unanswered(alice)) == (["zeppelins"], [("zeppelins", 1)])
    assert unanswered(mallory) == [("walrus", 1)]


# ---- Found, and never opened


@pytest.fixture
def never_opened(client):
    """What was found and never opened, as `(query, times)`."""

    def call(person, **query):
        query = {"reason": "never_opened", **query}
        response = client.get("/api/v1/searches/unanswered", query, headers=person.headers)
        assert response.status_code == 200, response.content
        return [(item["query"], item["times"]) for item in response.json()["items"]]

    return call


@pytest.fixture
def told(alice, ready, ask, click):
    """Alice has a document about refunds and cats, and an app that tells of clicks."""
    document = ready(alice, b"Refunds are paid. Cats sleep. Dogs bark.")
    assert click(alice, ask(alice, "dogs")["id"], position=1).status_code == 204
    return document


def test_what_was_asked_three_times_and_never_opened_has_no_good_result(alice, told, ask, never_opened):
    for q in ("Refunds", "refunds", "cats", "cats", "zeppelins", "zeppelins", "zeppelins"):
        ask(alice, q)
    assert never_opened(alice) == []

    ask(alice, "REFUNDS")

    assert never_opened(alice) == [("REFUNDS", 3)]


def test_one_click_on_what_it_finds_takes_it_from_the_list(alice, told, ask, click, never_opened):
    answers = [ask(alice, q) for q in ("refunds", "Refunds", "refunds", "cats", "cats", "cats")]
    assert never_opened(alice) == [("cats", 3), ("refunds", 3)]

    click(alice, answers[1]["id"], position=1)
    ask(alice, "refunds")

    assert never_opened(alice) == [("cats", 3)]


def test_where_no_click_was_ever_told_of_nothing_counts_as_never_opened(alice, ready, ask, unanswered, never_opened):
    ready(alice, b"Refunds are paid.")
    for _ in range(5):
        ask(alice, "refunds")

    assert never_opened(alice) == unanswered(alice) == []


def test_another_creators_clicks_say_nothing_about_ones_own_searches(
    alice, mallory, told, ready, ask, click, never_opened
):
    ready(mallory, b"Refunds are late.")
    for person in (alice, mallory):
        answer = [ask(person, "refunds") for _ in range(3)][-1]
    assert never_opened(mallory) == []  # alice's app tells of clicks, mallory's does not

    click(mallory, answer["id"], position=1)

    assert never_opened(alice) == [("refunds", 3)]
    assert never_opened(mallory) == []


def test_each_query_has_one_reason_that_of_its_last_search(client, alice, told, ask, unanswered, never_opened):
    for _ in range(3):
        ask(alice, "refunds")
    client.delete(f"/api/v1/documents/{told.id}", headers=alice.headers)
    with creator_scope(alice.creator.id):
        assert not Click.objects.exists()
    ask(alice, "refunds")

    assert unanswered(alice) == unanswered(alice, reason="nothing_found") == [("refunds", 1)]
    assert never_opened(alice) == []


def test_what_finds_something_again_is_counted_from_then_on(alice, told, ask, click, ready, unanswered, never_opened):
    for _ in range(3):
        ask(alice, "zeppelins")
    ready(alice, b"Zeppelins float.")
    for _ in range(2):
        ask(alice, "zeppelins")
    assert never_opened(alice) == unanswered(alice) == []

    ask(alice, "zeppelins")

    assert never_opened(alice) == [("zeppelins", 3)]


def test_both_reasons_stand_in_one_list_the_most_frequent_first(client, alice, told, ask):
    for q in ("walrus", "refunds", "refunds", "refunds", *["fjord"] * 4, "zeppelin"):
        ask(alice, q)

    def items(**query):
        return client.get("/api/v1/searches/unanswered", query, headers=alice.headers).json()["items"]

    assert [(item["query"], item["reason"], item["times"]) for item in items()] == [
        ("fjord", "nothing_found", 4),
        ("refunds", "never_opened", 3),
        ("zeppelin", "nothing_found", 1),
        ("walrus", "nothing_found", 1),
    ]
    assert [item["query"] for item in items(limit=2)] == ["fjord", "refunds"]
    assert [item["query"] for item in items(reason="nothing_found")] == ["fjord", "zeppelin", "walrus"]


def test_of_never_opened_ones_too_only_the_last_days_count(alice, told, ask, never_opened):
    for _ in range(2):
        ask(alice, "refunds")
    assert never_opened(alice) == []  # and so written down
    made_older(alice, 10)
    ask(alice, "refunds")

    assert never_opened(alice, days=9) == []
    assert never_opened(alice, days=11) == [("refunds", 3)]
