"""Who may come into the admin."""

import pytest

from tests.fixtures.auth_fixtures import PASSWORD


def test_staff_sign_in(client, staff):
    response = client.post("/admin/login/?next=/admin/", {"username": staff.email.upper(), "password": PASSWORD})

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def test_an_owner_is_no_staff(client, alice):
    response = client.post("/admin/login/", {"username": alice.email, "password": PASSWORD})

    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302


def test_the_sixth_attempt_has_to_wait(client, staff):
    for _ in range(5):
        client.post("/admin/login/", {"username": staff.email, "password": "wrong horse battery"})

    response = client.post("/admin/login/", {"username": staff.email, "password": PASSWORD})

    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302


def test_the_limit_is_shared_with_the_api(client, staff):
    for _ in range(5):
        client.post("/api/v1/auth/login", {"email": staff.email, "password": "wrong"}, content_type="application/json")

    client.post("/admin/login/", {"username": staff.email, "password": PASSWORD})

    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("page", ["/admin/", "/admin/login/"])
def test_scripts_come_from_files_only(client, staff, page):
    client = staff.browse(client) if page == "/admin/" else client

    policy = client.get(page).headers["Content-Security-Policy"]

    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in script
