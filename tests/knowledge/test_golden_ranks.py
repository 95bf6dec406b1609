"""What a rank is, when it is a regression, and that a passage is the same one after processing."""

from uuid import uuid4

import pytest

from apps.knowledge.golden import FIRST, is_regression, model_label
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import GoldenQuestion
from tests.knowledge.golden import change, one, pinned, run_all, run_waiting, told

pytestmark = pytest.mark.django_db

SHOP = b"# Refunds\n\nRefunds are paid within thirty days.\n\n# Cats\n\nCats sleep on the sofa."
OTHER_REFUNDS = b"# Refunds\n\nRefunds are paid within ninety days.\n\n# Cats\n\nCats sleep on the sofa."


def passage_with(client, person, document, word):
    url = f"/api/v1/documents/{document.id}/passages"
    items = client.get(url, headers=person.headers).json()["items"]
    return next(item["id"] for item in items if word in item["text"])


def correct(client, person, document, passage, **changes):
    url = f"/api/v1/documents/{document.id}/passages/{passage}"
    answer = client.patch(url, changes, content_type="application/json", headers=person.headers)
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        (None, None, False),
        (None, 1, False),
        (1, 1, False),
        (1, 3, False),
        (3, 4, True),
        (1, 50, True),
        (4, 50, False),
        (50, None, True),
        (1, None, True),
        (4, 1, False),
    ],
)
def test_a_regression_is_lost_or_left_the_first_three(before, now, worse):
    assert FIRST == 3
    assert is_regression(before, now) is worse


def test_a_warning_lasts_until_the_rank_is_good_again():
    question = GoldenQuestion(creator_id=uuid4(), rank=2)
    told = [question.note_rank(rank, at=None, passage_gone=False) for rank in (None, None, 7, 3, 3, None)]

    assert told == [True, False, False, False, False, True]
    assert (question.rank_before, question.rank, question.regressed) == (3, None, True)


def test_while_it_is_worse_the_rank_before_is_the_one_it_fell_from():
    question = GoldenQuestion(creator_id=uuid4(), rank=1)
    for rank in (9, 12):
        question.note_rank(rank, at=None, passage_gone=False)
        assert (question.rank_before, question.regressed) == (1, True)

    question.note_rank(2, at=None, passage_gone=False)
    assert (question.rank_before, question.regressed) == (1, False)


def test_the_models_name_holds_no_address():
    assert model_label("http://models.internal/v1/embeddings small-3") == "small-3"
    assert embedder_hash("one") != embedder_hash("two")


def test_a_document_counts_once_for_a_document_question(client, alice, ready):
    long = "\n\n".join(f"# Part {number}\n\nRefunds are paid by walrus {number}." for number in range(3))
    ready(alice, long.encode(), "refunds.md")
    wanted = ready(alice, b"One more sentence that speaks of refunds and of many other things.", "more.txt")
    question = pinned(client, alice, "refunds paid by walrus", wanted)

    run_all(alice)

    results = client.get("/api/v1/search?q=refunds+paid+by+walrus", headers=alice.headers).json()["results"]
    titles = [hit["title"] for hit in results]
    assert titles.index("more") > 1  # behind several passages of one document
    assert one(client, alice, question)["rank"] == 2


def test_a_passage_counts_by_its_own_place(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    cats = passage_with(client, alice, document, "Cats")
    question = pinned(client, alice, "refunds in thirty days sofa", document, cats)
    whole = pinned(client, alice, "refunds in thirty days sofa", document)

    run_all(alice)

    place = next(
        number
        for number, hit in enumerate(
            client.get("/api/v1/search?q=refunds+in+thirty+days+sofa", headers=alice.headers).json()["results"], start=1
        )
        if hit["chunk_id"] == cats
    )
    assert place > 1
    assert one(client, alice, question)["rank"] == place
    assert one(client, alice, whole)["rank"] == 1


def test_what_stands_far_down_is_found_all_the_same(client, alice, ready):
    wanted = ready(alice, b"One more sentence that speaks of refunds and of many other things.", "more.txt")
    for number in range(12):
        ready(alice, f"Refunds {number}.".encode())
    question = pinned(client, alice, "refunds", wanted)

    run_all(alice)

    assert one(client, alice, question)["rank"] == 13


def test_what_is_not_among_the_results_has_no_rank(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    question = pinned(client, alice, "zeppelin", document)
    assert question["state"] == "waiting"

    run_all(alice)

    found = one(client, alice, question)
    assert (found["rank"], found["state"], found["regressed"]) == (None, "not_found", False)
    assert told(alice, "golden.regressed") == []


def test_a_passage_is_the_same_one_after_processing_and_after_an_edit(client, alice, ready, process):
    document = ready(alice, SHOP, "shop.md")
    refunds = passage_with(client, alice, document, "thirty")
    question = pinned(client, alice, "when are refunds paid", document, refunds)
    run_all(alice)
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    process(alice.actor, document)
    again = passage_with(client, alice, document, "thirty")
    assert again != refunds

    assert run_waiting(alice).reasons == ["document_ready"]
    found = one(client, alice, question)
    assert (found["rank"], found["rank_before"], found["state"]) == (1, 1, "found")

    correct(client, alice, document, again, text="Refunds are paid soon, when you ask.")
    run_all(alice)
    assert one(client, alice, question)["rank"] == 1


def test_the_second_of_two_equal_passages_is_told_from_the_first(client, alice, ready):
    document = ready(alice, b"# A\n\nThe same words.\n\n# A\n\nThe same words.", "twice.md")
    items = client.get(f"/api/v1/documents/{document.id}/passages", headers=alice.headers).json()["items"]
    first, second = (pinned(client, alice, "the same words", document, item["id"]) for item in items)

    run_all(alice)
    assert {one(client, alice, first)["rank"], one(client, alice, second)["rank"]} == {1, 2}

    correct(client, alice, document, items[1]["id"], hidden=True)
    run_all(alice)
    assert one(client, alice, first)["rank"] == 1
    assert one(client, alice, second)["rank"] is None


def test_a_hidden_passage_is_a_regression_until_it_is_shown_again(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    refunds = passage_with(client, alice, document, "thirty")
    question = pinned(client, alice, "when are refunds paid", document, refunds)
    run_all(alice)
    correct(client, alice, document, refunds, hidden=True)

    assert run_waiting(alice).regressed == 1
    found = one(client, alice, question)
    assert (found["rank"], found["rank_before"], found["state"], found["regressed"]) == (None, 1, "regressed", True)
    assert not found["passage_gone"]
    (event,) = told(alice, "golden.regressed")
    assert str(event.subject) == question["id"]
    assert event.data == f'{{"rank":null,"rank_before":1,"document_id":"{document.id}"}}'

    correct(client, alice, document, refunds, hidden=False)
    assert run_waiting(alice).regressed == 0
    assert one(client, alice, question)["state"] == "found"
    assert len(told(alice, "golden.regressed")) == 1


def test_a_warning_is_told_once_and_stays(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    refunds = passage_with(client, alice, document, "thirty")
    question = pinned(client, alice, "when are refunds paid", document, refunds)
    run_all(alice)
    correct(client, alice, document, refunds, hidden=True)
    run_all(alice)

    client.patch(
        f"/api/v1/documents/{document.id}",
        {"title": "Something new"},
        content_type="application/json",
        headers=alice.headers,
    )
    run_all(alice)

    found = one(client, alice, question)
    assert (found["state"], found["rank_before"], found["document_title"]) == ("regressed", 1, "Something new")
    assert len(told(alice, "golden.regressed")) == 1
    assert [result["regressed"] for result in found["history"]] == [True, True, False]


def test_being_pushed_out_of_the_first_three_is_a_regression(client, alice, ready):
    document = ready(alice, b"Walrus songs, and many words besides about tea and the harbour.", "songs.txt")
    question = pinned(client, alice, "walrus songs", document)
    run_all(alice)
    for number in range(3):
        ready(alice, f"Walrus songs {number}.".encode())

    assert run_all(alice) == 1
    found = one(client, alice, question)
    assert (found["rank"], found["rank_before"], found["regressed"]) == (4, 1, True)


def test_a_new_version_without_the_passage_says_so(client, alice, ready, process, bring_version):
    document = ready(alice, SHOP, "shop.md")
    question = pinned(client, alice, "when are refunds paid", document, passage_with(client, alice, document, "thirty"))
    whole = pinned(client, alice, "when are refunds paid", document)
    run_all(alice)
    bring_version(alice, document, OTHER_REFUNDS)
    process(alice.actor, document)
    run_all(alice)

    found = one(client, alice, question)
    assert (found["state"], found["passage_gone"], found["rank"]) == ("regressed", True, None)
    assert "thirty days" in found["passage"]
    assert one(client, alice, whole)["rank"] == 1

    client.post(f"/api/v1/documents/{document.id}/versions/1/restore", headers=alice.headers)
    assert run_waiting(alice).reasons == ["document_restored"]
    found = one(client, alice, question)
    assert (found["state"], found["passage_gone"], found["rank"]) == ("found", False, 1)


def test_a_question_outlives_its_document_and_says_so(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    other = ready(alice, b"Refunds are a matter of the heart.", "heart.txt")
    question = pinned(client, alice, "when are refunds paid", document, passage_with(client, alice, document, "thirty"))
    stays = pinned(client, alice, "a matter of the heart", other)
    run_all(alice)
    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    gone = one(client, alice, question)
    assert (gone["state"], gone["document_id"], gone["document_title"]) == ("target_gone", None, "shop")
    assert (gone["rank"], gone["rank_before"], gone["regressed"]) == (None, 1, False)
    run = run_waiting(alice)
    assert (run.reasons, run.questions, run.target_gone, run.regressed) == (["document_deleted"], 1, 1, 0)
    assert one(client, alice, question)["state"] == "target_gone"
    assert one(client, alice, stays)["state"] == "found"
    assert told(alice, "golden.regressed") == []


def test_a_worse_question_whose_document_goes_is_worse_no_more(client, alice, ready):
    document = ready(alice, SHOP, "shop.md")
    refunds = passage_with(client, alice, document, "thirty")
    question = pinned(client, alice, "when are refunds paid", document, refunds)
    run_all(alice)
    correct(client, alice, document, refunds, hidden=True)
    run_all(alice)
    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    gone = one(client, alice, question)
    assert (gone["state"], gone["rank_before"], gone["regressed"]) == ("target_gone", 1, False)

    other = ready(alice, b"Refunds come in spring.", "spring.txt")
    change(client, alice, question, document_id=str(other.id))
    run_all(alice)
    found = one(client, alice, question)
    assert (found["state"], found["rank_before"], found["passage"]) == ("found", None, "")


def test_another_creators_documents_do_not_move_a_rank(client, alice, mallory, ready):
    document = ready(alice, SHOP, "shop.md")
    question = pinned(client, alice, "when are refunds paid", document)
    for number in range(5):
        ready(mallory, f"When are refunds paid, number {number}".encode())
    run_all(alice)

    assert one(client, alice, question)["rank"] == 1
