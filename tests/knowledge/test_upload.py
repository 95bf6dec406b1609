import asyncio
import errno
import os
import threading
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import operations, storage
from apps.knowledge.models import Document, Version
from apps.knowledge.services import documents, uploads
from shared.tenancy.scope import creator_scope
from tests.knowledge.conftest import path_of

pytestmark = pytest.mark.django_db


def stored_files(settings):
    root = settings.STORAGES["default"]["OPTIONS"]["location"]
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)


def test_an_upload_is_accepted_and_queued(upload, alice):
    response = upload(alice, b"Refunds are paid.", "refunds.txt", tags="money, money,rules")

    assert response.status_code == 202
    body = response.json()
    assert body["title"] == "refunds"
    assert body["filename"] == "refunds.txt"
    assert body["status"] == "queued"
    assert body["media_type"] == "text/plain"
    assert body["bytes"] == 17
    assert body["tags"] == ["money", "rules"]
    assert (body["version"], body["live_version"]) == (1, None)
    job = ProcrastinateJob.objects.get()
    assert job.task_name == "knowledge.process_version"
    assert job.args["actor"]["creator_id"] == str(alice.creator.id)
    assert "Refunds" not in str(job.args)


def test_the_stored_file_lies_below_its_creator_under_a_name_nobody_chose(upload, alice, settings):
    upload(alice, b"hello", "../../../etc/passwd")

    (path,) = stored_files(settings)
    assert f"/creators/{alice.creator.id.hex}/documents/" in path
    assert "passwd" not in path
    with creator_scope(alice.creator.id):
        assert Document.objects.get().filename == "passwd"


def test_the_same_content_again_is_the_same_document(upload, alice, settings):
    first = upload(alice, b"hello", "one.txt").json()
    second = upload(alice, b"hello", "two.txt", title="Another title")

    assert second.status_code == 200
    assert second.json()["id"] == first["id"]
    assert second.json()["title"] == "one"
    assert len(stored_files(settings)) == 1
    assert ProcrastinateJob.objects.count() == 1


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_the_same_content_again_restarts_what_had_stopped(upload, alice, settings, status):
    first = upload(alice, b"hello").json()
    with creator_scope(alice.creator.id):
        Document.objects.update(status=status, failure_code="internal", failure_sentence="Oops.")

    second = upload(alice, b"hello")

    assert second.status_code == 202
    assert second.json()["id"] == first["id"]
    assert second.json()["status"] == "queued"
    assert second.json()["failure_sentence"] == ""
    assert second.json()["version"] == 2
    assert len(stored_files(settings)) == 1
    with creator_scope(alice.creator.id):
        assert set(Version.objects.values_list("storage_path", flat=True)) == {path_of(alice, Document.objects.get())}
        assert default_storage.exists(path_of(alice, Document.objects.get()))


def test_two_creators_may_hold_the_same_content(upload, alice, mallory):
    assert upload(alice, b"hello").json()["id"] != upload(mallory, b"hello").json()["id"]


def test_a_repeated_request_gets_the_first_answer(upload, alice, settings):
    key = {"Idempotency-Key": str(uuid4())}

    first = upload(alice, b"hello", headers=key)
    again = upload(alice, b"hello", headers=key)
    other = upload(alice, b"something else", headers=key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(stored_files(settings)) == 1


def test_a_viewer_cannot_upload(upload, bob, settings):
    response = upload(bob, b"hello")

    assert response.status_code == 403
    assert response.json()["code"] == "role_required"
    assert stored_files(settings) == []


def test_a_request_without_a_file_says_so(client, alice):
    response = client.post("/api/v1/documents", {"title": "x"}, headers=alice.headers)

    assert response.status_code == 422
    assert response.json()["code"] == "file_missing"
    assert response.json()["errors"][0]["field"] == "file"


def test_a_file_that_is_too_large_is_refused_before_it_is_stored(upload, alice, settings):
    settings.MAX_UPLOAD_BYTES = 10

    response = upload(alice, b"eleven bytes")

    assert response.status_code == 413
    assert response.json()["code"] == "upload_too_large"
    assert stored_files(settings) == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "a\x00b"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"tags": ["a\x00"]}, "tags"),
        ({"tags": [f"tag{number}" for number in range(21)]}, "tags"),
        ({"tags": "\u202e"}, "tags"),
    ],
)
def test_fields_that_no_column_takes_are_refused(upload, alice, fields, field):
    response = upload(alice, b"hello", **fields)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


def test_a_title_loses_what_could_deceive(upload, alice):
    body = upload(alice, b"hello", title="  Safe \u202eeltit  ").json()

    assert body["title"] == "Safe eltit"


def test_a_title_of_invisible_characters_is_replaced_by_the_name(upload, alice):
    assert upload(alice, b"hello", "real.txt", title="\u200b").json()["title"] == "real"


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00\x03\x00"])
def test_a_file_that_cannot_be_read_is_taken_in_to_say_why(upload, alice, content):
    assert upload(alice, content, "report.pdf").status_code == 202


def test_a_large_file_is_never_whole_in_memory(alice, db, monkeypatch):
    asked = []

    class Huge(SimpleUploadedFile):
        def read(self, size=-1):
            asked.append(size)
            return super().read(size)

    async_to_sync(operations.upload_document)(alice.actor, Huge("x.txt", b"y" * 2_000_000))

    assert -1 not in asked
    assert max(asked) <= 256 * 1024


def test_what_the_service_refuses_leaves_no_file(alice, bring, settings, monkeypatch):
    from shared.exceptions import Conflict

    def refuse(actor, **arguments):
        raise Conflict

    monkeypatch.setattr(operations, "create_document", refuse)
    with pytest.raises(Conflict):
        bring(alice, b"hello")

    assert stored_files(settings) == []


def test_a_full_disk_says_so_and_keeps_nothing_of_the_file(upload, alice, settings, monkeypatch):
    def run_out_of_room(file, chunk_size=None):
        yield b"what still fitted"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(File, "chunks", run_out_of_room)
    before = stored_files(settings)

    response = upload(alice, b"More than there is room for.")

    assert response.status_code == 507
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "storage_full"
    assert "no room" in response.json()["detail"]
    assert stored_files(settings) == before
    with creator_scope(alice.creator.id):
        assert not Document.objects.exists()


def test_a_file_is_kept_when_nobody_knows_whether_its_row_was_written(alice, bring, settings, monkeypatch):
    def lose_the_connection(actor, **arguments):
        raise OperationalError

    monkeypatch.setattr(operations, "create_document", lose_the_connection)
    with pytest.raises(OperationalError):
        bring(alice, b"hello")

    assert len(stored_files(settings)) == 1


def test_a_rollback_takes_the_job_with_it(alice, bring, serve, monkeypatch):
    def fail(*arguments, **more):
        raise RuntimeError

    monkeypatch.setattr("apps.knowledge.services.versions.announce_document", fail)
    with pytest.raises(RuntimeError):
        bring(alice, b"hello")

    assert ProcrastinateJob.objects.count() == 0
    assert serve(alice.actor, documents.list_documents).items == []


def test_a_file_in_a_bucket_is_copied_for_reading_and_the_copy_removed(alice, bring, monkeypatch):
    document = bring(alice, b"hello")
    monkeypatch.setattr(type(default_storage._wrapped), "path", _no_local_path, raising=False)

    with creator_scope(alice.creator.id), storage.local_copy(path_of(alice, document)) as copy:
        assert copy.read_bytes() == b"hello"
    assert not copy.exists()


def _no_local_path(self, name):
    if name.startswith("creators/") and not _no_local_path.opening:
        _no_local_path.opening = True
        raise NotImplementedError
    _no_local_path.opening = False
    return os.path.join(self.location, name)


_no_local_path.opening = False


def test_a_client_that_leaves_while_the_file_is_stored_leaves_no_file(alice, settings, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()
    really_store = storage.store

    def slowly(*args, **kwargs):
        entered.set()
        go_on.wait(10)
        return really_store(*args, **kwargs)

    monkeypatch.setattr(storage, "store", slowly)

    async def story():
        file = SimpleUploadedFile("left.txt", b"Nobody waits for this.")
        upload = asyncio.create_task(operations.upload_document(alice.actor, file))
        await asyncio.to_thread(entered.wait, 10)
        upload.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await upload

    async_to_sync(story)()

    assert stored_files(settings) == []


def test_a_document_that_goes_while_its_content_comes_again_is_taken_in_anew(bring, alice, monkeypatch):
    first = bring(alice, b"Here and gone.", "gone.txt")
    find = uploads.document_with_content

    def deleted_meanwhile(sha256):
        found = find(sha256)
        Document.objects.filter(id=found).delete()
        return found

    monkeypatch.setattr(uploads, "document_with_content", deleted_meanwhile)

    second = bring(alice, b"Here and gone.", "gone.txt")

    assert second.id != first.id
    assert second.accepted
