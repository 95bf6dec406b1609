"""Imports from end to end: over HTTP, through the queue, by the queue's own worker."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from apps.knowledge.models import Document, Import, Source
from apps.knowledge.tasks import tend
from shared.tenancy.scope import creator_scope
from tests.isolation.worker import work_until_done
from tests.knowledge.archives import packed
from tests.strangers import answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_queue(transactional_db):
    """The queue's tables are not Django's to empty after a test."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")


def documents(person):
    with creator_scope(person.creator.id):
        return {document.title: (document.status, document.version) for document in Document.objects.all()}


def test_an_address_is_fetched_and_fetched_again_when_it_is_due(client, alice, mallory, website):
    website.pages["/herons.txt"] = answer(b"Herons fish at dawn.")
    for person in (alice, mallory):
        body = {"url": website.at("/herons.txt"), "refresh_hours": 1}
        client.post("/api/v1/documents/import", body, content_type="application/json", headers=person.headers)
    work_until_done()
    assert documents(alice) == documents(mallory) == {"herons": ("ready", 1)}

    website.pages["/herons.txt"] = answer(b"Herons fish at dusk.")
    with creator_scope(alice.creator.id):
        Source.objects.update(next_check_at=timezone.now() - timedelta(minutes=1))
    async_to_sync(tend.func)(0)
    work_until_done()

    assert documents(alice) == {"herons": ("ready", 2)}
    assert documents(mallory) == {"herons": ("ready", 1)}


def test_an_archive_is_unpacked_and_its_documents_are_read(client, alice, mallory):
    archive = packed({f"{n}.txt": f"Note number {n}".encode() for n in range(3)})
    for person in (alice, mallory):
        form = {"file": SimpleUploadedFile("notes.zip", archive)}
        assert client.post("/api/v1/documents/archive", form, headers=person.headers).status_code == 202

    work_until_done()

    assert documents(alice) == documents(mallory) == {str(n): ("ready", 1) for n in range(3)}
    with creator_scope(alice.creator.id):
        assert Import.objects.get().state == "done"


def test_an_import_whose_job_was_lost_is_done_all_the_same(client, alice):
    form = {"file": SimpleUploadedFile("notes.zip", packed({"a.txt": b"Herons."}))}
    client.post("/api/v1/documents/archive", form, headers=alice.headers)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")

    async_to_sync(tend.func)(0)
    work_until_done()

    assert documents(alice) == {"a": ("ready", 1)}
