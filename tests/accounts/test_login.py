"""POST /api/v1/auth/login."""

import pytest

from apps.accounts import authentication
from apps.accounts.models import RefreshFamily, RefreshToken, User
from tests.fixtures.auth_fixtures import PASSWORD

URL = "/api/v1/auth/login"


def log_in(client, email, password=PASSWORD, **headers):
    return client.post(URL, {"email": email, "password": password}, content_type="application/json", headers=headers)


def without_request(response):
    return {name: value for name, value in response.json().items() if name != "request_id"}


def test_alice_gets_a_token_pair(client, alice):
    response = log_in(client, alice.email)

    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert answer["expires_in"] > 0
    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert me.json()["user"]["email"] == alice.email


def test_the_spelling_of_the_address_does_not_matter(client, alice):
    assert log_in(client, alice.email.upper()).status_code == 200


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client, alice):
    wrong = log_in(client, alice.email, "wrong horse battery")
    unknown = log_in(client, "nobody@example.com")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["code"] == "invalid_credentials"
    assert without_request(wrong) == without_request(unknown)


@pytest.mark.parametrize("who", ["alice", "nobody", "inactive", "passwordless"])
def test_a_hash_is_verified_whoever_asks(client, alice, monkeypatch, who):
    verified = []

    async def verify(password, encoded):
        verified.append(encoded)
        return await authentic(password, encoded)

    authentic = authentication.verify_password
    monkeypatch.setattr(authentication, "verify_password", verify)
    if who == "inactive":
        User.objects.update(is_active=False)
    if who == "passwordless":
        alice.user.set_unusable_password()
        alice.user.save()

    response = log_in(client, "nobody@example.com" if who == "nobody" else alice.email, "wrong horse battery")

    assert response.status_code == 401
    assert len(verified) == 1


def test_nobody_finds_out_that_an_account_is_closed(client, alice):
    User.objects.update(is_active=False)

    response = log_in(client, alice.email)

    assert response.json()["code"] == "invalid_credentials"
    assert not RefreshFamily.objects.exclude(id=alice.actor.session_id).exists()


def test_somebody_without_a_creator_is_told_so(client, alice):
    alice.user.memberships.all().delete()

    response = log_in(client, alice.email)

    assert (response.status_code, response.json()["code"]) == (403, "no_creator")


def test_the_refresh_token_is_kept_only_as_a_hash(client, alice):
    token = log_in(client, alice.email).json()["refresh_token"]

    assert not RefreshToken.objects.filter(token_hash__contains=token).exists()
    assert len(RefreshToken.objects.latest("created_at").token_hash) == 64


def test_an_expired_access_token_sent_along_does_not_stand_in_the_way(client, alice):
    response = log_in(client, alice.email, Authorization="Bearer something.of.yesterday")

    assert response.status_code == 200


def test_the_sixth_attempt_has_to_wait_even_with_the_right_password(client, alice):
    for _ in range(5):
        log_in(client, alice.email, "wrong horse battery")

    response = log_in(client, alice.email)

    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


def test_attempts_on_one_account_do_not_lock_another(client, alice, bob):
    for _ in range(6):
        log_in(client, alice.email, "wrong horse battery")

    assert log_in(client, bob.email).status_code == 200


def test_a_repeated_login_with_its_key_opens_one_sign_in(client, alice):
    first = log_in(client, alice.email, **{"Idempotency-Key": "once"})
    again = log_in(client, alice.email, **{"Idempotency-Key": "once"})

    assert again.content == first.content
    assert RefreshFamily.objects.exclude(id=alice.actor.session_id).count() == 1


def test_another_account_cannot_fetch_the_answer_with_the_same_key(client, alice, mallory):
    first = log_in(client, alice.email, **{"Idempotency-Key": "once"})
    other = log_in(client, mallory.email, **{"Idempotency-Key": "once"})

    assert other.status_code == 200
    assert other.json()["access_token"] != first.json()["access_token"]


def test_a_stored_answer_does_not_spare_the_password(client, alice):
    log_in(client, alice.email, **{"Idempotency-Key": "once"})

    assert log_in(client, alice.email, "wrong horse battery", **{"Idempotency-Key": "once"}).status_code == 401


def test_logging_in_sweeps_up_sign_ins_that_nobody_can_use_any_more(client, alice):
    RefreshToken.objects.update(expires_at="2020-01-01T00:00:00Z")

    log_in(client, alice.email)

    assert not RefreshFamily.objects.filter(id=alice.actor.session_id).exists()
