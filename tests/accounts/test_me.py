"""GET /api/v1/auth/me, and who counts as signed in."""

import jwt
import pytest

from apps.accounts.models import Membership, User
from shared.security.tokens import issue_access_token, public_keys
from shared.tenancy.ids import uuid7

URL = "/api/v1/auth/me"


def ask(client, authorization):
    return client.get(URL, headers={"Authorization": authorization})


@pytest.mark.parametrize(("name", "role"), [("alice", "owner"), ("erin", "editor"), ("bob", "viewer")])
def test_everybody_sees_who_they_are(client, acme, request, name, role):
    person = request.getfixturevalue(name)

    response = client.get(URL, headers=person.headers)

    assert response.json() == {
        "user": {"id": str(person.user.id), "email": person.email, "display_name": name.capitalize()},
        "creator": {"id": str(acme.id), "display_name": "Acme"},
        "role": role,
    }


def test_a_stranger_is_asked_to_sign_in(client, db):
    response = client.get(URL)

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic YTpi", "Bearer é"])
def test_something_else_than_our_token_is_refused(client, db, authorization):
    response = ask(client, authorization)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_token_that_another_key_signed_is_refused(client, alice):
    claims = jwt.decode(alice.tokens.access_token, options={"verify_signature": False})
    forged = jwt.encode(claims, "a secret of mallory's, at least 32 bytes", algorithm="HS256")

    assert ask(client, f"Bearer {forged}").status_code == 401


def test_losing_the_membership_counts_at_once(client, alice):
    Membership.objects.all().delete()

    assert client.get(URL, headers=alice.headers).status_code == 401


def test_being_made_inactive_counts_at_once(client, alice):
    User.objects.update(is_active=False)

    assert client.get(URL, headers=alice.headers).status_code == 401


def test_a_new_role_counts_at_once(client, alice):
    Membership.objects.update(role="viewer")

    assert client.get(URL, headers=alice.headers).json()["role"] == "viewer"


@pytest.mark.parametrize("claim", ["user_id", "creator_id", "session_id"])
def test_a_token_must_fit_together(client, alice, mallory, claim):
    """Signed by us, yet of one person's sign-in and another's creator: no such token is ever issued."""
    ids = {name: getattr(alice.actor, name) for name in ("user_id", "creator_id", "session_id")}
    mixed = issue_access_token(**{**ids, claim: getattr(mallory.actor, claim)})
    unknown = issue_access_token(**{**ids, claim: uuid7()})

    assert ask(client, f"Bearer {mixed}").status_code == 401
    assert ask(client, f"Bearer {unknown}").status_code == 401


def test_a_sign_in_for_one_creator_is_none_for_another_of_the_same_person(client, alice, umbrella):
    Membership.objects.create(user=alice.user, creator=umbrella, role="viewer")
    token = issue_access_token(user_id=alice.user.id, creator_id=umbrella.id, session_id=alice.actor.session_id)

    assert ask(client, f"Bearer {token}").status_code == 401


def test_a_member_of_two_creators_stays_with_the_one_of_the_token(client, alice, umbrella):
    Membership.objects.create(user=alice.user, creator=umbrella, role="viewer")

    assert client.get(URL, headers=alice.headers).json()["creator"]["display_name"] == "Acme"


def test_the_api_does_not_look_at_cookies(client, alice):
    assert alice.browse(client).get(URL).status_code == 401


def test_our_public_key_verifies_our_tokens(client, alice):
    keys = client.get("/api/v1/auth/jwks").json()

    assert keys == public_keys()
    kid = jwt.get_unverified_header(alice.tokens.access_token)["kid"]
    key = next(key for key in keys["keys"] if key["kid"] == kid)
    claims = jwt.decode(alice.tokens.access_token, jwt.PyJWK(key), algorithms=["EdDSA"], options={"verify_aud": False})
    assert claims["sub"] == str(alice.user.id)
    assert "d" not in key
