"""Whatever is sent to whichever operation: an answer below 500, and every refusal is a problem+json."""

import json
import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import transaction
from django.test.client import MULTIPART_CONTENT

from config.api import api
from shared.config.kinds import Allowance
from shared.security.passwords import HubArgon2PasswordHasher
from shared.security.rate_limiter import limiter
from tests.isolation.answers import Answer
from tests.isolation.asgi import call as call_asgi
from tests.isolation.hostile import (
    AUTHORIZATIONS,
    CONTENT_TYPES,
    HEADERS,
    HOSTILE_JSON,
    HOSTILE_TEXT,
    NO_ADDRESSES,
    WHOLE_BODIES,
)
from tests.isolation.operations import CALLS, PUBLIC_OPERATIONS, every_operation, filled

OPERATIONS = every_operation()
every = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
SCHEMA = api.get_openapi_schema()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 50)


@pytest.fixture(autouse=True)
def no_limits(monkeypatch):
    """A refusal for asking too often would hide the others. And hashes that are cheap: thousands are asked for."""
    monkeypatch.setattr(HubArgon2PasswordHasher, "memory_cost", 64)
    monkeypatch.setattr(limiter, "_limits", {name: Allowance(10**6, 60) for name in limiter.limits})


@pytest.fixture
def attack(client, alice, acme_world):
    """Send a request as Acme's owner, undo it, and hold the answer to the rules."""

    def send(method, path, body=b"", content_type="application/json", headers=None):
        given = alice.headers | (headers or {})
        with transaction.atomic():
            answer = Answer.of(client.generic(method, path, body, content_type, headers=given))
            transaction.set_rollback(True)
        hold_to_the_rules(answer, f"{method} {path[:200]} {content_type!r} {body[:200]!r} {headers}")
        return answer

    return send


def hold_to_the_rules(answer, sent):
    assert answer.status < 500, (sent, answer.everything[:1000])
    if answer.status < 400:
        return
    headers = dict(answer.headers)
    assert headers["content-type"] == "application/problem+json", (sent, answer.everything[:1000])
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert set(problem) - {"errors"} == {"type", "title", "status", "code", "detail", "request_id"}
    for error in problem.get("errors", []):
        assert set(error) == {"field", "message", "code"}
    assert len(answer.body) < 100_000, sent


def address(operation, acme_world):
    """The operation's path, filled in as the owner does."""
    path = operation.path
    for name, thing in CALLS[str(operation)].path.items():
        path = path.replace("{" + name + "}", str(filled(thing, acme_world.things)))
    return path


def schema_of(operation):
    """The JSON schema of the body, or None."""
    content = operation.details.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return SCHEMA["components"]["schemas"].get(reference.rpartition("/")[2])


@every
def test_hostile_parts_of_the_path(attack, operation):
    for name in CALLS[str(operation)].path:
        for value in HOSTILE_TEXT:
            answer = attack(operation.method, operation.path.replace("{" + name + "}", value))
            assert answer.status >= 400 or value == ""


@every
def test_hostile_parameters(attack, acme_world, operation):
    path = address(operation, acme_world)
    names = [item["name"] for item in operation.details.get("parameters", []) if item["in"] == "query"]
    for name in [*names, "unheard_of"]:
        for value in HOSTILE_TEXT:
            attack(operation.method, f"{path}?{name}={value}&q=x")
    attack(operation.method, path + "?" + "&".join(f"{name}=1&{name}=2" for name in [*names, "creator_id"]))


@every
def test_hostile_bodies(attack, acme_world, operation):
    path = address(operation, acme_world)
    reads = "requestBody" in operation.details
    for body in WHOLE_BODIES if reads else WHOLE_BODIES[-3:]:
        attack(operation.method, path, body)
    bodies = (b"{}", b"--x\r\n\r\n--x--", b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nx")
    for content_type in CONTENT_TYPES:
        for body in bodies if reads else bodies[:1]:
            attack(operation.method, path, body, content_type)


@every
def test_hostile_fields_of_the_body(attack, acme_world, operation):
    schema = schema_of(operation)
    if schema is None:
        return
    given = CALLS[str(operation)].body or {}
    good = {key: acme_world.things.get(getattr(value, "thing", ""), value) for key, value in given.items()}
    for name in [*schema["properties"], "id", "creator_id", "__class__", "\x00", "\ud800"]:
        for value in HOSTILE_JSON:
            attack(operation.method, address(operation, acme_world), json.dumps(good | {name: value}).encode())


@every
def test_hostile_headers(attack, acme_world, operation):
    path = address(operation, acme_world)
    body = b"" if schema_of(operation) is None else b"{}"
    for headers in HEADERS:
        attack(operation.method, path, body, headers=headers)


@every
def test_hostile_credentials(attack, acme_world, operation):
    for value in AUTHORIZATIONS:
        answer = attack(operation.method, address(operation, acme_world), b"{}", headers={"Authorization": value})
        if str(operation) not in PUBLIC_OPERATIONS:
            assert answer.status == 401


@every
def test_methods_that_it_does_not_have(attack, acme_world, operation):
    path = address(operation, acme_world)
    taken = {other.method for other in OPERATIONS if other.path == operation.path}
    for method in METHODS:
        answer = attack(method, path)
        if method.upper() not in taken:
            assert answer.status == 405, method


@pytest.mark.parametrize("path", NO_ADDRESSES, ids=lambda path: path[:40])
def test_addresses_that_do_not_exist(attack, path):
    for method in ("GET", "POST", "DELETE"):
        assert attack(method, path).status in (404, 405)


UPLOAD = "/api/v1/documents"


def part(name, content, extra=""):
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content + b"\r\n"


GOOD_FILE = part("file", b"Words.", '; filename="a.txt"')


@pytest.mark.parametrize(
    "body",
    [
        b"--x--\r\n",
        part("file", b"not a file") + b"--x--",
        part("other", b"x", '; filename="a.txt"') + b"--x--",
        part("file", b"", '; filename="a.txt"') + b"--x--",
        part("file", b"x", '; filename=""') + b"--x--",
        part("file", b"x", '; filename="' + "a" * 5000 + '"') + b"--x--",
        part("file", b"x", "; filename*=UTF-8''%00%ED%A0%80") + b"--x--",
        part("file", b"x", "; filename*=nonsense''abc") + b"--x--",
        part("file", b"x", '; filename="a.txt"\r\nContent-Transfer-Encoding: base64') + b"--x--",
        part("file", b"x", '; filename="a.txt"\r\nContent-Type: \x00') + b"--x--",
        GOOD_FILE + part("title", b"\x00") + b"--x--",
        GOOD_FILE + part("title", b"\xed\xa0\x80\xff") + b"--x--",
        GOOD_FILE + part("title", b"x" * 5000) + b"--x--",
        GOOD_FILE + part("title", "\u202e\u2066".encode()) + b"--x--",
        GOOD_FILE + part("tags", b"," * 5000) + b"--x--",
        GOOD_FILE + part("tags", b"a\x00b,c") + b"--x--",
        GOOD_FILE + b"".join(part("tags", b"t%d" % number) for number in range(500)) + b"--x--",
        GOOD_FILE + b"".join(part(f"field{number}", b"") for number in range(2000)) + b"--x--",
        GOOD_FILE * 150 + b"--x--",
        GOOD_FILE,
        part("_charset_", b"nonsense") + GOOD_FILE + b"--x--",
        b"\x00" * 1000,
        b"--x\r\n" * 5000,
        b"--x\r\n" + b"A: b\r\n" * 5000 + b"\r\n--x--",
    ],
    ids=range(24),
)
@pytest.mark.parametrize("path", [UPLOAD, f"{UPLOAD}/archive"])
def test_hostile_uploads(attack, path, body):
    attack("POST", path, body, "multipart/form-data; boundary=x")
    attack("POST", path, body, "multipart/form-data; boundary=x", headers={"Idempotency-Key": "k"})
    attack("POST", path, body, MULTIPART_CONTENT)


@pytest.mark.django_db(transaction=True)
@every
def test_ten_megabytes_are_refused_before_anybody_reads_them(alice, operation):
    """Announced and unannounced alike; a document's file may be as large as that."""
    token = (b"authorization", alice.headers["Authorization"].encode())
    path = operation.path.replace("{document_id}", "01900000-0000-7000-8000-000000000000")
    large = json.dumps({"title": "x" * (10 * 1024 * 1024)}).encode()
    pieces = [large[start : start + 2**16] for start in range(0, len(large), 2**16)]
    headers = [token, (b"content-type", b"application/json")]

    for body, parts in ((large, None), (b"", pieces)):
        status, answered, content = call_asgi(operation.method, path, body, headers, parts=parts)

        if re.fullmatch(settings.UPLOAD_ROUTE, path):
            assert status < 500
        else:
            assert status == 413
        if status >= 400:
            answer = Answer(status, tuple(answered.items()), content)
            hold_to_the_rules(replace(answer, headers=tuple(answered.items())), str(operation))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", [b"q=\xff\xfe", b"\x80", b"q=%", b"q=%zz", b"\x00", b"&" * 5000, b"a=1&" * 2000])
def test_bytes_in_the_address_that_no_browser_sends(alice, query):
    token = (b"authorization", alice.headers["Authorization"].encode())
    for path in ("/api/v1/search", "/api/v1/documents"):
        status, answered, content = call_asgi("GET", path, headers=[token], query=query)

        hold_to_the_rules(Answer(status, tuple(answered.items()), content), f"{path} {query[:50]!r}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"\xff\xfe")],
        [(b"x-request-id", b"\x00\xff")],
        [(b"content-type", b"\xff")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"9" * 4000)],
        [(b"content-length", "\u0661".encode())],
        [(b"cookie", b"\xff" * 5000)],
        [(b"host", b"evil.example")],
        [(b"host", b"\xff")],
        [(b"x-forwarded-host", b"evil.example")],
        [(b"x_request_id", b"1")],
    ],
    ids=str,
)
def test_headers_that_no_client_sends(alice, headers):
    token = (b"authorization", alice.headers["Authorization"].encode())
    for path in ("/api/v1/profile", "/api/v1/nothing"):
        status, answered, content = call_asgi("GET", path, headers=[token, *headers])

        hold_to_the_rules(Answer(status, tuple(answered.items()), content), str(headers)[:100])
        assert "evil" not in str(answered)


def test_what_is_refused_is_not_repeated_back_in_full(attack):
    """An answer's size does not grow with the mistake's."""
    answer = attack("GET", "/api/v1/documents?limit=" + quote("z" * 50_000))

    assert answer.status == 422
    assert len(answer.body) < 2000
