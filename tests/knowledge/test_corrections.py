"""What a creator has made of passages: it is found as they want it, and stays so."""

from uuid import uuid4

import pytest

from apps.knowledge.models import Correction
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db

OLD = b"# Refunds\n\nRefunds are paid within thirty days.\n\n# Cats\n\nCats sleep on the sofa."
NEW = b"# Refunds\n\nRefunds are paid within ninety days.\n\n# Cats\n\nCats sleep on the sofa."


def found(client, person, q):
    hits = client.get("/api/v1/search", {"q": q}, headers=person.headers).json()["results"]
    return " ".join(hit["text"] for hit in hits)


def passages(client, person, document):
    answer = client.get(f"/api/v1/documents/{document.id}/passages", headers=person.headers)
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def correct(client, person, document, passage, **change):
    url = f"/api/v1/documents/{document.id}/passages/{passage['id']}"
    return client.patch(url, change, content_type="application/json", headers=person.headers)


def test_a_passage_that_was_edited_is_found_by_its_new_words_only(client, alice, ready):
    document = ready(alice, OLD, "shop.md")
    refunds = passages(client, alice, document)[0]

    answer = correct(client, alice, document, refunds, text="Reimbursements take a fortnight.")

    assert answer.status_code == 200, answer.content
    assert (answer.json()["text"], answer.json()["edited"]) == ("Reimbursements take a fortnight.", True)
    assert "fortnight" in found(client, alice, "reimbursements")
    assert "thirty" not in found(client, alice, "refunds within thirty days")


def test_a_hidden_passage_is_found_by_no_search(client, alice, ready):
    document = ready(alice, OLD, "shop.md")
    refunds = passages(client, alice, document)[0]

    assert correct(client, alice, document, refunds, hidden=True).json()["hidden"] is True
    assert "thirty" not in found(client, alice, "refunds thirty days")
    assert [passage["hidden"] for passage in passages(client, alice, document)] == [True, False]

    correct(client, alice, document, refunds, hidden=False)
    assert "thirty" in found(client, alice, "refunds thirty days")


def test_corrections_survive_while_their_passage_stands(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    refunds, cats = passages(client, alice, document)
    correct(client, alice, document, refunds, text="Refunds take a fortnight.")
    correct(client, alice, document, cats, text="Cats sleep everywhere.", hidden=True)

    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    process(alice.actor, document)
    again = passages(client, alice, document)
    assert [(p["text"], p["edited"], p["hidden"]) for p in again] == [
        ("Refunds take a fortnight.", True, False),
        ("Cats sleep everywhere.", True, True),
    ]

    bring_version(alice, document, NEW)
    process(alice.actor, document)
    newer = passages(client, alice, document)
    assert ["ninety" in newer[0]["text"], newer[0]["edited"]] == [True, False]
    assert [newer[1]["text"], newer[1]["hidden"]] == ["Cats sleep everywhere.", True]


def test_the_original_comes_back(client, alice, ready):
    document = ready(alice, OLD, "shop.md")
    refunds = passages(client, alice, document)[0]
    correct(client, alice, document, refunds, text="Something else entirely.")

    answer = correct(client, alice, document, refunds, text=None)

    assert (answer.json()["text"], answer.json()["edited"]) == (refunds["text"], False)
    assert "thirty" in found(client, alice, "refunds")
    with creator_scope(alice.creator.id):
        assert not Correction.objects.exists()


def test_one_of_two_equal_passages_is_corrected_and_stays_so(client, alice, ready, process):
    document = ready(alice, b"# A\n\nThe same words.\n\n# A\n\nThe same words.", "twice.md")
    first, second = passages(client, alice, document)
    assert first["text"] == second["text"]
    correct(client, alice, document, second, text="Other words.")

    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    process(alice.actor, document)

    assert [p["text"] for p in passages(client, alice, document)] == [first["text"], "Other words."]


def test_a_document_whose_every_passage_is_hidden_is_ready_and_silent(client, alice, ready, process):
    document = ready(alice, OLD, "shop.md")
    for passage in passages(client, alice, document):
        correct(client, alice, document, passage, hidden=True)
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)

    assert process(alice.actor, document).status == "ready"
    assert found(client, alice, "refunds cats") == ""


def test_an_edit_holds_after_going_back(client, alice, ready, process, bring_version):
    document = ready(alice, OLD, "shop.md")
    bring_version(alice, document, NEW)
    process(alice.actor, document)
    correct(client, alice, document, passages(client, alice, document)[1], text="Cats are everywhere.")

    client.post(f"/api/v1/documents/{document.id}/versions/1/restore", headers=alice.headers)

    assert passages(client, alice, document)[1]["text"] == "Cats are everywhere."


@pytest.mark.parametrize("text", ["", "   ", "a\x00b", "x" * 4001])
def test_a_text_that_cannot_be_kept_is_refused(client, alice, ready, text):
    document = ready(alice, OLD, "shop.md")

    assert correct(client, alice, document, passages(client, alice, document)[0], text=text).status_code == 422


def test_passages_are_read_page_by_page(client, alice, ready):
    text = "\n\n".join(f"# Part {number}\n\nword{number}" for number in range(5))
    document = ready(alice, text.encode(), "parts.md")
    url = f"/api/v1/documents/{document.id}/passages"

    first = client.get(f"{url}?limit=3", headers=alice.headers).json()
    rest = client.get(f"{url}?limit=3&after={first['next_position']}", headers=alice.headers).json()

    assert [p["position"] for p in first["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert rest["next_position"] is None


def test_a_passage_that_is_gone_says_where_the_new_ones_are(client, alice, bob, ready):
    document = ready(alice, OLD, "shop.md")
    refunds = passages(client, alice, document)[0]

    gone = correct(client, alice, document, {"id": str(uuid4())}, hidden=True)
    edited = correct(client, alice, document, {"id": str(uuid4())}, text="Words.")
    forbidden = correct(client, bob, document, refunds, hidden=True)

    assert (gone.status_code, gone.json()["code"]) == (404, "passage_not_found")
    assert (edited.status_code, edited.json()["code"]) == (404, "passage_not_found")
    assert forbidden.status_code == 403
