"""A token whose sign-in, membership or person has ended: signed and not expired, and good for nothing any more."""

import asyncio
import json

import pytest
from django.db import connection

from apps.accounts.models import Membership, RefreshFamily, User
from apps.accounts.services.tokens import open_sign_in
from apps.knowledge import searching, storage
from shared.lean import LeanHandler
from tests.isolation.answers import Answer
from tests.isolation.operations import CALLS, PUBLIC_OPERATIONS, every_operation
from tests.isolation.test_api_operations import effects_on
from tests.lean.asgi import CHUNKED, Exchange

PROTECTED = [operation for operation in every_operation() if str(operation) not in PUBLIC_OPERATIONS]
DOCUMENTS = "/api/v1/documents"


def signed_out(person):
    RefreshFamily.objects.filter(user=person.user).update(revoked_at="2026-01-01T00:00Z")


def signed_out_and_in_again(person):
    """The new sign-in has a token of its own."""
    signed_out(person)
    open_sign_in(person.user, person.creator)


ENDINGS = {
    "signed out": signed_out,
    "signed out and in again": signed_out_and_in_again,
    "sign-in gone": lambda person: RefreshFamily.objects.filter(user=person.user).delete(),
    "no member": lambda person: Membership.objects.filter(user=person.user).delete(),
    "not active": lambda person: User.objects.filter(id=person.user.id).update(is_active=False),
}
ended = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)


def jobs():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs")
        return cursor.fetchone()


@ended
@pytest.mark.parametrize("operation", PROTECTED, ids=str)
def test_it_opens_nothing_and_changes_nothing(client, alice, acme_world, operation, end):
    end(alice)
    before = effects_on(acme_world.creator_id), jobs()

    answer = Answer.of(operation.send(client, CALLS[str(operation)], acme_world.things, **alice.headers))

    assert (answer.status, json.loads(answer.body)["code"]) == (401, "token_invalid")
    assert acme_world.words_in(answer.everything) == []
    assert (effects_on(acme_world.creator_id), jobs()) == before


@ended
def test_an_answer_that_was_stored_is_not_given_again(client, alice, acme_world, end):
    headers = {**alice.headers, "Idempotency-Key": "k1"}
    address = f"{DOCUMENTS}/{acme_world.things['broken']}/reprocess"
    assert client.post(address, headers=headers).status_code == 202
    end(alice)

    again = Answer.of(client.post(address, headers=headers))

    assert again.status == 401
    assert acme_world.words_in(again.everything) == []


@ended
def test_no_file_is_stored_and_nothing_embedded_even_for_a_moment(client, monkeypatch, alice, acme_world, end):
    done, store, embedder = [], storage.store, searching.embedder_of
    monkeypatch.setattr(storage, "store", lambda *file: done.append("stored") or store(*file))
    monkeypatch.setattr(searching, "embedder_of", lambda model: done.append("embedded") or embedder(model))
    costly = [operation for operation in PROTECTED if str(operation) in ("POST " + DOCUMENTS, "GET /api/v1/search")]

    statuses = []
    for _ in range(2):
        for operation in costly:
            answer = operation.send(client, CALLS[str(operation)], acme_world.things, **alice.headers)
            statuses.append(answer.status_code)
        end(alice)

    assert statuses == [*(CALLS[str(operation)].status for operation in costly), 401, 401]
    assert sorted(done) == ["embedded", "stored"]


@pytest.mark.django_db(transaction=True)  # read on a thread of the event loop's
@ended
def test_of_a_large_body_nothing_is_read(alice, end):
    end(alice)
    authorization = (b"authorization", alice.headers["Authorization"].encode())
    multipart = (b"content-type", b"multipart/form-data; boundary=b")
    upload = Exchange(DOCUMENTS, "POST", (authorization, CHUNKED, multipart), [b"--b\r\n", b"x" * 1000])

    asyncio.run(asyncio.wait_for(upload.through(LeanHandler()), 60))

    assert (upload.status, upload.asked) == (401, 0)
    assert upload.answered["connection"] == "close"
