"""Runs: one for many changes, another for a change that comes while one is being done, none that is lost."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import embedding, filling, regression, tending
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable
from apps.knowledge.models import GoldenQuestion, GoldenResult
from apps.knowledge.services import documents, golden_questions, golden_runs
from apps.knowledge.services.documents import update_document
from apps.knowledge.services.golden_questions import Expected
from shared.tenancy.scope import creator_scope
from tests.knowledge.conftest import WordEmbedder
from tests.knowledge.golden import URL, change, jobs, one, pinned, run_all, run_waiting, runs, start, told

pytestmark = pytest.mark.django_db
TEXT = b"Refunds are paid within thirty days."


@pytest.fixture
def document(alice, ready):
    return ready(alice, TEXT, "shop.txt")


@pytest.fixture
def question(client, alice, document):
    """A question that was tried and found."""
    made = pinned(client, alice, "when are refunds paid", document)
    assert run_all(alice) == 1
    return made


def rename(person, serve, document, title):
    serve(person.actor, update_document, document_id=document.id, title=title)


class Meanwhile(WordEmbedder):
    """Lets something happen while questions are embedded."""

    def __init__(self, happens):
        self.happens = list(happens)

    async def embed(self, texts):
        vectors = await super().embed(texts)
        if self.happens:
            await regression.run_as(*self.happens.pop(0))
        return vectors


def test_without_questions_nothing_runs(alice, document, serve):
    rename(alice, serve, document, "Another")

    assert runs(alice) == []
    assert jobs() == []


def test_many_changes_are_one_run(alice, document, question, serve, ready):
    for number in range(5):
        rename(alice, serve, document, f"Title {number}")
    ready(alice, b"Cats sleep.")

    (run,) = runs(alice, state="queued")
    assert run.reasons == ["title_changed", "document_ready"]
    (job,) = jobs()
    assert job.args["run_id"] == str(run.id)
    assert run_waiting(alice).state == "done"
    assert runs(alice, state="queued") == []


def test_a_run_waits_for_changes_that_follow_and_for_its_turn(alice, document, question, serve, bring):
    for number in range(3):
        bring(alice, f"Text {number}, which waits for a worker.".encode())
    rename(alice, serve, document, "Another")

    (job,) = jobs()
    wait = job.scheduled_at - timezone.now()
    assert timedelta(seconds=8) < wait <= timedelta(seconds=10)
    versions = ProcrastinateJob.objects.filter(task_name="knowledge.process_version", status="todo")
    assert job.priority < min(version.priority for version in versions) < 0


def test_how_long_it_waits_is_a_setting(alice, document, question, serve, monkeypatch):
    monkeypatch.setenv("GOLDEN_DELAY_SECONDS", "300")
    rename(alice, serve, document, "Another")

    (job,) = jobs()
    assert job.scheduled_at - timezone.now() > timedelta(seconds=290)


def test_a_change_while_a_run_is_being_done_makes_another(alice, document, question, serve, monkeypatch):
    rename(alice, serve, document, "Before")
    (first,) = runs(alice, state="queued")

    def change_it(actor):
        update_document(actor, document_id=document.id, title="Meanwhile")

    monkeypatch.setattr(embedding, "_embedder", Meanwhile([(alice.actor, change_it)]))
    assert run_waiting(alice).id == first.id

    (second,) = runs(alice, state="queued")
    assert second.id != first.id
    assert second.reasons == ["title_changed"]
    assert run_waiting(alice).state == "done"
    assert run_all(alice) == 0


def test_the_next_run_has_no_job_before_the_end_of_the_one_that_is_being_done(alice, document, question, serve):
    rename(alice, serve, document, "Before")
    (first,) = runs(alice, state="queued")
    assert start(alice, first)
    ProcrastinateJob.objects.all().delete()
    rename(alice, serve, document, "Meanwhile")
    (second,) = runs(alice, state="queued")

    assert jobs() == []
    assert not start(alice, second)  # as if somebody had queued it by hand
    async_to_sync(regression.run)(alice.actor, first.id)
    assert [job.args["run_id"] for job in jobs()] == [str(second.id)]


def test_a_question_that_is_changed_while_it_is_tried_is_tried_again(client, alice, document, question, monkeypatch):
    client.post(f"{URL}/run", headers=alice.headers)

    def change_it(actor):
        golden_questions.change_question(actor, question_id=question["id"], question="zeppelin")

    monkeypatch.setattr(embedding, "_embedder", Meanwhile([(alice.actor, change_it)]))
    run = run_waiting(alice)

    assert run.questions == 1
    assert one(client, alice, question)["rank"] is None


def test_a_question_that_is_deleted_while_it_is_tried_is_left_out(client, alice, document, question, monkeypatch):
    client.post(f"{URL}/run", headers=alice.headers)

    def delete_it(actor):
        GoldenQuestion.objects.all().delete()

    monkeypatch.setattr(embedding, "_embedder", Meanwhile([(alice.actor, delete_it)]))

    assert (run_waiting(alice).state, runs(alice)[-1].questions) == ("done", 0)


def test_a_document_that_is_deleted_while_it_is_looked_for_is_no_regression(
    client, alice, document, question, monkeypatch
):
    client.post(f"{URL}/run", headers=alice.headers)

    def delete_it(actor):
        documents.delete_document(actor, document_id=document.id)

    monkeypatch.setattr(embedding, "_embedder", Meanwhile([(alice.actor, delete_it)]))
    run = run_waiting(alice)

    assert (run.questions, run.regressed, run.target_gone) == (0, 0, 1)
    assert runs(alice)[-1].reasons == ["document_deleted"]


def test_two_workers_at_one_run_count_it_once(client, alice, document, question, monkeypatch):
    """As when a worker is thought dead and is not."""
    client.post(f"{URL}/run", headers=alice.headers)
    (waiting,) = runs(alice, state="queued")
    before = one(client, alice, question)["ranked_at"]

    class Twice(WordEmbedder):
        async def embed(self, texts):
            monkeypatch.setattr(embedding, "_embedder", WordEmbedder())
            await regression.run(alice.actor, waiting.id)
            return await super().embed(texts)

    monkeypatch.setattr(embedding, "_embedder", Twice())
    run = run_waiting(alice)

    assert (run.state, run.questions) == ("done", 1)
    found = one(client, alice, question)
    assert found["ranked_before_at"] == before
    assert len(found["history"]) == 2
    assert [event.data.split('"')[3] for event in told(alice, "golden.run_changed")][-3:] == [
        "queued",
        "running",
        "done",
    ]


def test_a_run_that_another_worker_has_ended_is_left_at_that(client, alice, document, question, monkeypatch):
    client.post(f"{URL}/run", headers=alice.headers)
    (waiting,) = runs(alice, state="queued")
    calls = []

    class Late(WordEmbedder):
        async def embed(self, texts):
            calls.append(texts)
            if len(calls) == 1:
                await regression.run(alice.actor, waiting.id)
                new = {"question": "a newer one", "expected": Expected(document_id=document.id)}
                await regression.run_as(alice.actor, golden_questions.pin_question, **new)
            assert len(calls) < 4, "it never ends"
            return await super().embed(texts)

    monkeypatch.setattr(embedding, "_embedder", Late())

    assert run_waiting(alice).questions == 1
    assert len(calls) == 2  # each worker's one


def test_what_another_worker_has_just_tried_is_not_tried_again(alice, document, question, serve):
    rename(alice, serve, document, "Another")
    (run,) = runs(alice, state="queued")
    start(alice, run)
    vector = async_to_sync(WordEmbedder().embed)(["when are refunds paid"])[0]
    asked = [golden_runs.Asked(serve(alice.actor, lambda actor: GoldenQuestion.objects.get()), vector, uuid4())]

    for _ in range(2):
        assert serve(alice.actor, golden_runs.try_questions, run_id=run.id, asked=asked)

    with creator_scope(alice.creator.id):
        assert GoldenResult.objects.filter(run=run).count() == 1


def test_many_questions_are_embedded_some_at_a_time(client, alice, document, monkeypatch):
    calls = []

    class Counting(WordEmbedder):
        async def embed(self, texts):
            calls.append(len(texts))
            return await super().embed(texts)

    for number in range(20):
        pinned(client, alice, f"refunds {number}", document)
    monkeypatch.setattr(embedding, "_embedder", Counting())

    assert run_waiting(alice).questions == 20
    assert calls == [16, 4]


def test_a_long_run_lets_others_go_first(client, alice, document, monkeypatch):
    for number in range(3):
        pinned(client, alice, f"refunds {number}", document)
    monkeypatch.setattr(regression, "_BATCH", 1)
    monkeypatch.setattr(regression, "_TURN_SECONDS", -1.0)
    (run,) = runs(alice)

    async_to_sync(regression.run)(alice.actor, run.id)
    assert runs(alice)[0].state == "running"
    assert len(jobs()) == 2  # the one that did this, and the one that goes on
    monkeypatch.setattr(regression, "_TURN_SECONDS", 60.0)
    async_to_sync(regression.run)(alice.actor, run.id)
    assert (runs(alice)[0].state, runs(alice)[0].questions) == ("done", 3)


def test_an_embedding_service_that_is_away_only_puts_it_off(client, alice, document, monkeypatch):
    pinned(client, alice, "refunds", document)
    (run,) = runs(alice)

    class Away(WordEmbedder):
        async def embed(self, texts):
            raise EmbeddingUnavailable

    monkeypatch.setattr(embedding, "_embedder", Away())
    for _ in range(golden_runs.MOST_FRUITLESS + 2):
        async_to_sync(regression.run)(alice.actor, run.id)

    assert runs(alice)[0].state == "running"
    assert jobs()[-1].scheduled_at - timezone.now() > timedelta(seconds=50)
    monkeypatch.setattr(embedding, "_embedder", WordEmbedder())
    async_to_sync(regression.run)(alice.actor, run.id)
    assert runs(alice)[0].state == "done"


def test_a_run_that_always_breaks_is_given_up(client, alice, document, monkeypatch):
    pinned(client, alice, "refunds", document)
    (run,) = runs(alice)

    class Broken(WordEmbedder):
        async def embed(self, texts):
            raise LookupError("on purpose")

    monkeypatch.setattr(embedding, "_embedder", Broken())
    for _ in range(golden_runs.MOST_FRUITLESS):
        with pytest.raises(LookupError):
            async_to_sync(regression.run)(alice.actor, run.id)
    async_to_sync(regression.run)(alice.actor, run.id)

    assert runs(alice)[0].state == "failed"
    client.post(f"{URL}/run", headers=alice.headers)
    assert len(runs(alice, state="queued")) == 1


def test_only_the_newest_runs_are_kept(client, alice, question, monkeypatch):
    monkeypatch.setattr(golden_runs, "KEPT_RUNS", 3)
    for _ in range(5):
        client.post(f"{URL}/run", headers=alice.headers)
        run_all(alice)

    assert len(runs(alice)) == 3
    assert len(one(client, alice, question)["history"]) == 3


def test_a_changed_question_is_a_reason(client, alice, document, question, serve):
    change(client, alice, question, question="when is money paid back")

    assert run_waiting(alice).reasons == ["questions_changed"]


# ---- By the clock


def tend():
    return async_to_sync(tending.tend_everybody)()


def test_a_run_whose_job_is_lost_is_queued_again(alice, document, question, serve):
    rename(alice, serve, document, "Another")
    assert tend() == 0
    ProcrastinateJob.objects.all().delete()

    assert tend() == 1
    assert tend() == 0
    assert run_waiting(alice).state == "done"
    assert tend() == 0


def test_of_two_unfinished_runs_the_earlier_goes_on(alice, document, question, serve):
    rename(alice, serve, document, "Before")
    (first,) = runs(alice, state="queued")
    start(alice, first)
    rename(alice, serve, document, "Meanwhile")
    ProcrastinateJob.objects.all().delete()

    assert tend() == 1
    assert [job.args["run_id"] for job in jobs()] == [str(first.id)]


def test_a_run_that_ended_meanwhile_is_left_alone(alice, document, question, serve, monkeypatch):
    rename(alice, serve, document, "Another")
    ProcrastinateJob.objects.all().delete()
    alive = iter([set(), {1}])
    monkeypatch.setattr(golden_runs, "living_jobs", lambda jobs: next(alive))

    assert serve(alice.actor, golden_runs.tend_runs, models=[UUID(int=1)]) == 0
    assert jobs() == []


def test_another_model_is_a_change(alice, question, monkeypatch):
    assert tend() == 0

    class Other(WordEmbedder):
        name = "http://models.internal/v1 other-model"

    monkeypatch.setattr(embedding, "_embedder", Other())
    assert tend() == 1  # first it has to see the passages
    assert runs(alice, state="queued") == []
    async_to_sync(filling.run)(alice.actor)
    assert tend() == 1
    assert tend() == 0
    run = run_waiting(alice)
    assert (run.reasons, run.model) == (["model_changed"], "other-model")
    assert tend() == 0


def test_another_model_is_none_of_the_business_of_who_has_no_questions(client, alice, question, monkeypatch):
    client.delete(f"{URL}/{question['id']}", headers=alice.headers)

    class Other(WordEmbedder):
        name = "other"

    monkeypatch.setattr(embedding, "_embedder", Other())
    async_to_sync(filling.run)(alice.actor)
    assert tend() == 0
    assert runs(alice, state="queued") == []


def test_a_run_of_another_creator_is_none(alice, mallory, document, question, serve):
    rename(alice, serve, document, "Another")
    (run,) = runs(alice, state="queued")

    async_to_sync(regression.run)(mallory.actor, run.id)

    assert runs(alice, state="queued")[0].fruitless == 0
    assert runs(mallory) == []
