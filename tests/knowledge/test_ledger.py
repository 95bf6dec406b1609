"""The ledger tells the truth: what is at work, what is lost, whose turn it is."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import embedding, pipeline, tasks, tending
from apps.knowledge.models import Chunk, Document, Stage, Version
from apps.knowledge.services import ledger
from apps.knowledge.services.tending import resume_lost
from shared.tenancy.names import storage_path
from shared.tenancy.scope import creator_scope
from tests.knowledge.conftest import WordEmbedder, path_of

pytestmark = pytest.mark.django_db


def queued():
    """The jobs that wait, in the order in which a worker takes them: creator and version."""
    jobs = ProcrastinateJob.objects.filter(task_name="knowledge.process_version", status="todo")
    return [job.args["actor"]["creator_id"] for job in jobs.order_by("-priority", "id")]


# ---- What the API shows


def test_each_step_says_what_it_did(client, alice, ready):
    document = ready(alice, b"Refunds are paid.")

    stages = client.get(f"/api/v1/documents/{document.id}/stages", headers=alice.headers).json()

    assert [stage["name"] for stage in stages] == ["store", "scan", "extract", "chunk", "embed", "index", "verify"]
    assert {stage["state"] for stage in stages} == {"done"}
    assert all(stage["attempts"] == 1 and stage["done"] == stage["total"] == 1 for stage in stages)
    assert all(stage["started_at"] and stage["heartbeat_at"] for stage in stages)
    assert {stage["failure"] for stage in stages} == {None}


def test_the_step_that_failed_says_why_and_what_to_do(client, alice, bring, process):
    document = process(alice.actor, bring(alice, b"%PDF-1.4 nothing", "broken.pdf"))

    stages = client.get(f"/api/v1/documents/{document.id}/stages", headers=alice.headers).json()

    failed = next(stage for stage in stages if stage["name"] == "extract")
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "corrupt")
    assert failed["failure"]["sentence"] == document.failure_sentence
    assert failed["failure"]["action"] == document.failure_action
    assert [stage["state"] for stage in stages if stage["name"] in ("store", "scan")] == ["done", "done"]
    assert {stage["state"] for stage in stages[3:]} == {"pending"}


def test_a_file_that_changed_in_storage_is_not_processed(alice, bring, process):
    document = bring(alice, b"Refunds are paid.")
    path = path_of(alice, document)
    default_storage.delete(path)
    default_storage.save(path, ContentFile(b"Refunds are never paid."))

    assert process(alice.actor, document).failure_code == "file_changed"


def test_what_a_file_is_is_looked_at_anew(client, alice, bring, process):
    document = bring(alice, b"# Title\n\nWords.", "notes.md")
    with creator_scope(alice.creator.id):
        Version.objects.update(media_type="application/octet-stream")
        Document.objects.update(media_type="application/octet-stream")

    document = process(alice.actor, document)

    assert (document.status, document.media_type) == ("ready", "text/markdown")


# ---- What nobody is at


def work_of(alice, serve):
    with creator_scope(alice.creator.id):
        version = Version.objects.get()
    work = serve(alice.actor, ledger.claim_version, version_id=version.id)
    serve(alice.actor, ledger.begin_stage, work=work, name="embed")
    return work


def test_a_step_without_a_sign_of_life_is_queued_again_and_its_run_may_write_no_more(alice, bring, serve):
    bring(alice, b"hello")
    work = work_of(alice, serve)
    with creator_scope(alice.creator.id):
        Stage.objects.filter(name="embed").update(heartbeat_at=timezone.now() - timedelta(seconds=61))

    assert serve(alice.actor, resume_lost, silent_seconds=60) == [work.version_id]

    assert ProcrastinateJob.objects.filter(status="todo").count() == 2
    with pytest.raises(ledger.Superseded):
        serve(alice.actor, ledger.finish_stage, work=work, name="embed", milliseconds=1, total=1)
    assert serve(alice.actor, resume_lost, silent_seconds=60) == []


def test_a_step_that_says_it_is_alive_is_left_alone(alice, bring, serve):
    bring(alice, b"hello")
    work = work_of(alice, serve)
    with creator_scope(alice.creator.id):
        Stage.objects.filter(name="embed").update(heartbeat_at=timezone.now() - timedelta(seconds=61))
    serve(alice.actor, ledger.beat, work=work, name="embed")

    assert serve(alice.actor, resume_lost, silent_seconds=60) == []


@pytest.mark.parametrize("status", ["failed", "succeeded", "cancelled", None])
def test_a_version_whose_job_is_gone_is_queued_again(alice, bring, process, status):
    document = bring(alice, b"hello")
    jobs = ProcrastinateJob.objects.filter(task_name="knowledge.process_version")
    with connection.cursor() as cursor:
        if status is None:
            cursor.execute("DELETE FROM procrastinate_jobs")
        else:
            cursor.execute("UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status", [status])
    assert not jobs.filter(status="todo").exists()

    async_to_sync(tasks.tend.func)(timestamp=0)

    assert jobs.filter(status="todo").count() == 1
    assert process(alice.actor, document).status == "ready"
    assert async_to_sync(tending.tend_everybody)() == 0


def test_what_has_a_job_or_is_done_is_left_alone(alice, mallory, bring, ready, serve):
    bring(alice, b"hello")
    ready(mallory, b"hello")

    assert async_to_sync(tending.tend_everybody)() == 0


def test_progress_that_lasts_clears_a_documents_name(alice, bring, serve):
    bring(alice, b"hello")
    work = work_of(alice, serve)
    for _ in range(3):
        serve(alice.actor, ledger.begin_stage, work=work, name="embed")

    serve(alice.actor, ledger.report_progress, work=work, name="embed", done=1, total=9, lasting=True)

    assert serve(alice.actor, ledger.begin_stage, work=work, name="embed") == 2


# ---- Files that no row names


def test_only_old_files_that_no_version_names_are_swept(alice, mallory, bring, settings, monkeypatch):
    kept = path_of(alice, bring(alice, b"hello"))
    orphans = []
    for person in (alice, mallory):
        with creator_scope(person.creator.id):
            orphans.append(default_storage.save(storage_path("documents", person.user.id), ContentFile(b"left over")))

    async_to_sync(tasks.sweep.func)(timestamp=0)
    assert all(default_storage.exists(path) for path in (kept, *orphans))  # too young

    monkeypatch.setattr(tending, "UNCLAIMED_AFTER", timedelta(seconds=-1))
    async_to_sync(tasks.sweep.func)(timestamp=0)
    assert default_storage.exists(kept)
    assert not any(default_storage.exists(path) for path in orphans)


# ---- Whose turn it is


def test_one_creators_many_files_do_not_hold_up_anothers_one(alice, mallory, bring):
    for number in range(20):
        bring(alice, b"number %d" % number)
    bring(mallory, b"just one")

    order = queued()

    assert len(order) == 21
    assert order.index(str(mallory.creator.id)) <= 2


def test_a_creator_who_came_late_does_not_overtake_for_ever(alice, mallory, bring):
    """Turns go on from where everybody is: nobody starts again from the first while others wait."""
    for number in range(6):
        bring(alice, b"number %d" % number)
    with connection.cursor() as cursor:  # four of them are done
        cursor.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE priority >= -4")
    with creator_scope(alice.creator.id):
        Version.objects.filter(turn__lte=4).update(status="ready")
    for number in range(3):
        bring(mallory, b"late %d" % number)

    assert [creator == str(alice.creator.id) for creator in queued()] == [True, False, True, False, False]


def test_a_large_file_counts_as_many_turns(alice, mallory, bring):
    bring(alice, b"x" * (3 * 1024 * 1024))
    for number in range(3):
        bring(mallory, b"small %d" % number)

    bring(alice, b"after it")

    assert [creator == str(alice.creator.id) for creator in queued()] == [True, False, False, False, True]


def test_a_long_document_lets_others_go_first_and_goes_on_where_it_was(alice, mallory, bring, process, monkeypatch):
    text = "\n\n".join(f"# Part {number}\n\nword{number}" for number in range(40))
    long = bring(alice, text.encode(), "parts.md")
    bring(mallory, b"just one")
    with creator_scope(alice.creator.id):
        ProcrastinateJob.objects.filter(id=Version.objects.get().job).update(status="doing")
    embedded = []

    class Slow(WordEmbedder):
        async def embed(self, texts):
            embedded.append(len(texts))
            monkeypatch.setattr(pipeline, "_TURN_SECONDS", -1.0)  # from now on its turn is over
            return await super().embed(texts)

    monkeypatch.setattr(embedding, "_embedder", Slow())
    document = process(alice.actor, long)

    assert (document.status, embedded) == ("queued", [16])
    assert queued()[0] == str(mallory.creator.id)
    with connection.cursor() as cursor:  # the other one is done, and so is the job that gave way
        cursor.execute(
            "DELETE FROM procrastinate_jobs WHERE args->'actor'->>'creator_id' = %s", [str(mallory.creator.id)]
        )

    assert process(alice.actor, long).status == "ready"
    with creator_scope(alice.creator.id):
        assert Chunk.objects.count() == 40
        assert Stage.objects.get(name="embed").attempts == 2


def test_a_long_document_goes_on_while_nobody_else_waits(alice, bring, process, monkeypatch):
    monkeypatch.setattr(pipeline, "_TURN_SECONDS", -1.0)
    long = bring(alice, b"hello")
    bring(alice, b"my own next")

    assert process(alice.actor, long).status == "ready"
