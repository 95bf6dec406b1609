"""POST /api/v1/auth/logout."""

from apps.accounts.models import RefreshFamily
from apps.accounts.services.tokens import open_sign_in

URL = "/api/v1/auth/logout"


def test_logging_out_ends_the_access_token_at_once(client, alice):
    response = client.post(URL, headers=alice.headers)

    assert (response.status_code, response.content) == (204, b"")
    after = client.get("/api/v1/auth/me", headers=alice.headers)
    assert after.status_code == 401
    assert after.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_logging_out_ends_the_refresh_token(client, alice):
    client.post(URL, headers=alice.headers)

    response = client.post(
        "/api/v1/auth/refresh", {"refresh_token": alice.tokens.refresh_token}, content_type="application/json"
    )
    assert response.status_code == 401
    assert RefreshFamily.objects.get().reason == RefreshFamily.Reason.LOGGED_OUT


def test_other_sign_ins_of_the_same_person_go_on(client, alice):
    phone = open_sign_in(alice.user, alice.creator)

    client.post(URL, headers=alice.headers)

    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {phone.access_token}"})
    assert me.status_code == 200


def test_a_stranger_cannot_log_out(client, db):
    response = client.post(URL)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
