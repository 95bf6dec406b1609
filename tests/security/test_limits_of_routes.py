import ipaddress

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from apps.knowledge.models import Document
from shared.config.kinds import Allowance
from shared.security.middleware import EXEMPT, limit_of
from shared.security.rate_limiter import configured_limits, limiter
from shared.tenancy.scope import creator_scope
from tests.fixtures.service_integration_fixtures import HubClient

TIGHT = {
    "login": Allowance(2, 900),
    "register": Allowance(2, 3600),
    "upload": Allowance(2, 60),
    "search": Allowance(2, 60),
    "default": Allowance(4, 600),
}


@pytest.fixture
def tight(monkeypatch):
    monkeypatch.setattr(limiter, "_limits", TIGHT)


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/v1/auth/register", "register"),
        ("POST", "/register", "register"),
        ("GET", "/register", "default"),
        ("POST", "/api/v1/documents", "upload"),
        ("POST", "/documents", "upload"),
        ("POST", "/api/v1/documents/0198/versions", "upload"),
        ("POST", "/api/v1/documents/import", "upload"),
        ("POST", "/api/v1/documents/archive", "upload"),
        ("POST", "/api/v1/documents/0198/reprocess", "default"),
        ("GET", "/api/v1/documents", "default"),
        ("GET", "/api/v1/search", "search"),
        ("GET", "/search", "search"),
        ("GET", "/api/v1/search/../documents", "default"),
        ("GET", "/admin/", "default"),
        ("GET", "/anything/else", "default"),
    ],
)
def test_every_route_has_a_limit(method, path, limit):
    assert limit_of(method, path) == limit


def test_the_limits_of_production_are_strict():
    assert {name: str(limit) for name, limit in configured_limits().items()} == {
        "login": "5/900",
        "register": "3/3600",
        "upload": "20/60",
        "search": "100/60",
        "default": "300/60",
    }


def test_an_answer_says_what_is_left_and_a_refusal_when_to_come_back(client, tight):
    left = [client.get("/api/v1/nothing").headers["RateLimit"].split(";")[1] for _ in range(4)]
    assert left == ["r=3", "r=2", "r=1", "r=0"]

    refused = client.get("/api/v1/nothing")

    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["RateLimit-Policy"] == '"default";q=4;w=600'
    assert 1 <= int(refused.headers["Retry-After"]) <= 150
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/nothing", "/admin/nothing/", "/metrics", "/health/nothing"])
def test_pages_admin_and_probes_are_limited_too(client, tight, path):
    for _ in range(4):
        assert client.get(path).status_code != 429

    refused = client.get(path)

    assert refused.status_code == 429
    assert "Retry-After" in refused.headers


def test_a_refused_person_reads_a_page(client, tight):
    for _ in range(5):
        answer = client.get("/nothing")

    assert answer.status_code == 429
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_probe_for_liveness_is_never_refused(client, tight):
    answers = {client.get("/health/live").status_code for _ in range(10)}

    assert answers == {200}
    assert EXEMPT == ("/health/live", "/static/")


def test_a_made_up_forwarded_address_gains_nothing(tight):
    client = HubClient()
    statuses = [
        client.get("/api/v1/nothing", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(5)
    ]

    assert statuses == [404] * 4 + [429]


@override_settings(TRUSTED_PROXIES=[ipaddress.ip_network("127.0.0.0/8")])
def test_behind_a_trusted_proxy_each_client_has_its_own(client, tight):
    statuses = {
        client.get("/api/v1/nothing", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(8)
    }

    assert statuses == {404}


def test_a_registration_that_was_not_right_yet_is_not_counted(client, tight, db):
    for _ in range(4):
        answer = client.post("/api/v1/auth/register", {"email": "x"}, content_type="application/json")
        assert answer.status_code == 422


def test_registrations_are_counted_by_address(client, tight, db):
    def register(name):
        body = {"email": f"{name}@new.example.com", "password": "correct horse battery", "display_name": name}
        return client.post("/api/v1/auth/register", body, content_type="application/json").status_code

    assert [register("ada"), register("ben"), register("cleo")] == [201, 201, 429]


def test_a_wrong_password_can_be_tried_only_so_often(client, tight, alice):
    def sign_in(password, email=alice.email):
        body = {"email": email, "password": password}
        return client.post("/api/v1/auth/login", body, content_type="application/json").status_code

    assert [sign_in("wrong"), sign_in("wrong"), sign_in(alice.password)] == [401, 401, 429]
    assert sign_in("wrong", "nobody@acme.example.com") == 401


def test_a_token_that_has_ended_does_not_use_up_its_users_limits(client, alice, tight):
    """Somebody with a copy of it, at another address, could keep its user out."""
    client.post("/api/v1/auth/logout", headers=alice.headers)
    for _ in range(6):
        client.get("/api/v1/auth/me", headers=alice.headers, REMOTE_ADDR="203.0.113.7")

    spent = limiter.buckets("default", "127.0.0.1", (str(alice.user.id), str(alice.creator.id)))
    decision = async_to_sync(limiter.use)("default", spent)

    assert decision.allowed


def test_each_file_of_a_pages_form_counts_as_an_upload(alice, tight):
    page = alice.browse(HubClient())
    files = [SimpleUploadedFile(f"{number}.txt", f"Text {number}.".encode()) for number in range(4)]

    response = page.post("/documents", {"file": files})

    assert response.status_code == 429
    with creator_scope(alice.creator.id):
        assert Document.objects.count() == 2
