"""The lean handler leaves out much of what Django's does. Each thing it leaves out has a test here."""

import asyncio
import json
import os
import threading

import pytest
from django.conf import settings
from django.core import signals
from django.db import connections
from structlog.testing import capture_logs

from shared.lean import LeanHandler
from shared.observability.middleware import RequestIdMiddleware
from tests.lean import views
from tests.lean.asgi import CHUNKED, Exchange, length

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lean(settings):
    settings.LEAN_URLCONF = "tests.lean.views"
    views.seen.clear()
    return LeanHandler()


def run(exchange, application):
    return asyncio.run(asyncio.wait_for(exchange.through(application), 20))


def token(person):
    return (b"authorization", person.headers["Authorization"].encode())


async def eventually(happens):
    for _ in range(200):
        if happens():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("did not happen")


# ---- No thread for a request


def test_a_request_starts_no_thread(lean):
    async def main():
        await Exchange("/api/v1/plain").through(lean)  # whatever the first request of a process needs is there now
        before = set(threading.enumerate())
        exchange = await Exchange("/api/v1/plain").through(lean)
        return exchange, set(threading.enumerate()) - before

    exchange, new = asyncio.run(main())
    assert (exchange.status, exchange.body) == (200, b"plain")
    assert new == set()


def test_ninjas_own_pages_are_rendered_on_a_thread(lean):
    assert run(Exchange("/api/v1/sync"), lean).body == b"sync"
    assert views.seen["thread"] is not threading.main_thread()


# ---- No signals: what receives them, and why it can do without


def test_nothing_waits_for_signals_but_what_is_known():
    """Whoever adds a receiver has to say here who does its work on the lean way."""
    names = {
        signal: sorted(f"{receiver.__module__}.{receiver.__name__}" for receiver in signal._live_receivers(None)[0])
        for signal in (signals.request_started, signals.request_finished)
    }
    assert names == {
        signals.request_started: [
            "django.db.close_old_connections",  # the hop closes what it used, when it ends
            "django.db.reset_queries",  # of DEBUG, which the hub never sets
        ],
        signals.request_finished: [
            "django.core.cache.close_caches",  # django-redis keeps its connections on purpose
            "django.core.handlers.base.reset_urlconf",  # the lean handler sets none
            "django.db.close_old_connections",
        ],
    }
    assert settings.DEBUG is False
    assert not getattr(settings, "DJANGO_REDIS_CLOSE_CONNECTION", False)


def test_no_signal_is_sent(lean):
    heard = []
    receiver = lambda sender, **kwargs: heard.append(sender)  # noqa: E731
    for signal in (signals.request_started, signals.request_finished, signals.got_request_exception):
        signal.connect(receiver)
    try:
        run(Exchange("/api/v1/broken"), lean)
    finally:
        for signal in (signals.request_started, signals.request_finished, signals.got_request_exception):
            signal.disconnect(receiver)
    assert heard == []


def test_the_event_loops_own_thread_keeps_no_database_connection(lean, alice):
    connections.close_all()

    exchange = run(Exchange("/api/v1/plain", headers=(token(alice),)), lean)

    assert exchange.status == 200
    assert connections["default"].connection is None


def test_requests_are_not_wrapped_in_transactions_here():
    assert settings.DATABASES["default"].get("ATOMIC_REQUESTS", False) is False


# ---- Exceptions


def test_what_a_view_raises_is_a_problem_and_is_logged_once(lean):
    with capture_logs() as lines:
        exchange = run(Exchange("/api/v1/broken"), lean)

    problem = json.loads(exchange.body)
    assert (exchange.status, problem["code"]) == (500, "internal_error")
    assert problem["request_id"] == exchange.answered["x-request-id"]
    assert "secret" not in str(problem)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["unexpected_error"]


def test_what_middleware_raises_is_a_problem_too(lean, monkeypatch, settings):
    settings.LEAN_MIDDLEWARE = [settings.LEAN_MIDDLEWARE[0], f"{__name__}.Stumbles", *settings.LEAN_MIDDLEWARE[1:]]

    exchange = run(Exchange("/api/v1/plain"), LeanHandler())

    assert (exchange.status, json.loads(exchange.body)["code"]) == (500, "internal_error")
    assert "x-request-id" in exchange.answered


class Stumbles:
    sync_capable = False

    def __init__(self, get_response):
        self.get_response = get_response

    async def __call__(self, request):
        raise ZeroDivisionError


def test_an_unknown_address_and_an_error_written_for_people_are_problems(lean):
    unknown = run(Exchange("/api/v1/nowhere"), lean)
    refused = run(Exchange("/api/v1/refused"), lean)

    assert (unknown.status, json.loads(unknown.body)["code"]) == (404, "not_found")
    assert (refused.status, json.loads(refused.body)["code"]) == (405, "method_not_allowed")
    assert refused.answered["allow"] == "GET"


def test_a_request_that_cannot_be_read_is_a_problem(lean):
    exchange = Exchange("/api/v1/plain")
    scope = {**exchange.scope(), "query_string": b"\xff"}

    asyncio.run(lean(scope, exchange._receive, exchange._send))

    assert (exchange.status, json.loads(exchange.body)["code"]) == (400, "bad_request")


# ---- The client leaves


def test_a_client_that_leaves_stops_the_work(lean):
    async def main():
        exchange = Exchange("/api/v1/slow")
        answering = asyncio.create_task(exchange.through(lean))
        await eventually(lambda: views.seen.get("slow") == "began")
        exchange.leave()
        with capture_logs() as lines:
            await asyncio.wait_for(answering, 5)
        return exchange, lines

    exchange, lines = asyncio.run(main())
    assert views.seen["slow"] == "cancelled"
    assert exchange.status is None
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["status"] == 499


def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it(lean):
    async def main():
        exchange = Exchange("/api/v1/stream")
        answering = asyncio.create_task(exchange.through(lean))
        await eventually(lambda: exchange.messages > 3)
        exchange.leave()
        await asyncio.wait_for(answering, 5)

    asyncio.run(main())
    assert views.seen["stream"] == "closed"


def test_a_server_that_stops_is_not_mistaken_for_a_client_that_leaves(lean):
    async def main():
        answering = asyncio.create_task(Exchange("/api/v1/slow").through(lean))
        await eventually(lambda: views.seen.get("slow") == "began")
        answering.cancel()
        await answering

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_a_stream_arrives_whole(lean):
    exchange = run(Exchange("/api/v1/three"), lean)

    assert exchange.body == b"one two three"
    assert exchange.messages == 4


def test_nobody_listens_for_the_client_when_the_answer_is_quick(lean):
    exchange = run(Exchange("/api/v1/plain"), lean)

    assert exchange.asked == 0


# ---- Bodies


def test_a_small_body_is_kept_in_memory_and_a_large_one_on_disk(lean, alice):
    for size, kind in ((1000, "BytesIO"), (900_000, "SpooledTemporaryFile")):
        body = b"x" * size
        exchange = run(
            Exchange("/api/v1/echo", "POST", (token(alice), length(body)), [body[: size // 2], body[size // 2 :]]), lean
        )

        assert json.loads(exchange.body) == {"bytes": size}
        assert views.seen["stream_type"] == kind


def test_a_strangers_body_is_never_read():
    """The hub's own addresses: what protects them answers before anything touches the body."""
    for headers in ((), ((b"authorization", b"Basic Zm9v"),)):
        exchange = run(Exchange("/api/v1/documents", "POST", (*headers, CHUNKED), [b"x" * 1000] * 50), LeanHandler())

        assert exchange.status == 401
        assert exchange.asked == 0
        assert exchange.answered["connection"] == "close"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_a_connection_goes_on_after_a_refusal_that_left_no_body_unread(method):
    exchange = run(Exchange("/api/v1/documents", method), LeanHandler())

    assert exchange.status in (401, 405)
    assert "connection" not in exchange.answered


def test_before_sign_in_a_body_is_read(lean):
    body = b'{"email": "a"}'
    exchange = run(Exchange("/api/v1/auth/login", "POST", (length(body),), [body]), lean)

    assert json.loads(exchange.body) == {"bytes": len(body)}


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_its_limit_is_refused_while_it_arrives(lean, alice, announced):
    pieces = [b"x" * 65536] * 100
    how = length(b"".join(pieces)) if announced else CHUNKED
    exchange = run(Exchange("/api/v1/echo", "POST", (token(alice), how), pieces), lean)

    assert (exchange.status, json.loads(exchange.body)["code"]) == (413, "payload_too_large")
    assert exchange.asked == (0 if announced else settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 65536 + 1)
    assert exchange.answered["connection"] == "close"


def test_a_client_that_leaves_while_it_sends_gets_no_answer(lean, alice):
    exchange = run(Exchange("/api/v1/echo", "POST", (token(alice), CHUNKED), [b"x" * 1000, None]), lean)

    assert exchange.status is None


def test_an_upload_is_parsed_on_a_thread_and_its_file_is_gone_afterwards(lean, alice, monkeypatch):
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nwords\r\n--b--\r\n'
    content = (b"content-type", b"multipart/form-data; boundary=b")
    exchange = run(Exchange("/api/v1/documents", "POST", (token(alice), content, length(form)), [form]), lean)

    answer = json.loads(exchange.body)
    assert answer["bytes"] == 5
    assert not os.path.exists(answer["path"])
    assert views.seen["file"].closed


def test_a_body_of_a_get_is_read_only_when_one_was_announced(lean):
    exchange = run(Exchange("/api/v1/auth/login", "GET", (length(b"ab"),), [b"ab"]), lean)

    assert json.loads(exchange.body) == {"bytes": 2}


def test_the_outermost_middleware_names_the_request():
    """It alone runs outside the net that turns errors into answers, so it must be the one that cannot raise."""
    assert settings.LEAN_MIDDLEWARE[0].endswith(RequestIdMiddleware.__name__)
