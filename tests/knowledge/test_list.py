import pytest

from apps.knowledge.models import Document
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db


def listed(client, person, query=""):
    response = client.get(f"/api/v1/documents{query}", headers=person.headers)
    assert response.status_code == 200, response.content
    return response.json()


def test_documents_come_newest_first_and_page_by_page(client, alice, bring):
    for number in range(5):
        bring(alice, f"text {number}".encode(), f"{number}.txt")

    first = listed(client, alice, "?limit=2")
    bring(alice, b"brought meanwhile", "new.txt")
    second = listed(client, alice, f"?limit=2&cursor={first['next_cursor']}")
    third = listed(client, alice, f"?limit=2&cursor={second['next_cursor']}")

    titles = [item["title"] for page in (first, second, third) for item in page["items"]]
    assert titles == ["4", "3", "2", "1", "0"]
    assert third["next_cursor"] is None


def test_a_list_is_filtered_by_status_tag_and_words(client, alice, bring):
    bring(alice, b"one", "Refunds 100%.txt", tags=["money"])
    bring(alice, b"two", "cats.txt", tags=["animals"])
    with creator_scope(alice.creator.id):
        Document.objects.filter(title="cats").update(status="ready")

    assert [item["title"] for item in listed(client, alice, "?status=ready")["items"]] == ["cats"]
    assert [item["title"] for item in listed(client, alice, "?tag=money")["items"]] == ["Refunds 100%"]
    assert [item["title"] for item in listed(client, alice, "?q=REFUND")["items"]] == ["Refunds 100%"]
    assert [item["title"] for item in listed(client, alice, "?q=100%25")["items"]] == ["Refunds 100%"]
    assert listed(client, alice, "?q=%25%25")["items"] == []
    assert listed(client, alice, "?tag=money&status=ready")["items"] == []


def test_a_viewer_may_list_and_another_creator_sees_nothing(client, alice, bob, mallory, bring):
    bring(alice, b"one")

    assert len(listed(client, bob)["items"]) == 1
    assert listed(client, mallory) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query", ["status=lost", "limit=0", "limit=101", "limit=x", "q=a%00b", "tag=%00", "cursor=%2A"]
)
def test_a_filter_that_makes_no_sense_is_refused(client, alice, query):
    assert client.get(f"/api/v1/documents?{query}", headers=alice.headers).status_code == 422


@pytest.mark.parametrize("cursor", ["abc", "AAAA", "ä", "x" * 60])
def test_a_made_up_cursor_is_refused(client, alice, cursor):
    response = client.get("/api/v1/documents", {"cursor": cursor}, headers=alice.headers)

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_invalid"


def test_another_creators_cursor_opens_nothing(client, alice, mallory, bring):
    for number in range(3):
        bring(alice, f"text {number}".encode())
    cursor = listed(client, alice, "?limit=1")["next_cursor"]

    assert listed(client, mallory, f"?cursor={cursor}")["items"] == []
