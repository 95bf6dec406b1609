"""`answer_once`: one effect for each key, and its answer again for whoever lost it, and for nobody else."""

import hashlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from shared.idempotency import answers
from shared.idempotency.answers import IdempotencyKeyInvalid, IdempotencyKeyReused
from shared.idempotency.models import CreatorAnswer, PublicAnswer
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import creator_scope

KEY = "5f1b7a0e-9d1c-4e83-8f0b-0f6a0f0a8f11"


def stored(person) -> list[CreatorAnswer]:
    with creator_scope(person.creator.id):
        return list(CreatorAnswer.objects.all())


def test_without_a_key_each_call_counts(alice, post, notes):
    assert [post(alice.actor, None).status_code for _ in range(2)] == [201, 201]
    assert len(notes.calls) == 2
    assert stored(alice) == []


def test_the_same_key_and_body_get_the_same_bytes_and_one_effect(alice, post, notes):
    first, second = post(alice.actor, KEY, "Grüße"), post(alice.actor, KEY, "Grüße")

    assert (second.status_code, second.content) == (first.status_code, first.content) == (201, first.content)
    assert first.headers["Content-Type"] == second.headers["Content-Type"] == "application/json"
    assert notes.calls == ["Grüße"]


def test_the_stored_answer_stands_though_the_row_has_changed_since(alice, post):
    first = post(alice.actor, KEY, "old")
    post(alice.actor, None, "new")

    assert post(alice.actor, KEY, "old").content == first.content


def test_an_answer_without_a_body_is_repeated_without_one(alice, post):
    for response in [post(alice.actor, KEY, status=204, schema=None) for _ in range(2)]:
        assert (response.status_code, response.content) == (204, b"")
        assert "Content-Type" not in response.headers


def test_the_status_may_depend_on_what_the_service_did(alice, post, notes):
    def status(row):
        return 202 if row.bio == "a" else 500

    assert [post(alice.actor, KEY, status=status).status_code for _ in range(2)] == [202, 202]
    assert notes.calls == ["a"]


@pytest.mark.parametrize("change", [{"body": "b"}, {"body": ""}, {"path": "/notes?dry=1"}])
def test_the_same_key_for_another_request_is_refused(alice, post, notes, change):
    post(alice.actor, KEY, "a")
    with pytest.raises(IdempotencyKeyReused) as refused:
        post(alice.actor, KEY, **({"body": "a"} | change))

    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    assert notes.calls == ["a"]


def test_a_fingerprint_stands_for_a_body_that_was_a_file(alice, post, notes):
    post(alice.actor, KEY, "boundary 1", fingerprint=b"the file", bio="x")
    post(alice.actor, KEY, "boundary 2", fingerprint=b"the file", bio="x")
    assert notes.calls == ["x"]
    with pytest.raises(IdempotencyKeyReused):
        post(alice.actor, KEY, "boundary 1", fingerprint=b"another", bio="x")


def test_another_route_has_keys_of_its_own(alice, post, notes):
    post(alice.actor, KEY, "a", path="/notes")
    post(alice.actor, KEY, "b", path="/others")
    assert notes.calls == ["a", "b"]


def test_a_service_that_fails_leaves_nothing_and_the_key_may_be_tried_again(alice, post, notes):
    with pytest.raises(ZeroDivisionError):
        post(alice.actor, KEY, "a", fail=True)
    assert stored(alice) == []

    assert post(alice.actor, KEY, "a").status_code == 201
    assert notes.calls == ["a", "a"]
    assert len(stored(alice)) == 1


def test_another_creator_with_the_same_key_sees_nothing_of_it(alice, mallory, post, notes):
    hers = post(alice.actor, KEY, "a")
    his = post(mallory.actor, KEY, "a")

    assert his.content != hers.content
    assert notes.calls == ["a", "a"]
    assert post(mallory.actor, KEY, "a").content == his.content
    with pytest.raises(IdempotencyKeyReused):
        post(mallory.actor, KEY, "b")
    assert len(stored(alice)) == len(stored(mallory)) == 1


def test_a_colleague_with_the_same_key_sees_nothing_of_it_either(alice, erin, post, notes):
    post(alice.actor, KEY, "a")
    post(erin.actor, KEY, "b")
    assert notes.calls == ["a", "b"]


def test_people_who_are_not_signed_in_are_kept_apart_by_their_account(db, post):
    calls = []

    def sign_in(*, bio):
        calls.append(bio)
        return SimpleNamespace(id=uuid7(), bio=bio)

    def send(owner):
        return post(None, KEY, "same", service=sign_in, owner=owner).content

    assert send("alice@acme.example.com") == send(" Alice@Acme.example.com ") != send("bob@acme.example.com")
    assert len(calls) == PublicAnswer.objects.count() == 2


def test_the_database_holds_neither_the_answer_nor_the_key(alice, post):
    secret = "a sentence that nobody may read"
    answer = post(alice.actor, KEY, secret)
    with creator_scope(alice.creator.id), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {CreatorAnswer._meta.db_table}")
        (row,) = cursor.fetchall()
    kept = b" ".join(bytes(value) for value in row if isinstance(value, memoryview | bytes))

    for plain in (secret.encode(), KEY.encode(), answer.content, hashlib.sha256(KEY.encode()).digest()):
        assert plain not in kept


def test_the_same_body_is_stored_differently_each_time(alice, post):
    post(alice.actor, "k1", "a")
    post(alice.actor, "k2", "a")
    one, two = stored(alice)
    assert bytes(one.sealed_body) != bytes(two.sealed_body)
    assert bytes(one.fingerprint) != bytes(two.fingerprint)


def test_an_answer_opens_after_the_secret_key_was_changed_with_the_old_one_kept(alice, post, notes):
    first = post(alice.actor, KEY, "a")
    old = settings.SECRET_KEY
    with override_settings(SECRET_KEY="another " * 8, SECRET_KEY_FALLBACKS=[old]):
        assert post(alice.actor, KEY, "a").content == first.content
    assert notes.calls == ["a"]


def test_after_a_day_the_key_is_free_again(alice, post, notes, monkeypatch):
    post(alice.actor, KEY, "a")
    later = timezone.now() + answers.KEPT_FOR + timedelta(seconds=1)
    monkeypatch.setattr(answers.timezone, "now", lambda: later)

    assert post(alice.actor, KEY, "b").status_code == 201
    assert notes.calls == ["a", "b"]


def test_whoever_writes_sweeps_up_what_has_expired_of_their_own(alice, mallory, post, monkeypatch):
    for number in range(3):
        post(alice.actor, f"old-{number}", "a")
    post(mallory.actor, "old", "a")
    later = timezone.now() + answers.KEPT_FOR + timedelta(seconds=1)
    monkeypatch.setattr(answers.timezone, "now", lambda: later)

    post(alice.actor, "new", "a")
    assert len(stored(alice)) == 1
    assert len(stored(mallory)) == 1  # nobody writes in another's scope


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb", "a\x7f"])
def test_a_key_that_is_none_is_refused(alice, post, notes, key):
    with pytest.raises(IdempotencyKeyInvalid) as refused:
        post(alice.actor, key)
    assert (refused.value.status, refused.value.code) == (400, "idempotency_key_invalid")
    assert notes.calls == []


@pytest.mark.parametrize("key", ["a", "x" * 255, "~!@#$%^&*()'\"{}"])
def test_a_key_may_be_any_visible_ascii(alice, post, key):
    assert post(alice.actor, key).status_code == 201
