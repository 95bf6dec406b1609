import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.knowledge import operations

pytestmark = pytest.mark.django_db


def test_usage_counts_what_the_creator_has(client, alice, bob, mallory):
    for content in (b"one", b"three"):
        async_to_sync(operations.upload_document)(alice.actor, SimpleUploadedFile("x.txt", content))

    def usage(person):
        return client.get("/api/v1/usage", headers=person.headers).json()

    assert usage(bob) == {
        "documents": 2,
        "ready": 0,
        "processing": 2,
        "failed": 0,
        "passages": 0,
        "bytes": 8,
        "quota_bytes": None,
    }
    assert usage(mallory)["documents"] == 0
