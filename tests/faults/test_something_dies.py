"""Redis killed, Postgres restarted, the worker killed at work: clear answers, nothing lost, well again by itself."""

import contextlib
import time

import httpx

from tests.faults.own_hub import OwnHub, eventually

LONG_TEXT = "\n\n".join(
    f"Chapter {number}. The lighthouse keeper of harbour {number} counts the ships, writes their names into a book, "
    f"and waters the tomatoes behind the tower before the evening bell rings {number} times." * 3
    for number in range(1, 160)
)


def test_without_redis_the_hub_answers_and_recovers(hub: OwnHub) -> None:
    alice = hub.register("alice")
    hub.redis.stop()
    try:
        assert hub.client.get("/api/v1/documents", headers=alice).status_code == 200
        assert eventually(lambda: hub.ready()["status"] == "degraded", "readiness says degraded")
        assert hub.client.get("/health/ready").status_code == 200
        document_id = hub.upload(alice, "Kept without any Redis at all, the wombat memorandum.")
        assert hub.wait_ready(alice, document_id)["status"] == "ready"
        wrong = {"email": "alice@hub.test", "password": "not her password"}
        answers = [hub.client.post("/api/v1/auth/login", json=wrong).status_code for _ in range(12)]
        assert set(answers) == {401, 429}, answers
        assert answers[-1] == 429
    finally:
        hub.redis.start()
    assert eventually(lambda: hub.ready()["status"] == "ready", "readiness says ready again")
    eventually(
        lambda: "RateLimit" in hub.client.get("/api/v1/documents", headers=alice).headers, "limits are exact again"
    )


def test_while_postgres_is_away_the_hub_says_so_and_recovers(hub: OwnHub) -> None:
    bob = hub.register("bob")
    document_id = hub.upload(bob, "A note about the narwhal census.")
    hub.wait_ready(bob, document_id)
    hub.postgres.stop()
    try:
        started = time.monotonic()
        answer = hub.client.get("/api/v1/documents", headers=bob)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"].isdigit()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "database_unavailable"
        assert time.monotonic() - started < 15
        assert hub.client.get("/health/live").status_code == 200
        assert hub.client.get("/health/ready").status_code == 503
    finally:
        hub.postgres.start()
    eventually(lambda: hub.client.get("/api/v1/documents", headers=bob).status_code == 200, "documents are back")
    assert hub.ready()["status"] == "ready"
    # The worker is the same process, and works.
    assert hub.worker.running
    again = hub.upload(bob, "Written after the restart: the pangolin appendix.", name="after.txt")
    assert hub.wait_ready(bob, again)["status"] == "ready"


def test_a_document_survives_its_worker(hub: OwnHub) -> None:
    carol = hub.register("carol")
    document_id = hub.upload(carol, LONG_TEXT, name="lighthouses.txt")
    seen = eventually(
        lambda: hub.document(carol, document_id)["status"] == "processing" and hub.document(carol, document_id),
        "the worker has begun",
    )
    hub.kill(hub.worker)
    assert hub.document(carol, document_id)["status"] == "processing", seen
    hub.start_worker()

    document = hub.wait_ready(carol, document_id)

    found = hub.client.get("/api/v1/search", headers=carol, params={"q": "lighthouse keeper harbour 150"}).json()
    assert any(result["document_id"] == document_id for result in found["results"])
    texts = [result["text"] for result in found["results"]]
    assert len(texts) == len(set(texts)), "no passage is there twice"
    assert document["live_version"] == 1


def test_a_client_that_lost_its_answer_repeats_safely(hub: OwnHub) -> None:
    dora = hub.register("dora")
    key = {**dora, "Idempotency-Key": "upload-of-the-otter-protocol"}
    file = {"file": ("otter.txt", b"The otter protocol, first and only edition.")}
    # So short a patience that the answer is lost, whether or not the effect happened.
    with contextlib.suppress(httpx.TimeoutException):
        hub.client.post("/api/v1/documents", headers=key, files=file, timeout=0.02)

    first = eventually(
        lambda: (answer := hub.client.post("/api/v1/documents", headers=key, files=file)).status_code != 409 and answer,
        "the repetition is answered",
    )
    second = hub.client.post("/api/v1/documents", headers=key, files=file)

    assert first.content == second.content
    assert len(hub.client.get("/api/v1/documents", headers=dora).json()["items"]) == 1
