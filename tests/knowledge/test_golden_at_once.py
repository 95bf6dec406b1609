"""Changes, runs and questions at the same moment, on real threads: nothing waits for ever, nothing is missed."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import regression
from apps.knowledge.errors import DocumentNotFound, GoldenQuestionNotFound, GoldenQuestionsFull
from apps.knowledge.models import Document, GoldenQuestion, GoldenRun
from apps.knowledge.services import documents, golden, golden_questions
from apps.knowledge.services.golden_questions import Expected
from shared.tenancy.scope import creator_scope
from tests.isolation.worker import work_until_done
from tests.knowledge.golden import jobs, one, pinned, run_all, runs, start

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = b"Refunds are paid within thirty days."


def pin(person, serve, document, question="refunds"):
    return serve(
        person.actor, golden_questions.pin_question, question=question, expected=Expected(document_id=document.id)
    )


def newest_runs(actor):
    return list(GoldenRun.objects.order_by("-id").values_list("id", flat=True)[:2])


def test_changes_at_the_same_moment_are_one_run(client, alice, ready, serve):
    made = [ready(alice, f"Refunds number {number}.".encode()) for number in range(6)]
    pinned(client, alice, "refunds", made[0])
    run_all(alice)

    def rename_one(number):
        serve(alice.actor, documents.update_document, document_id=made[number].id, title=f"Renamed {number}")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(rename_one, range(6)))

    assert len(runs(alice, state="queued")) == 1
    assert len(jobs()) == 1
    with creator_scope(alice.creator.id):
        assert Document.objects.filter(title__startswith="Renamed").count() == 6


def test_a_change_that_finds_another_still_asking_asks_for_the_same_run(client, alice, ready, serve):
    """Neither sees what the other has written; the second waits for the first one's commit."""
    document = ready(alice, TEXT, "shop.txt")
    pinned(client, alice, "refunds", document)
    run_all(alice)
    noted, go_on = Signal(), Signal()

    def slow_change(actor):
        golden.ask_for_run(actor, GoldenRun.Reason.TITLE_CHANGED)
        noted.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(serve, alice.actor, slow_change)
        assert noted.wait(20)
        second = threads.submit(serve, alice.actor, golden.ask_for_run, reason=GoldenRun.Reason.PASSAGE_CHANGED)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        go_on.set()
        first.result(20)
        second.result(20)

    (run,) = runs(alice, state="queued")
    assert run.reasons == ["title_changed", "passage_changed"]
    assert len(jobs()) == 1


def test_a_run_begins_after_the_changes_that_it_was_asked_for(client, alice, ready, serve):
    """Whoever asks first and commits later is waited for, else the run would not see the change."""
    document = ready(alice, TEXT, "shop.txt")
    pinned(client, alice, "refunds", document)
    (run,) = runs(alice)
    noted, go_on = Signal(), Signal()

    def slow_change(actor):
        golden.ask_for_run(actor, GoldenRun.Reason.TITLE_CHANGED)
        noted.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        changing = threads.submit(serve, alice.actor, slow_change)
        assert noted.wait(20)
        beginning = threads.submit(start, alice, run)
        with pytest.raises(TimeoutError):
            beginning.result(0.5)
        go_on.set()
        changing.result(20)
        assert beginning.result(20) is True
    assert runs(alice)[0].state == "running"


def test_the_first_question_waits_for_a_change_that_found_none(alice, ready, serve):
    """The change saw no question, so it asked for nothing; the first run begins after it all the same."""
    document = ready(alice, TEXT, "shop.txt")
    noted, go_on = Signal(), Signal()

    def slow_change(actor):
        assert golden.ask_for_run(actor, GoldenRun.Reason.TITLE_CHANGED) is None
        noted.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        changing = threads.submit(serve, alice.actor, slow_change)
        assert noted.wait(20)
        pin(alice, serve, document)
        beginning = threads.submit(start, alice, runs(alice)[0])
        with pytest.raises(TimeoutError):
            beginning.result(0.5)
        go_on.set()
        changing.result(20)
        assert beginning.result(20) is True


def test_no_more_than_the_limit_at_the_same_moment(alice, ready, serve, monkeypatch):
    monkeypatch.setenv("GOLDEN_QUESTIONS", "1")
    first, second = ready(alice, TEXT, "shop.txt"), ready(alice, b"Refunds are late.", "late.txt")
    noted, go_on = Signal(), Signal()

    def slow_pin(actor):
        golden_questions.pin_question(actor, question="one", expected=Expected(document_id=first.id))
        noted.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        pinning = threads.submit(serve, alice.actor, slow_pin)
        assert noted.wait(20)
        refused = threads.submit(pin, alice, serve, second, "two")
        with pytest.raises(TimeoutError):
            refused.result(0.5)
        go_on.set()
        pinning.result(20)
        with pytest.raises(GoldenQuestionsFull):
            refused.result(20)


def test_the_same_question_twice_at_the_same_moment_is_one(alice, ready, serve):
    document = ready(alice, TEXT, "shop.txt")
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: pin(alice, serve, document), range(4)))

    assert len({question.id for question in made}) == 1
    assert [question.is_new for question in made].count(True) == 1


def test_everything_at_once_ends_and_what_is_left_is_true(alice, ready, serve):
    """Pins, changes, deletions and runs by many threads: no deadlock, and afterwards every rank is that of now."""
    chance = random.Random(7)
    made = [ready(alice, f"Refunds number {number}, and word{number}.".encode()) for number in range(8)]
    pinned_first = [pin(alice, serve, document, f"word{number}") for number, document in enumerate(made)]

    def act(number):
        document, question = chance.choice(made), chance.choice(pinned_first)
        acts = {
            "rename": lambda: serve(
                alice.actor, documents.update_document, document_id=document.id, title=f"Word{number} of old"
            ),
            "change": lambda: serve(
                alice.actor,
                golden_questions.change_question,
                question_id=question.id,
                expected=Expected(document_id=document.id),
            ),
            "pin": lambda: pin(alice, serve, document, f"refunds {number}"),
            "unpin": lambda: serve(alice.actor, golden_questions.delete_question, question_id=question.id),
            "delete": lambda: serve(alice.actor, documents.delete_document, document_id=document.id),
            "run": lambda: [async_to_sync(regression.run)(alice.actor, run) for run in serve(alice.actor, newest_runs)],
        }
        often = ["rename"] * 6 + ["change"] * 4 + ["pin"] * 3 + ["run"] * 6 + ["unpin", "delete"]
        try:
            acts[chance.choice(often)]()
        except (DocumentNotFound, GoldenQuestionNotFound):
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(120)))

    for run in [*runs(alice, state="running"), *runs(alice, state="queued")]:
        async_to_sync(regression.run)(alice.actor, run.id)
    with creator_scope(alice.creator.id):
        left = list(GoldenQuestion.objects.all())
        there = set(Document.objects.values_list("id", flat=True))
    assert left
    assert runs(alice, state="queued") == runs(alice, state="running") == []
    for question in left:
        assert (question.state == "target_gone") == (question.document_id not in there)
        assert question.state != "waiting"


def test_a_worker_does_the_runs_of_two_creators_each_in_its_own_scope(client, alice, mallory, ready, monkeypatch):
    monkeypatch.setenv("GOLDEN_DELAY_SECONDS", "0")
    hers = pinned(client, alice, "refunds", ready(alice, TEXT, "shop.txt"))
    theirs = pinned(client, mallory, "umbrellas", ready(mallory, b"Umbrellas are opened before the rain."))
    lonely = pinned(client, mallory, "thirty refunds", ready(mallory, b"Rain falls in autumn."))

    work_until_done(concurrency=2)

    assert [one(client, alice, hers)["rank"], one(client, mallory, theirs)["rank"]] == [1, 1]
    assert one(client, mallory, lonely)["state"] == "not_found"  # Alice's text is no answer of Mallory's
    assert {run.state for person in (alice, mallory) for run in runs(person)} == {"done"}
    assert {job.status for job in jobs()} == {"succeeded"}
