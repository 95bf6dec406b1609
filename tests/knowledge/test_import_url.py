"""A document that is fetched from an address: brought over the API, fetched by the worker."""

import json
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import fetching, pipeline
from apps.knowledge.failures import FAILURES
from apps.knowledge.models import Document, Source, Stage, Version
from apps.knowledge.services import ledger, sources
from shared.security.fetching import Fetched, every_failure
from shared.tenancy.scope import creator_scope
from tests.isolation.answers import Answer
from tests.strangers import answer

pytestmark = pytest.mark.django_db
TEXT = b"Herons fish at dawn, when the water is still.\n"


@pytest.fixture
def bring_url(client):
    """Import over the API: `bring_url(alice, "https://...", title="...")`."""

    def call(person, url, **fields):
        headers = {**person.headers, **fields.pop("headers", {})}
        body = {"url": url, **fields}
        return client.post("/api/v1/documents/import", body, content_type="application/json", headers=headers)

    return call


@pytest.fixture
def brought(bring_url):
    """The document of an import that was accepted."""

    def call(person, url, **fields):
        response = bring_url(person, url, **fields)
        assert response.status_code == 202, response.content
        with creator_scope(person.creator.id):
            return Document.objects.get(id=response.json()["id"])

    return call


def newest(document):
    with creator_scope(document.creator_id):
        return Version.objects.filter(document=document).order_by("-number").first()


def stored_files(creator):
    _, names = default_storage.listdir(f"creators/{creator.id.hex}/documents")
    return names


def test_an_address_is_accepted_and_queued(bring_url, alice):
    response = bring_url(alice, " https://Example.com/notes/herons%20one.txt#top ", tags=["birds"], refresh_hours=24)

    assert response.status_code == 202
    body = response.json()
    assert (body["title"], body["filename"]) == ("herons one", "herons one.txt")
    assert (body["status"], body["version"], body["tags"]) == ("queued", 1, ["birds"])
    with creator_scope(alice.creator.id):
        source = Source.objects.get()
        states = dict(Stage.objects.values_list("name", "state"))
    assert source.url == "https://example.com/notes/herons%20one.txt"
    assert source.next_check_at is not None
    assert states["store"] == "pending"
    job = ProcrastinateJob.objects.get()
    assert job.task_name == "knowledge.process_version"
    assert "example.com" not in json.dumps(job.args)


def test_the_worker_fetches_it_and_search_finds_it(brought, process, client, alice, website):
    website.pages["/notes/herons.txt"] = answer(TEXT, content_type="text/plain", etag='"one"')

    document = process(alice.actor, brought(alice, website.at("/notes/herons.txt")))

    assert (document.status, document.failure_code) == ("ready", "")
    assert (document.filename, document.media_type, document.bytes) == ("herons.txt", "text/plain", len(TEXT))
    version = newest(document)
    assert (version.origin, version.bytes, version.filename) == ("import", len(TEXT), "herons.txt")
    content = client.get(f"/api/v1/documents/{document.id}/content", headers=alice.headers)
    assert Answer.of(content).body == TEXT
    found = client.get("/api/v1/search", {"q": "herons at dawn"}, headers=alice.headers).json()["results"]
    assert [hit["document_id"] for hit in found] == [str(document.id)]
    source = client.get(f"/api/v1/documents/{document.id}/source", headers=alice.headers).json()
    assert source["url"] == website.at("/notes/herons.txt")
    assert source["checked_at"] is not None
    assert (source["refresh_hours"], source["next_check_at"], source["failure"]) == (None, None, None)


def test_a_title_that_nobody_chose_follows_the_name_that_the_server_gives(brought, process, alice, website):
    website.pages["/download?id=7"] = answer(TEXT, content_disposition='attachment; filename="../Herons 2026.txt"')
    website.pages["/download?id=8"] = answer(TEXT + b"8", content_disposition='attachment; filename="Herons 8.txt"')

    unnamed = process(alice.actor, brought(alice, website.at("/download?id=7")))
    named = process(alice.actor, brought(alice, website.at("/download?id=8"), title="My herons"))

    assert (unnamed.title, unnamed.filename) == ("Herons 2026", "Herons 2026.txt")
    assert (named.title, named.filename) == ("My herons", "Herons 8.txt")


@pytest.mark.parametrize(
    ("url", "said", "media_type", "name"),
    [
        ("https://example.com/blog/herons", "herons", "text/html", "herons.html"),
        ("https://example.com/a.md", "a.md", "text/plain", "a.md"),
        ("https://example.com/", "example.com", "text/html", "example.com.html"),
        ("https://example.com/x", "get.php", "application/pdf", "get.php.pdf"),
        ("https://example.com/x", "x", "nonsense", "x"),
        ("https://example.com/x", "../../a\x00b.txt", "text/plain", "ab.txt"),
    ],
)
def test_a_name_without_a_suffix_gets_the_one_of_what_it_is(url, said, media_type, name):
    assert fetching.name_of(Fetched(url, media_type, said)) == name


def test_the_same_address_again_is_the_same_document(bring_url, alice, mallory):
    first = bring_url(alice, "https://example.com/a?x=1").json()

    again = bring_url(alice, "HTTPS://EXAMPLE.com:443/a?x=1#part", title="Other")
    other = bring_url(alice, "https://example.com/a?x=2")
    hers = bring_url(mallory, "https://example.com/a?x=1")

    assert (again.status_code, again.json()["id"], again.json()["title"]) == (200, first["id"], "a")
    assert (other.status_code, hers.status_code) == (202, 202)
    assert len({first["id"], other.json()["id"], hers.json()["id"]}) == 3
    assert ProcrastinateJob.objects.count() == 3


def test_a_repeated_request_gets_the_first_answer(bring_url, alice):
    key = {"Idempotency-Key": str(uuid4())}

    first = bring_url(alice, "https://example.com/a", headers=key)
    again = bring_url(alice, "https://example.com/a", headers=key)
    other = bring_url(alice, "https://example.com/b", headers=key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "url", ["", "example.com", "ftp://example.com/", "http://user:word@example.com/", "http://2130706433/"]
)
def test_what_is_no_address_is_refused_at_once(bring_url, alice, url):
    response = bring_url(alice, url)

    assert response.status_code == 422
    if url:
        assert response.json()["code"] == "url_invalid"
        assert "beginning with https://" in response.json()["detail"]


@pytest.mark.parametrize("hours", [0, -1, 8761, "often"])
def test_a_refresh_is_between_every_hour_and_once_a_year(bring_url, alice, hours):
    assert bring_url(alice, "https://example.com/", refresh_hours=hours).status_code == 422


def test_a_viewer_cannot_import(bring_url, bob):
    response = bring_url(bob, "https://example.com/")

    assert (response.status_code, response.json()["code"]) == (403, "role_required")
    assert ProcrastinateJob.objects.count() == 0


def test_an_address_in_our_own_network_fails_with_its_reason(brought, process, alice, website):
    document = process(alice.actor, brought(alice, f"http://127.0.0.1:{website.port}/"))

    assert (document.status, document.failure_code) == ("failed", "url_not_public")
    assert document.failure_sentence == "This address does not lead to the public internet."
    assert document.failure_action.startswith("Download the file")
    with creator_scope(alice.creator.id):
        stage = Stage.objects.get(name="store")
    assert (stage.state, stage.failure_code) == ("failed", "url_not_public")
    assert website.asked == []


def test_a_redirect_into_our_own_network_fails_as_well(brought, process, alice, website):
    website.pages["/a"] = answer(status="302 Found", location="http://169.254.169.254/latest/meta-data/")

    document = process(alice.actor, brought(alice, website.at("/a")))

    assert document.failure_code == "url_not_public"


def test_a_file_over_the_limit_fails_and_leaves_nothing(brought, process, alice, website, settings):
    settings.MAX_UPLOAD_BYTES = 10
    website.pages["/a"] = answer(TEXT)

    document = process(alice.actor, brought(alice, website.at("/a")))

    assert document.failure_code == "url_too_large"
    assert newest(document).storage_path == ""


def test_what_failed_is_fetched_anew_when_it_is_processed_or_brought_again(
    brought, bring_url, process, client, alice, website
):
    document = process(alice.actor, brought(alice, website.at("/a")))
    assert document.failure_code == "url_refused"
    client.post(f"/api/v1/documents/{document.id}/reprocess", headers=alice.headers)
    assert process(alice.actor, document).failure_code == "url_refused"
    website.pages["/a"] = answer(TEXT)

    again = bring_url(alice, website.at("/a"))
    document = process(alice.actor, document)

    assert (again.status_code, again.json()["id"]) == (202, str(document.id))
    assert (document.status, document.version, document.live_version) == ("ready", 3, 3)
    assert len(website.asked) == 3


def test_content_that_another_document_has_is_not_kept_twice(brought, ready, process, alice, website):
    ready(alice, TEXT)
    website.pages["/a"] = answer(TEXT)

    document = process(alice.actor, brought(alice, website.at("/a")))

    assert document.failure_code == "content_elsewhere"
    assert len(stored_files(alice.creator)) == 1


def test_a_document_that_is_cancelled_while_it_is_fetched_keeps_nothing(brought, client, alice, website, monkeypatch):
    website.pages["/a"] = answer(TEXT)
    document = brought(alice, website.at("/a"))
    take_first = sources.take_first

    def too_late(actor, **arguments):
        with creator_scope(alice.creator.id):
            Version.objects.update(claim=None)
        return take_first(actor, **arguments)

    monkeypatch.setattr(sources, "take_first", too_late)
    async_to_sync(pipeline.run)(alice.actor, newest(document).id)

    assert newest(document).storage_path == ""
    assert stored_files(alice.creator) == []


def test_an_upload_without_its_file_is_not_fetched_from_anywhere(bring, process, alice):
    document = bring(alice, TEXT)
    with creator_scope(alice.creator.id):
        Stage.objects.filter(name="store").update(state="pending")

    assert process(alice.actor, document).failure_code == "file_missing"


def test_every_reason_of_a_fetch_is_a_reason_of_a_document():
    for error in every_failure():
        failure = FAILURES[error.code]
        assert (failure.sentence, failure.action) == (error.sentence(), error.action)
    assert ledger.FAILURES is FAILURES
    assert all(len(f.code) <= 40 and len(f.sentence) <= 200 and len(f.action) <= 200 for f in FAILURES.values())
