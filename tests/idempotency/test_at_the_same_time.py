"""Two requests with one key at once: one runs, the other is told to come back, and there is one effect."""

import asyncio
import threading

import pytest
from django.test import RequestFactory

from apps.hub.models import Profile
from shared.idempotency.answers import RequestInProgress, answer_once
from shared.idempotency.models import CreatorAnswer
from shared.tenancy.run import run_as
from tests.idempotency.conftest import NoteOut

pytestmark = pytest.mark.django_db(transaction=True)


class Slow:
    """A service that waits until it is let go."""

    def __init__(self) -> None:
        self.running, self.go_on = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, actor):
        self.calls += 1
        row, _ = Profile.objects.update_or_create(defaults={"bio": "slow"})
        self.running.set()
        assert self.go_on.wait(20)
        return row


def request_of(person, key="k", body=b"a"):
    request = RequestFactory().post("/notes", body, content_type="application/json", headers={"Idempotency-Key": key})
    request.actor = person.actor
    return request


def count(actor):
    return CreatorAnswer.objects.count(), Profile.objects.count()


def test_the_second_is_told_that_the_first_still_runs_and_later_gets_its_answer(alice):
    slow = Slow()

    async def main():
        first = asyncio.create_task(answer_once(request_of(alice), 201, NoteOut, slow))
        await asyncio.to_thread(slow.running.wait, 20)
        with pytest.raises(RequestInProgress) as refused:
            await answer_once(request_of(alice), 201, NoteOut, slow)
        slow.go_on.set()
        answer = await first
        again = await answer_once(request_of(alice), 201, NoteOut, slow)
        return refused.value, answer.content, again.content, await run_as(alice.actor, count)

    refused, answer, again, rows = asyncio.run(main())
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (409, "request_in_progress", "1")
    assert answer == again
    assert slow.calls == 1
    assert rows == (1, 1)


def test_another_creators_same_key_does_not_wait(alice, mallory):
    slow, quick = Slow(), Slow()
    quick.go_on.set()

    async def main():
        first = asyncio.create_task(answer_once(request_of(alice), 201, NoteOut, slow))
        await asyncio.to_thread(slow.running.wait, 20)
        other = await answer_once(request_of(mallory), 201, NoteOut, quick)
        slow.go_on.set()
        await first
        return other.status_code

    assert asyncio.run(main()) == 201


def test_a_client_that_left_finds_its_answer(alice):
    """A disconnect is not a rollback: what was running commits, and the repetition is told what happened."""
    slow = Slow()

    async def main():
        first = asyncio.create_task(answer_once(request_of(alice), 201, NoteOut, slow))
        await asyncio.to_thread(slow.running.wait, 20)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        slow.go_on.set()
        while True:
            try:
                return await answer_once(request_of(alice), 201, NoteOut, slow)
            except RequestInProgress:
                await asyncio.sleep(0.02)

    assert asyncio.run(main()).status_code == 201
    assert slow.calls == 1


def test_twenty_at_once_have_one_effect(alice):
    calls = []

    def add(actor):
        calls.append(1)
        return Profile.objects.create(bio="x")

    async def one():
        while True:
            try:
                return (await answer_once(request_of(alice), 201, NoteOut, add)).content
            except RequestInProgress:
                await asyncio.sleep(0.01)

    async def main():
        return await asyncio.gather(*(one() for _ in range(20)))

    assert len(set(asyncio.run(main()))) == 1
    assert len(calls) == 1
