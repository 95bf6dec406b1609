import asyncio

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.knowledge import pipeline
from apps.knowledge.models import Version
from apps.knowledge.operations import upload_document
from apps.knowledge.services import sources
from apps.knowledge.services.documents import list_documents
from shared.security.fetching import read_url
from shared.tenancy.run import run_as
from tests.strangers import answer

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_content_uploaded_many_times_at_once_is_one_document(alice, settings):
    async def story():
        uploads = [upload_document(alice.actor, SimpleUploadedFile(f"{n}.txt", b"the same")) for n in range(6)]
        documents = await asyncio.gather(*uploads)
        return documents, await run_as(alice.actor, list_documents)

    documents, listed = asyncio.run(story())

    assert len({document.id for document in documents}) == 1
    assert sum(document.accepted for document in documents) == 1
    assert len(listed.items) == 1


def test_one_address_imported_many_times_at_once_is_one_document(alice):
    wanted = {"place": read_url("https://example.com/a"), "title": "", "tags": [], "refresh_hours": None}

    async def story():
        return await asyncio.gather(*(run_as(alice.actor, sources.import_url, **wanted) for _ in range(6)))

    documents = asyncio.run(story())

    assert len({document.id for document in documents}) == 1
    assert sum(document.accepted for document in documents) == 1


def test_one_content_at_many_addresses_fetched_at_once_is_one_document(alice, website):
    website.pages |= {f"/{n}": answer(b"Herons fish at dawn.") for n in range(6)}

    async def story():
        for path in website.pages:
            wanted = {"place": read_url(website.at(path)), "title": "", "tags": [], "refresh_hours": None}
            await run_as(alice.actor, sources.import_url, **wanted)
        versions = await run_as(alice.actor, lambda actor: list(Version.objects.values_list("id", flat=True)))
        await asyncio.gather(*(pipeline.run(alice.actor, version_id) for version_id in versions))
        return await run_as(alice.actor, list_documents)

    listed = asyncio.run(story())

    reasons = sorted(document.failure_code for document in listed.items)
    assert reasons == ["", *["content_elsewhere"] * 5]
