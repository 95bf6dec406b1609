"""POST /api/v1/auth/register."""

import pytest

from apps.accounts.models import Creator, Membership, User
from tests.fixtures.auth_fixtures import PASSWORD

URL = "/api/v1/auth/register"
CAROL = {"email": "carol@example.com", "password": PASSWORD, "display_name": "Carol"}


def post(client, **changes):
    return client.post(URL, {**CAROL, **changes}, content_type="application/json")


def errors_of(response):
    assert response.status_code == 422, response.content
    assert response.json()["code"] == "validation_failed"
    return response.json()["errors"]


@pytest.mark.django_db
def test_a_newcomer_becomes_the_owner_of_a_creator(client):
    response = post(client)

    assert response.status_code == 201
    answer = response.json()
    membership = Membership.objects.select_related("user", "creator").get()
    assert (membership.user.email, membership.role) == ("carol@example.com", "owner")
    assert answer["user"] == {"id": str(membership.user.id), "email": "carol@example.com", "display_name": "Carol"}
    assert answer["creator"] == {"id": str(membership.creator.id), "display_name": "Carol"}
    assert answer["role"] == "owner"
    assert answer["token_type"] == "bearer"


@pytest.mark.django_db
def test_the_tokens_of_a_registration_work(client):
    answer = post(client).json()

    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    refreshed = client.post(
        "/api/v1/auth/refresh", {"refresh_token": answer["refresh_token"]}, content_type="application/json"
    )

    assert me.json()["creator"] == answer["creator"]
    assert refreshed.status_code == 200


@pytest.mark.django_db
def test_the_password_is_kept_as_an_argon2id_hash(client):
    post(client)

    assert User.objects.get().password.startswith("argon2$argon2id$")


@pytest.mark.parametrize("spelling", ["{}", "  {}  ", "upper"])
def test_an_address_is_taken_whatever_its_spelling(client, alice, spelling):
    email = alice.email.upper() if spelling == "upper" else spelling.format(alice.email)

    response = post(client, email=email)

    assert response.status_code == 409
    assert response.json()["code"] == "email_taken"
    assert Creator.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("password12", "password_too_common"),
        ("8402947204719", "password_entirely_numeric"),
        ("carol@example.com", "password_too_similar"),
    ],
)
def test_a_weak_password_is_refused_with_the_rule_it_breaks(client, password, code):
    errors = errors_of(post(client, password=password))

    assert {error["field"] for error in errors} == {"password"}
    assert code in {error["code"] for error in errors}
    assert all(error["message"] for error in errors)
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an address"),
        ("email", "carol@example.com\x00"),
        ("email", f"{'c' * 250}@example.com"),
        ("email", None),
        ("email", ["carol@example.com"]),
        ("display_name", ""),
        ("display_name", "   "),
        ("display_name", "Car\x00ol"),
        ("display_name", "Car\nol"),
        ("display_name", "\u202eloraC"),
        ("display_name", "C" * 121),
        ("password", "correct\x00horse battery"),
        ("password", "correct horse battery" * 20),
        ("password", ""),
    ],
)
def test_a_field_that_cannot_be_stored_is_named(client, field, value):
    errors = errors_of(post(client, **{field: value}))

    assert field in {error["field"].rpartition(".")[2] for error in errors}
    assert not User.objects.exists()


@pytest.mark.django_db
def test_half_a_character_is_refused(client):
    body = '{"email": "carol@example.com", "password": "correct horse battery", "display_name": "\\ud800"}'

    response = client.post(URL, body, content_type="application/json")

    assert response.status_code in (400, 422)


@pytest.mark.django_db
def test_a_repeated_registration_with_its_key_gets_the_same_answer(client):
    first = client.post(URL, CAROL, content_type="application/json", headers={"Idempotency-Key": "once"})
    again = client.post(URL, CAROL, content_type="application/json", headers={"Idempotency-Key": "once"})

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_no_answer_says_anything_of_the_hash(client):
    response = post(client)

    assert b"argon2" not in response.content
    assert b"password" not in response.content
