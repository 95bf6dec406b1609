import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import RequestFactory

from shared.security.cors import CorsMiddleware

OURS = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}


async def view(request):
    return HttpResponse("through")


@pytest.fixture
def ask(monkeypatch):
    """Ask through the middleware, with `CORS_ORIGINS` as given."""

    def ask(origin, *, method="GET", path="/api/v1/documents", allowed=OURS, **headers):
        monkeypatch.setenv("CORS_ORIGINS", allowed)
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Origin": origin}
        request = RequestFactory().generic(method, path, headers=headers)
        return async_to_sync(CorsMiddleware(view))(request)

    return ask


def allowed(answer):
    return [name for name in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_closed_by_default(ask, method):
    answer = ask(OURS, method=method, allowed="", **PREFLIGHT)

    assert allowed(answer) == []


def test_an_origin_of_the_list_may_read_the_answer_and_its_headers(ask):
    answer = ask(OURS)

    assert answer.content == b"through"
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


def test_credentials_are_never_allowed(ask):
    for method in ("GET", "OPTIONS"):
        assert "Access-Control-Allow-Credentials" not in ask(OURS, method=method, **PREFLIGHT).headers


def test_a_preflight_is_answered_without_asking_the_view(ask):
    answer = ask(OURS, method="OPTIONS", **PREFLIGHT)

    assert (answer.status_code, answer.content) == (204, b"")
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example.evil.example", "null", ""]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_any_other_origin_gets_nothing(ask, origin, method):
    answer = ask(origin, method=method, **PREFLIGHT)

    assert allowed(answer) == []
    assert "Origin" in answer.headers["Vary"]  # a cache must not hand this answer to the allowed origin


def test_pages_are_never_opened(ask):
    for path in ("/documents", "/admin/", "/metrics", "/apiary"):
        assert allowed(ask(OURS, path=path)) == []
