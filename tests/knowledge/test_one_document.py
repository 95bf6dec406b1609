from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import tasks
from apps.knowledge.models import Chunk, Document, Stage, Version
from apps.knowledge.services import documents
from shared.tenancy.scope import creator_scope
from tests.knowledge import files
from tests.knowledge.conftest import path_of

pytestmark = pytest.mark.django_db


def streamed(response):
    async def collect():
        return b"".join([block async for block in response.streaming_content])

    return async_to_sync(collect)()


def test_a_document_is_read(client, bob, alice, ready):
    document = ready(alice, files.pdf("first page", "second page"), "guide.pdf")

    body = client.get(f"/api/v1/documents/{document.id}", headers=bob.headers).json()

    assert body["status"] == "ready"
    assert (body["page_count"], body["chunk_count"], body["live_version"]) == (2, 2, 1)


@pytest.mark.parametrize("suffix", ["", "/content", "/stages", "/versions"])
def test_a_foreign_document_looks_like_none(client, alice, mallory, bring, suffix):
    document = bring(alice, b"hello")

    def answer(wanted):
        response = client.get(f"/api/v1/documents/{wanted}{suffix}", headers=mallory.headers)
        body = response.json()
        body.pop("request_id")
        return response.status_code, body

    assert answer(document.id) == answer(uuid4())
    assert answer(document.id)[0] == 404
    assert answer(document.id)[1]["code"] == "document_not_found"


def test_an_id_that_is_none_is_not_found(client, alice):
    assert client.get("/api/v1/documents/abc", headers=alice.headers).status_code == 404


def test_title_and_tags_change(client, erin, alice, bring):
    document = bring(alice, b"hello", tags=["old"])
    url = f"/api/v1/documents/{document.id}"

    def change(**fields):
        return client.patch(url, fields, content_type="application/json", headers=erin.headers).json()

    assert change(title=" New\u202e title ")["title"] == "New title"
    assert change(tags=["a", "b", "a"])["tags"] == ["a", "b"]
    assert change()["title"] == "New title"
    assert change(tags=[])["tags"] == []


def test_a_new_title_is_found_at_once(client, alice, ready):
    document = ready(alice, b"Nothing here names the subject.", "scan0001.txt")
    client.patch(
        f"/api/v1/documents/{document.id}",
        {"title": "Zeppelins"},
        content_type="application/json",
        headers=alice.headers,
    )

    found = client.get("/api/v1/search?q=zeppelin", headers=alice.headers).json()["results"]
    assert [hit["title"] for hit in found] == ["Zeppelins"]


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "  \u200b "},
        {"title": "x" * 201},
        {"title": "a\x00b"},
        {"title": 5},
        {"tags": ["x"] * 21},
        {"tags": [""]},
        {"tags": "money"},
    ],
)
def test_a_change_that_no_column_takes_is_refused(client, alice, bring, change):
    document = bring(alice, b"hello")

    response = client.patch(
        f"/api/v1/documents/{document.id}", change, content_type="application/json", headers=alice.headers
    )

    assert response.status_code == 422


def test_half_a_surrogate_is_refused_and_not_a_defect(client, alice, bring):
    document = bring(alice, b"hello")

    response = client.patch(
        f"/api/v1/documents/{document.id}",
        '{"title": "\\ud800"}',
        content_type="application/json",
        headers=alice.headers,
    )

    assert response.status_code in (400, 422)


def test_a_viewer_cannot_change_or_delete(client, alice, bob, bring):
    document = bring(alice, b"hello")
    url = f"/api/v1/documents/{document.id}"

    for response in (
        client.patch(url, {"title": "x"}, content_type="application/json", headers=bob.headers),
        client.delete(url, headers=bob.headers),
        client.post(f"{url}/reprocess", headers=bob.headers),
        client.post(f"{url}/cancel", headers=bob.headers),
    ):
        assert response.status_code == 403
        assert response.json()["code"] == "role_required"


def test_deleting_removes_rows_passages_and_the_file(client, alice, ready):
    document = ready(alice, b"Refunds are paid.")
    path = path_of(alice, document)
    response = client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    assert response.status_code == 204
    assert response.content == b""
    assert not default_storage.exists(path)
    with creator_scope(alice.creator.id):
        for model in (Document, Version, Stage, Chunk):
            assert not model.objects.exists()
    assert client.get("/api/v1/search?q=refunds", headers=alice.headers).json()["results"] == []
    assert client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers).status_code == 404


def test_a_file_whose_door_died_is_removed_by_a_job(alice, bring, serve):
    from apps.knowledge.services.documents import delete_document

    document = bring(alice, b"hello")
    (path,) = serve(alice.actor, delete_document, document_id=document.id)
    job = ProcrastinateJob.objects.get(task_name="knowledge.remove_file")
    assert default_storage.exists(path)

    for _ in range(2):  # safe to run twice
        async_to_sync(tasks.remove_file.run)(**job.args)
    assert not default_storage.exists(path)


def test_another_creator_cannot_change_or_delete(client, alice, mallory, bring):
    document = bring(alice, b"hello")
    url = f"/api/v1/documents/{document.id}"

    for response in (
        client.patch(url, {"title": "x"}, content_type="application/json", headers=mallory.headers),
        client.delete(url, headers=mallory.headers),
        client.post(f"{url}/reprocess", headers=mallory.headers),
        client.post(f"{url}/cancel", headers=mallory.headers),
    ):
        assert response.status_code == 404
        assert response.json()["code"] == "document_not_found"
    with creator_scope(alice.creator.id):
        assert Document.objects.get().title == "notes"


def test_content_is_an_attachment_that_never_runs(client, bob, alice, bring):
    html = b"<!doctype html><script>alert(1)</script>"
    document = bring(alice, html, 'evil"\u202e\r\nname.html')

    response = client.get(f"/api/v1/documents/{document.id}/content", headers=bob.headers)

    assert streamed(response) == html
    assert response["Content-Type"] == "text/html"
    assert response["Content-Disposition"].startswith("attachment; filename=")
    assert "\r" not in response["Content-Disposition"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["Content-Length"] == str(len(html))


def test_content_of_an_unknown_kind_has_no_kind(client, alice, bring):
    document = bring(alice, b"MZ\x90\x00", "setup.pdf")

    response = client.get(f"/api/v1/documents/{document.id}/content", headers=alice.headers)

    assert response["Content-Type"] == "application/octet-stream"
    assert streamed(response) == b"MZ\x90\x00"


def test_lost_content_says_so(client, alice, bring):
    document = bring(alice, b"hello")
    default_storage.delete(path_of(alice, document))

    response = client.get(f"/api/v1/documents/{document.id}/content", headers=alice.headers)

    assert response.status_code == 404
    assert response.json()["code"] == "content_missing"


def test_stages_and_versions_tell_what_happened(client, alice, ready):
    document = ready(alice, b"Refunds are paid.")
    url = f"/api/v1/documents/{document.id}"

    stages = client.get(f"{url}/stages", headers=alice.headers).json()
    versions = client.get(f"{url}/versions", headers=alice.headers).json()

    assert [stage["name"] for stage in stages] == ["store", "scan", "extract", "chunk", "embed", "index", "verify"]
    assert {(stage["state"], stage["attempts"]) for stage in stages} == {("done", 1)}
    assert [(version["number"], version["status"], version["chunk_count"]) for version in versions] == [(1, "ready", 1)]
    assert versions[0]["failure_sentence"] == ""


def test_a_new_title_of_a_long_document_is_indexed_by_a_job(client, alice, ready, monkeypatch):
    document = ready(alice, b"A text of one passage.", "long.txt")
    monkeypatch.setattr(documents, "_REINDEX_AT_ONCE", 0)

    def words():
        with creator_scope(alice.creator.id):
            return str(Chunk.objects.get().lexemes)

    response = client.patch(
        f"/api/v1/documents/{document.id}", {"title": "Quokka"}, content_type="application/json", headers=alice.headers
    )

    assert response.status_code == 200
    job = ProcrastinateJob.objects.get(task_name="knowledge.reindex_document")
    assert "Quokka" not in str(job.args)
    assert "quokka" not in words()
    async_to_sync(tasks.reindex_document.run)(**job.args)
    assert "quokka" in words()
