"""Server-Sent Events over a real server: bytes that arrive while the stream is open, and ends when it should."""

import asyncio
import json
from uuid import uuid4

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from shared.tenancy.run import announce, run_as
from tests.isolation.server import web_process

pytestmark = pytest.mark.django_db(transaction=True)


def run(story):
    return async_to_sync(story)()


async def tell(person, count=1):
    """Announce so many events; returns their subjects."""
    subjects = [uuid4() for _ in range(count)]
    for subject in subjects:
        await run_as(person.actor, lambda actor, subject=subject: announce("told", subject))
    await asyncio.sleep(0.1)  # telling is a task of its own, and this loop is about to end
    return [str(subject) for subject in subjects]


@pytest.fixture
def hub(tmp_path, alice, mallory):
    connection.close()
    with web_process(tmp_path) as address:
        yield address


def frames(response, count):
    """So many events of a stream: number and envelope."""
    found, number = [], None
    for line in response.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        if line.startswith("data: "):
            found.append((number, json.loads(line[6:])))
        if len(found) == count:
            return found
    raise AssertionError(f"the stream ended after {found}")


def stream(hub, person, after=None, **headers):
    query = "" if after is None else f"?after={after}"
    return httpx.stream("GET", f"{hub}/api/v1/events{query}", headers={**person.headers, **headers}, timeout=10)


def test_a_stream_tells_what_was_missed_and_then_what_happens(hub, alice, mallory):
    told = run(lambda: tell(alice, 3))
    run(lambda: tell(mallory, 1))
    with stream(hub, alice, after=1) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        missed = frames(response, 2)
    assert [(number, event["seq"], event["id"]) for number, event in missed] == [(2, 2, told[1]), (3, 3, told[2])]
    assert set(missed[0][1]) == {"seq", "type", "id", "at", "data"}


def test_a_client_that_comes_back_with_its_last_number_misses_nothing(hub, alice):
    """As EventSource does it: cut off twenty times, each time it says the number that it had last."""
    told = run(lambda: tell(alice, 20))
    heard, last = [], {}
    for _ in range(20):
        with stream(hub, alice, after=0, **last) as response:
            ((number, event),) = frames(response, 1)
        heard.append(event["id"])
        last = {"Last-Event-ID": str(number)}

    assert heard == told


def test_a_stream_hears_live_events_of_its_own_creator_only(hub, alice, mallory):
    with stream(hub, mallory) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("retry: ")
        run(lambda: tell(alice))
        (told,) = run(lambda: tell(mallory))
        data = next(line for line in lines if line.startswith("data: "))
    assert (json.loads(data[6:])["id"], json.loads(data[6:])["seq"]) == (told, 1)


def test_a_stream_needs_a_token_and_a_number(hub, alice):
    nobody = httpx.get(f"{hub}/api/v1/events", timeout=10)
    malformed = httpx.get(f"{hub}/api/v1/events?after=x", headers=alice.headers, timeout=10)
    header = httpx.get(f"{hub}/api/v1/events", headers={**alice.headers, "Last-Event-ID": "-4"}, timeout=10)

    assert (nobody.status_code, malformed.status_code, header.status_code) == (401, 422, 422)
    assert nobody.headers["content-type"] == "application/problem+json"


def test_a_stream_ends_when_its_sign_in_does(hub, alice):
    with stream(hub, alice) as response:
        lines = response.iter_lines()
        next(lines)
        assert httpx.post(f"{hub}/api/v1/auth/logout", headers=alice.headers, timeout=10).status_code == 204
        run(lambda: tell(alice))  # nothing is told before it is asked who may still listen
        assert not [line for line in lines if line.startswith("data: ")]
