import asyncio
from uuid import uuid4

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from django.db import OperationalError

from apps.knowledge import embedding, operations, pipeline, tasks
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable
from apps.knowledge.extraction import ocr
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.models import Chunk, Document, Stage, Vector, Version
from apps.knowledge.search.finder import Found
from apps.knowledge.services import ledger, passages, switching
from shared.tenancy.scope import creator_scope
from tests.knowledge import files
from tests.knowledge.conftest import path_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (files.locked_pdf(), "secret.pdf", "password_protected"),
        (files.pdf(""), "scan.pdf", "image_only"),
        (b"%PDF-1.4 nothing", "broken.pdf", "corrupt"),
        (b"", "empty.txt", "empty"),
        (b"MZ\x90\x00", "report.pdf", "unsupported_type"),
        (b"--- *** ---", "marks.txt", "empty"),
    ],
)
def test_a_document_that_cannot_be_read_fails_with_one_sentence(
    client, alice, bring, process, monkeypatch, content, name, code
):
    monkeypatch.setattr(ocr, "is_possible", lambda media_type: False)

    document = process(alice.actor, bring(alice, content, name))

    assert (document.status, document.failure_code) == ("failed", code)
    assert document.failure_sentence.endswith(".")
    assert document.failure_action.endswith(".")
    versions = client.get(f"/api/v1/documents/{document.id}/versions", headers=alice.headers).json()
    assert versions[0]["failure_sentence"] == document.failure_sentence


def test_pages_become_passages_that_name_them(alice, ready):
    document = ready(alice, files.pdf("alpha beta", "", "gamma delta"), "book.pdf")

    with creator_scope(alice.creator.id):
        rows = list(Chunk.objects.order_by("position").values_list("page", "text", "lexeme_count"))
    assert [(page, text) for page, text, _ in rows] == [(1, "alpha beta"), (3, "gamma delta")]
    assert all(count > 0 for _, _, count in rows)
    assert (document.page_count, document.chunk_count, document.stage) == (3, 2, "")


def test_a_finished_version_is_not_done_again(alice, ready, process):
    document = ready(alice, b"hello world")
    process(alice.actor, document)

    with creator_scope(alice.creator.id):
        assert set(Stage.objects.values_list("attempts", flat=True)) == {1}


def test_a_version_that_is_gone_is_nothing_to_do(alice, db):
    async_to_sync(tasks.process_version.function)(alice.actor, version_id=str(uuid4()))


@pytest.mark.parametrize("interrupted", list(Stage.Name)[1:])
def test_a_job_that_was_killed_anywhere_ends_without_doubles(alice, bring, process, monkeypatch, interrupted):
    text = "\n\n".join(f"# Part {number}\n\nword{number} " + "and more " * 30 for number in range(40))
    document = bring(alice, text.encode(), "parts.md")
    begin = ledger.begin_stage

    class Killed(BaseException):
        pass

    def killed(actor, *, work, name):
        attempts = begin(actor, work=work, name=name)
        if name == interrupted:
            monkeypatch.setattr(ledger, "begin_stage", begin)
            raise Killed
        return attempts

    monkeypatch.setattr(ledger, "begin_stage", killed)
    with pytest.raises(Killed):
        process(alice.actor, document)

    assert process(alice.actor, document).status == "ready"
    with creator_scope(alice.creator.id):
        assert list(Chunk.objects.order_by("position").values_list("position", flat=True)) == list(range(40))
        assert list(Vector.objects.order_by("position").values_list("position", flat=True)) == list(range(40))
        assert not Chunk.objects.filter(lexemes__isnull=True).exists()


def test_vectors_that_were_stored_before_a_kill_are_kept(alice, bring, process, monkeypatch):
    text = "\n\n".join(f"# Part {number}\n\nword{number}" for number in range(40))
    document = bring(alice, text.encode(), "parts.md")
    embedder, seen = embedding.current_embedder(), []

    class Dying:
        name = "words"

        async def embed(self, texts):
            seen.extend(texts)
            if len(seen) == 32:
                raise KeyboardInterrupt
            return await embedder.embed(texts)

    monkeypatch.setattr(embedding, "_embedder", Dying())
    with pytest.raises(KeyboardInterrupt):
        process(alice.actor, document)
    with creator_scope(alice.creator.id):
        kept = set(Vector.objects.values_list("id", flat=True))

    monkeypatch.setattr(embedding, "_embedder", embedder)
    process(alice.actor, document)

    assert len(kept) == 16
    with creator_scope(alice.creator.id):
        assert kept < set(Vector.objects.values_list("id", flat=True))


def test_a_step_that_takes_its_worker_down_each_time_is_given_up(alice, bring, process):
    document = bring(alice, b"hello")
    with creator_scope(alice.creator.id):
        Stage.objects.filter(name="extract").update(fruitless=ledger.MOST_FRUITLESS)

    document = process(alice.actor, document)

    assert (document.status, document.failure_code) == ("failed", "internal")


def test_a_run_that_was_thought_dead_stops_when_another_has_taken_over(alice, bring, serve, process, monkeypatch):
    document = bring(alice, b"hello world")
    begin = ledger.begin_stage

    def taken_over(actor, *, work, name):
        if name == "embed":
            monkeypatch.setattr(ledger, "begin_stage", begin)
            ledger.claim_version(actor, version_id=work.version_id)
        return begin(actor, work=work, name=name)

    monkeypatch.setattr(ledger, "begin_stage", taken_over)

    assert process(alice.actor, document).status == "processing"  # the first run went quietly
    assert process(alice.actor, document).status == "ready"


def test_a_document_deleted_in_the_middle_ends_the_run_quietly(alice, bring, process, monkeypatch):
    document = bring(alice, b"hello world")

    class Deleting:
        name = "words"

        async def embed(self, texts):
            await operations.remove_document(alice.actor, document.id)
            return np.ones((len(texts), embedding.DIMENSIONS))

    monkeypatch.setattr(embedding, "_embedder", Deleting())
    with pytest.raises(Document.DoesNotExist):
        process(alice.actor, document)
    with creator_scope(alice.creator.id):
        assert not Chunk.objects.exists()


def test_a_lost_file_is_a_reason_of_its_own(alice, bring, process):
    document = bring(alice, b"hello")
    default_storage.delete(path_of(alice, document))

    assert process(alice.actor, document).failure_code == "file_missing"


def test_ready_means_that_a_search_found_it(alice, bring, process, monkeypatch):
    document = bring(alice, b"hello world")
    monkeypatch.setattr(passages, "find_passages_now", lambda question: Found([]))

    document = process(alice.actor, document)

    assert (document.status, document.failure_code, document.live_version) == ("failed", "not_searchable", None)


def test_a_failed_second_version_leaves_the_first_answering(client, alice, ready, process, monkeypatch):
    document = ready(alice, b"Refunds are paid.")
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    monkeypatch.setattr(pipeline, "extract", _fail)

    document = process(alice.actor, document)

    assert (document.status, document.live_version, document.failure_code) == ("failed", 1, "corrupt")
    assert len(client.get("/api/v1/search?q=refunds", headers=alice.headers).json()["results"]) == 1


async def _fail(*arguments, **limits):
    raise ExtractionFailed("corrupt")


def test_an_embedding_service_that_is_away_leaves_the_job_to_be_tried_again(alice, bring, process, monkeypatch):
    document = bring(alice, b"hello world")

    class Away:
        name = "words"

        async def embed(self, texts):
            raise EmbeddingUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "_embedder", Away())
        with pytest.raises(EmbeddingUnavailable):
            process(alice.actor, document)

    assert process(alice.actor, document).status == "ready"


def test_a_database_that_restarts_is_waited_for(alice, bring, process, monkeypatch):
    document = bring(alice, b"hello world")
    begin, failures = ledger.begin_stage, []

    def away(actor, **arguments):
        if len(failures) < 2:
            failures.append(1)
            raise OperationalError("the database system is shutting down")
        return begin(actor, **arguments)

    monkeypatch.setattr(ledger, "begin_stage", away)

    assert process(alice.actor, document).status == "ready"


def test_patience_with_a_database_ends(alice, bring, process, monkeypatch):
    document = bring(alice, b"hello world")
    monkeypatch.setattr(pipeline, "_PATIENCE_SECONDS", 0.1)

    def away(actor, **arguments):
        raise OperationalError

    monkeypatch.setattr(ledger, "begin_stage", away)
    with pytest.raises(OperationalError):
        process(alice.actor, document)


def test_cancelling_stops_a_step_that_is_under_way(alice, bring, process, serve, monkeypatch):
    document = bring(alice, b"hello world")
    monkeypatch.setattr(pipeline, "_CLAIM_CHECK_SECONDS", 0.02)
    stopped = []

    async def endless(*arguments, **limits):
        async def cancel():
            from apps.knowledge.services.documents import cancel_processing
            from shared.tenancy.run import run_as

            await run_as(alice.actor, cancel_processing, document_id=document.id)

        await cancel()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    monkeypatch.setattr(pipeline, "extract", endless)

    assert process(alice.actor, document).status == "cancelled"
    assert stopped == [True]


def test_progress_is_announced_with_numbers_only(alice, bring, process, monkeypatch):
    told = []
    monkeypatch.setattr(
        "apps.knowledge.services.versions.announce", lambda kind, row, **data: told.append((kind, row, data))
    )
    document = process(alice.actor, bring(alice, b"Secret words", "secret.txt"))

    assert {kind for kind, _, _ in told} == {"document.changed"}
    assert {row for _, row, _ in told} == {document.id}
    assert told[0][2]["status"] == "queued"
    assert told[-1][2] == {
        "status": "ready",
        "stage": "",
        "done": 1,
        "total": 1,
        "version": 1,
        "live_version": 1,
    }
    assert {data["stage"] for _, _, data in told} >= {"scan", "extract", "chunk", "embed", "index", "verify"}
    assert "secret" not in str(told).lower()


def test_a_title_changed_meanwhile_is_the_one_that_is_found(client, alice, bring, process, monkeypatch):
    document = bring(alice, b"Nothing here names the subject.", "scan.txt")
    live = switching.go_live

    def renamed(actor, *, work):
        Document.objects.update(title="Zeppelins")
        live(actor, work=work)

    monkeypatch.setattr(switching, "go_live", renamed)
    process(alice.actor, document)

    assert client.get("/api/v1/search?q=zeppelins", headers=alice.headers).json()["results"]


def test_the_versions_of_one_document_are_claimed_one_at_a_time(alice, bring, serve):
    bring(alice, b"hello")
    with creator_scope(alice.creator.id):
        version = Version.objects.get()
        Document.objects.update(version=2)

    assert serve(alice.actor, ledger.claim_version, version_id=version.id) is None


def test_a_text_that_looks_like_a_question_with_phrases_and_exclusions_is_found(alice, bring, process):
    text = b'Of "two dimensional" flow and a -layer, in "the" boundary -of-layers, and of " quotes.'

    assert process(alice.actor, bring(alice, text)).status == "ready"
