import json

import pytest
from django.http import Http404
from django.test import RequestFactory, override_settings

from shared.exceptions import (
    InternalError,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
    close_code,
    page_response,
    problem_response,
)

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def request_():
    request = RequestFactory().get("/api/v1/documents")
    request.request_id = "0198-request"
    return request


def test_a_problem_has_exactly_the_promised_members(request_):
    response = problem_response(request_, NotFound("No such document."))

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.content) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "No such document.",
        "request_id": "0198-request",
    }


def test_field_errors_and_headers_go_along(request_):
    errors = [{"field": "email", "message": "Field required", "code": "missing"}]
    assert json.loads(problem_response(request_, ValidationFailed(errors=errors)).content)["errors"] == errors

    assert problem_response(request_, RateLimited(retry_after=3)).headers["Retry-After"] == "3"
    assert problem_response(request_, NotAuthenticated()).headers["WWW-Authenticate"] == "Bearer"


def test_a_request_that_was_never_named_has_no_id():
    assert json.loads(problem_response(RequestFactory().get("/"), NotFound()).content)["request_id"] is None


def test_a_page_says_the_same_to_people(request_):
    page = page_response(request_, ServiceUnavailable())
    text = page.content.decode()

    assert page.status_code == 503
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Retry-After"] == "5"
    assert "Nothing was lost" in text
    assert "0198-request" in text


def test_a_page_does_not_ask_a_browser_for_a_bearer_token(request_):
    assert "WWW-Authenticate" not in page_response(request_, NotAuthenticated()).headers


def test_whatever_is_said_on_a_page_is_text(request_):
    assert HOSTILE not in page_response(request_, NotFound(HOSTILE)).content.decode()


def test_a_broken_template_does_not_hide_the_error(request_, settings):
    request_.request_id = HOSTILE
    with override_settings(TEMPLATES=[]):
        page = page_response(request_, NotFound(HOSTILE))

    assert page.status_code == 404
    assert "alert(1)" in page.content.decode()
    assert HOSTILE not in page.content.decode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAuthenticated(), 4401),
        (PermissionDenied(), 4403),
        (NotFound(), 4404),
        (Http404(), 4404),
        (RateLimited(), 4429),
        (InternalError(), 1011),
        (ValueError(), 1011),
        (ServiceUnavailable(), 1013),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else type(value).__name__,
)
def test_a_socket_is_closed_with_the_errors_code(error, code):
    assert close_code(error) == code


def test_every_error_of_the_api_is_a_problem(client):
    for response in (
        client.get("/api/v1/nothing"),
        client.put("/api/v1/auth/login"),
        client.post("/api/v1/auth/login", b"{", content_type="application/json"),
        client.post("/api/v1/auth/login", {"email": 1}, content_type="application/json"),
        client.get("/api/v1/auth/me"),
    ):
        assert response.headers["Content-Type"] == "application/problem+json"
        body = response.json()
        assert body["status"] == response.status_code
        assert body["request_id"] == response.headers["X-Request-ID"]
        assert {"type", "title", "code", "detail"} <= set(body)


@override_settings(DEBUG=True)
def test_debug_tells_an_api_client_nothing_more(client):
    response = client.get("/api/v1/nothing")

    assert response.headers["Content-Type"] == "application/problem+json"
    assert "urlpatterns" not in response.content.decode()


def test_an_unknown_page_is_a_page(client):
    response = client.get("/nothing/here")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
