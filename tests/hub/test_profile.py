import pytest

pytestmark = pytest.mark.django_db

URL = "/api/v1/profile"


def change(client, person, **fields):
    return client.patch(URL, fields, content_type="application/json", headers=person.headers)


def test_a_new_creator_has_the_defaults(client, bob):
    assert client.get(URL, headers=bob.headers).json() == {
        "display_name": "Acme",
        "bio": "",
        "website_url": "",
        "timezone": "UTC",
        "language": "en",
        "coaching_categories": [],
    }


def test_fields_change_one_by_one(client, alice, erin):
    change(client, alice, display_name="Acme \u202eCoaching", timezone="Europe/Berlin", coaching_categories=["a", "b"])
    response = change(client, erin, bio="Line one\r\nline two", website_url="https://acme.example", language="de-CH")

    assert response.status_code == 200
    assert client.get(URL, headers=alice.headers).json() == {
        "display_name": "Acme Coaching",
        "bio": "Line one\nline two",
        "website_url": "https://acme.example/",
        "timezone": "Europe/Berlin",
        "language": "de-CH",
        "coaching_categories": ["a", "b"],
    }
    assert change(client, alice, website_url="").json()["website_url"] == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"display_name": ""},
        {"display_name": "a\x00"},
        {"bio": "a\x00"},
        {"bio": "x" * 2001},
        {"website_url": "javascript:alert(1)"},
        {"website_url": "file:///etc/passwd"},
        {"timezone": "Mars/Base"},
        {"timezone": "../etc/passwd"},
        {"language": "not a language"},
        {"coaching_categories": ["x" * 51]},
        {"coaching_categories": ["x"] * 21},
        {"display_name": None},
    ],
)
def test_what_makes_no_sense_is_refused(client, alice, fields):
    assert change(client, alice, **fields).status_code == 422


def test_a_viewer_cannot_change_it(client, bob):
    assert change(client, bob, bio="x").json()["code"] == "role_required"


def test_each_creator_has_their_own(client, alice, mallory):
    change(client, alice, bio="Alice's words")

    assert client.get(URL, headers=mallory.headers).json()["bio"] == ""
    change(client, mallory, bio="Mallory's")
    assert client.get(URL, headers=alice.headers).json()["bio"] == "Alice's words"
