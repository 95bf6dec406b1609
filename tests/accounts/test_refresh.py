"""POST /api/v1/auth/refresh: each token is good for one exchange."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from apps.accounts.models import Membership, RefreshFamily, RefreshToken, User
from apps.accounts.services import InvalidRefreshToken, rotate_refresh_token
from shared.tenancy.run import run_global

URL = "/api/v1/auth/refresh"


def refresh(client, token, **headers):
    return client.post(URL, {"refresh_token": token}, content_type="application/json", headers=headers)


def me(client, access_token):
    return client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {access_token}"})


def test_a_token_is_exchanged_for_the_next_pair(client, alice):
    response = refresh(client, alice.tokens.refresh_token)

    assert response.status_code == 200
    assert response.json()["refresh_token"] != alice.tokens.refresh_token
    assert me(client, response.json()["access_token"]).status_code == 200
    assert refresh(client, response.json()["refresh_token"]).status_code == 200


def test_a_spent_token_ends_the_whole_sign_in(client, alice):
    new = refresh(client, alice.tokens.refresh_token).json()

    stolen = refresh(client, alice.tokens.refresh_token)

    assert (stolen.status_code, stolen.json()["code"]) == (401, "invalid_refresh_token")
    assert refresh(client, new["refresh_token"]).status_code == 401
    assert me(client, new["access_token"]).status_code == 401
    assert RefreshFamily.objects.get().reason == RefreshFamily.Reason.REUSED


def test_a_spent_token_ends_no_other_sign_in(client, alice, bob):
    refresh(client, alice.tokens.refresh_token)
    refresh(client, alice.tokens.refresh_token)

    assert refresh(client, bob.tokens.refresh_token).status_code == 200


def test_a_client_that_lost_the_answer_gets_it_again_with_its_key(client, alice):
    first = refresh(client, alice.tokens.refresh_token, **{"Idempotency-Key": "once"})
    again = refresh(client, alice.tokens.refresh_token, **{"Idempotency-Key": "once"})

    assert again.content == first.content
    assert refresh(client, first.json()["refresh_token"]).status_code == 200


def test_a_made_up_token_is_refused_and_ends_nothing(client, alice):
    response = refresh(client, "hub_rt_made-up")

    assert (response.status_code, response.json()["code"]) == (401, "invalid_refresh_token")
    assert RefreshFamily.objects.filter(revoked_at__isnull=True).count() == 1


def test_a_spent_and_a_made_up_token_look_alike(client, alice):
    refresh(client, alice.tokens.refresh_token)
    spent, made_up = refresh(client, alice.tokens.refresh_token).json(), refresh(client, "hub_rt_made-up").json()

    assert {**spent, "request_id": ""} == {**made_up, "request_id": ""}


def test_an_expired_token_is_refused(client, alice):
    RefreshToken.objects.update(expires_at="2020-01-01T00:00:00Z")

    assert refresh(client, alice.tokens.refresh_token).status_code == 401


def test_whoever_lost_the_membership_cannot_refresh(client, alice):
    Membership.objects.all().delete()

    assert refresh(client, alice.tokens.refresh_token).status_code == 401


def test_whoever_was_made_inactive_cannot_refresh(client, alice):
    User.objects.update(is_active=False)

    assert refresh(client, alice.tokens.refresh_token).status_code == 401


def test_an_access_token_is_no_refresh_token(client, alice):
    assert refresh(client, alice.tokens.access_token[:256]).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_ten_exchanges_at_once_exactly_one_wins(alice):
    async def race():
        exchanges = (run_global(rotate_refresh_token, refresh_token=alice.tokens.refresh_token) for _ in range(10))
        return await asyncio.gather(*exchanges, return_exceptions=True)

    outcomes = in_a_thread(lambda: async_to_sync(race)())

    won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(won) == 1
    assert all(isinstance(outcome, InvalidRefreshToken) for outcome in outcomes if outcome not in won)
    assert RefreshToken.objects.filter(used_at__isnull=True).count() == 1


def in_a_thread(function):
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(function).result()
        finally:
            thread.submit(connections.close_all).result()
