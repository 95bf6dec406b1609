"""Register, sign in, sign out, as forms."""

import pytest
from django.conf import settings

from apps.accounts.models import Creator, User
from shared.config.kinds import Allowance
from shared.security.rate_limiter import LOGIN, limiter
from tests.fixtures.service_integration_fixtures import HubClient

NEW = {"display_name": "Carol Coaching", "email": "carol@example.com", "password": "four words make one"}


def sign_in(client, email, password, **more):
    return client.post("/sign-in", {"email": email, "password": password, **more})


def test_registering_makes_a_creator_and_goes_to_its_documents(client, db):
    response = client.post("/register", NEW)

    assert response.status_code == 302
    assert response.url == "/"
    assert Creator.objects.get().display_name == "Carol Coaching"
    assert "Carol Coaching" in client.get("/documents").text


def test_a_taken_address_is_said_next_to_its_field(client, alice):
    response = client.post("/register", {**NEW, "email": alice.email.upper()})

    assert response.status_code == 409
    assert response.context["form"].errors["email"] == [
        "There is an account with this e-mail address. Sign in instead."
    ]
    assert User.objects.count() == 1


def test_a_weak_password_is_said_next_to_its_field(client, db):
    response = client.post("/register", {**NEW, "password": "password12"})

    assert response.status_code == 422
    assert response.context["form"].errors["password"]
    assert not User.objects.exists()


def test_a_name_that_turns_text_around_is_refused(client, db):
    response = client.post("/register", {**NEW, "display_name": "Alice\u202egnihcaoC"})

    assert response.status_code == 422
    assert "display_name" in response.context["form"].errors


def test_a_password_never_comes_back_in_the_page(client, alice):
    response = sign_in(client, alice.email, "not-the-password-4711")

    assert "not-the-password-4711" not in response.text


def test_signing_in_goes_to_the_documents(client, alice):
    response = sign_in(client, alice.email, alice.password)

    assert response.status_code == 302
    assert "Acme" in client.get("/documents").text


def test_a_wrong_password_and_an_unknown_address_look_alike(client, alice):
    wrong = sign_in(client, alice.email, "wrong password")
    unknown = sign_in(client, "nobody@example.com", "wrong password")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.context["form"].non_field_errors() == unknown.context["form"].non_field_errors()


def test_too_many_attempts_have_to_wait(client, alice, monkeypatch):
    monkeypatch.setattr(limiter, "_limits", {**limiter.limits, LOGIN: Allowance(2, 900)})

    answers = [sign_in(client, alice.email, "wrong password") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "Too many" in answers[-1].text


def test_signing_in_changes_the_session_key(client, alice):
    client.get("/sign-in")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.cookies[settings.SESSION_COOKIE_NAME] = before

    sign_in(client, alice.email, alice.password)

    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before


@pytest.mark.parametrize("target", ["/documents?q=walrus", "/search?q=a%20b"])
def test_after_signing_in_one_is_where_one_wanted_to_go(client, alice, target):
    response = sign_in(client, alice.email, alice.password, next=target)

    assert response.url == target


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "documents",
    ],
)
def test_signing_in_never_leads_to_another_site(client, alice, target):
    response = sign_in(client, alice.email, alice.password, next=target)

    assert response.url == "/"


def test_the_page_keeps_where_one_wanted_to_go(client, db):
    refused = client.get("/documents?q=walrus")

    page = client.get(refused.url)

    assert '<input type="hidden" name="next" value="/documents?q=walrus">' in page.text


def test_somebody_signed_in_does_not_see_the_form(alices_pages):
    assert alices_pages.get("/sign-in").status_code == 302


def test_signing_out_ends_the_session(alices_pages):
    response = alices_pages.post("/sign-out")

    assert response.url == "/sign-in"
    assert alices_pages.get("/documents").status_code == 302


def test_signing_out_takes_a_form(alices_pages):
    assert alices_pages.get("/sign-out").status_code == 405


@pytest.mark.parametrize("path", ["/register", "/sign-in", "/sign-out", "/documents"])
def test_a_form_from_another_site_is_refused(alice, path):
    client = alice.browse(HubClient(enforce_csrf_checks=True))

    response = client.post(path, {})

    assert response.status_code == 403
    assert "This form is too old or came from another site" in response.text
