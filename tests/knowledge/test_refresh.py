"""Looking at an address again: by the clock, as a new version when it has changed, and not for ever."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import fetching, tending
from apps.knowledge.models import Document, Source, Version
from apps.knowledge.services import sources
from apps.knowledge.tasks import refresh_source
from shared.security.fetching import read_url
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from tests.strangers import answer

pytestmark = pytest.mark.django_db
OLD, NEW = b"Herons fish at dawn.\n", b"Herons fish at dusk.\n"
LATER = timedelta(hours=2)


@pytest.fixture
def herons(alice, website, process):
    """A document that was fetched, and is looked at every hour."""
    website.pages["/a.txt"] = answer(OLD, etag='"old"', last_modified="Tue, 03 Nov 2026 10:00:00 GMT")
    place = read_url(website.at("/a.txt"))
    document = async_to_sync(run_as)(
        alice.actor, sources.import_url, place=place, title="Herons", tags=[], refresh_hours=1
    )
    document = process(alice.actor, document)
    assert document.status == "ready", document.failure_sentence
    ProcrastinateJob.objects.all().delete()
    return document


def source_of(document):
    with creator_scope(document.creator_id):
        return Source.objects.get(document=document)


def make_due(document):
    with creator_scope(document.creator_id):
        Source.objects.update(next_check_at=timezone.now() - timedelta(minutes=1))


def look(person, document):
    async_to_sync(fetching.refresh)(person.actor, source_of(document).id)
    with creator_scope(person.creator.id):
        return Document.objects.get(id=document.id)


def stored_files(creator):
    _, names = default_storage.listdir(f"creators/{creator.id.hex}/documents")
    return names


def is_in_an_hour(moment):
    return timedelta(minutes=59) < moment - timezone.now() <= timedelta(hours=1)


def test_nothing_is_due_before_its_time(herons):
    assert async_to_sync(tending.tend_everybody)() == 0
    assert is_in_an_hour(source_of(herons).next_check_at)


def test_what_is_due_is_queued_once_for_its_own_creator(herons, alice, mallory):
    make_due(herons)

    assert async_to_sync(tending.tend_everybody)() == 1
    assert async_to_sync(tending.tend_everybody)() == 0

    job = ProcrastinateJob.objects.get()
    assert job.task_name == "knowledge.refresh_source"
    assert job.args["actor"]["creator_id"] == str(alice.creator.id)
    assert job.args["source_id"] == str(source_of(herons).id)
    assert job.priority < 0  # it takes its turn among all creators' work


def test_a_look_that_was_lost_is_queued_again(herons):
    make_due(herons)
    async_to_sync(tending.tend_everybody)()
    ProcrastinateJob.objects.all().delete()
    make_due(herons)  # an hour later

    assert async_to_sync(tending.tend_everybody)() == 1


def test_an_unchanged_document_is_asked_about_and_stays(herons, alice, website):
    before = source_of(herons).checked_at
    website.pages["/a.txt"] = answer(status="304 Not Modified")
    make_due(herons)

    after = look(alice, herons)

    assert 'If-None-Match: "old"\r\nIf-Modified-Since: Tue, 03 Nov 2026 10:00:00 GMT' in website.asked[-1]
    assert (after.version, after.status) == (1, "ready")
    source = source_of(herons)
    assert source.checked_at > before
    assert is_in_an_hour(source.next_check_at)
    assert source.etag == '"old"'


def test_the_same_bytes_again_are_no_change(herons, alice, website):
    website.pages["/a.txt"] = answer(OLD, etag='"other"')

    after = look(alice, herons)

    assert (after.version, after.status) == (1, "ready")
    assert source_of(herons).etag == '"other"'
    assert len(stored_files(alice.creator)) == 1
    assert ProcrastinateJob.objects.count() == 0


def test_what_has_changed_becomes_a_new_version(herons, alice, website, process, client):
    website.pages["/a.txt"] = answer(NEW, etag='"new"')

    queued = look(alice, herons)
    assert (queued.version, queued.live_version, queued.status) == (2, 1, "queued")
    after = process(alice.actor, herons)

    assert (after.version, after.live_version, after.status) == (2, 2, "ready")
    assert (after.title, after.bytes) == ("Herons", len(NEW))
    with creator_scope(alice.creator.id):
        origins = dict(Version.objects.values_list("number", "origin"))
    assert origins == {1: "import", 2: "refresh"}
    assert source_of(herons).etag == '"new"'
    found = client.get("/api/v1/search", {"q": "herons"}, headers=alice.headers).json()["results"]
    assert [hit["text"] for hit in found] == [NEW.decode().strip()]


def test_two_looks_at_the_same_change_make_one_version(herons, alice, website):
    website.pages["/a.txt"] = answer(NEW)
    look(alice, herons)
    with creator_scope(alice.creator.id):
        Document.objects.update(status="ready")

    assert look(alice, herons).version == 2
    assert len(stored_files(alice.creator)) == 2


def test_what_a_person_brought_meanwhile_is_replaced_only_by_a_change(herons, alice, website, process, client):
    from django.core.files.uploadedfile import SimpleUploadedFile

    mine = {"file": SimpleUploadedFile("mine.txt", b"What I know of herons is different.")}
    assert client.post(f"/api/v1/documents/{herons.id}/versions", mine, headers=alice.headers).status_code == 202
    process(alice.actor, herons)

    assert look(alice, herons).version == 2
    website.pages["/a.txt"] = answer(NEW)
    assert look(alice, herons).version == 3


def test_a_look_that_fails_leaves_the_document_as_it_is(herons, alice, website, client):
    website.pages["/a.txt"] = answer(b"gone", "404 Not Found")

    after = look(alice, herons)

    assert (after.version, after.status) == (1, "ready")
    shown = client.get(f"/api/v1/documents/{herons.id}/source", headers=alice.headers).json()
    assert shown["failure"]["code"] == "url_refused"
    assert shown["failure"]["sentence"].startswith("The server at this address does not give")
    assert is_in_an_hour(source_of(herons).next_check_at)

    website.pages["/a.txt"] = answer(OLD)
    look(alice, herons)
    assert source_of(herons).failure_code == ""


def test_a_change_into_what_another_document_has_is_a_failure(herons, alice, website, ready):
    ready(alice, NEW)
    website.pages["/a.txt"] = answer(NEW)

    after = look(alice, herons)

    assert after.version == 1
    assert source_of(herons).failure_code == "content_elsewhere"
    assert len(stored_files(alice.creator)) == 2


def test_a_document_that_is_still_processed_is_left_to_that(herons, alice, website):
    with creator_scope(alice.creator.id):
        Document.objects.update(status="processing")
    asked = len(website.asked)

    look(alice, herons)

    assert len(website.asked) == asked
    assert is_in_an_hour(source_of(herons).next_check_at)


def test_a_refresh_can_be_changed_and_stopped(herons, alice, website, client):
    address = f"/api/v1/documents/{herons.id}/source"

    def change(hours):
        return client.patch(address, {"refresh_hours": hours}, content_type="application/json", headers=alice.headers)

    daily = change(24).json()
    assert daily["refresh_hours"] == 24
    assert source_of(herons).next_check_at - timezone.now() > timedelta(hours=23)

    stopped = change(None).json()
    assert (stopped["refresh_hours"], stopped["next_check_at"]) == (None, None)
    asked = len(website.asked)
    look(alice, herons)  # one that was queued before
    assert async_to_sync(tending.tend_everybody)() == 0
    assert len(website.asked) == asked

    assert client.patch(address, {}, content_type="application/json", headers=alice.headers).status_code == 422
    assert change(0).status_code == 422


def test_a_viewer_sees_the_source_and_cannot_change_it(herons, bob, client):
    address = f"/api/v1/documents/{herons.id}/source"

    assert client.get(address, headers=bob.headers).status_code == 200
    refused = client.patch(address, {"refresh_hours": None}, content_type="application/json", headers=bob.headers)
    assert refused.json()["code"] == "role_required"


def test_an_uploaded_document_has_no_source(bring, alice, client):
    document = bring(alice, OLD)

    response = client.get(f"/api/v1/documents/{document.id}/source", headers=alice.headers)

    assert (response.status_code, response.json()["code"]) == (404, "source_not_found")


def test_deleting_the_document_ends_it(herons, alice, client):
    source = source_of(herons)
    client.delete(f"/api/v1/documents/{herons.id}", headers=alice.headers)

    async_to_sync(refresh_source.run)(actor=alice.actor.to_job(), source_id=str(source.id))

    with creator_scope(alice.creator.id):
        assert not Source.objects.exists()
    assert async_to_sync(tending.tend_everybody)() == 0


def test_a_document_that_is_deleted_during_a_look_leaves_no_file(herons, alice, website, client, monkeypatch):
    website.pages["/a.txt"] = answer(NEW)
    source = source_of(herons)
    finish = sources.finish_look

    def too_late(actor, **arguments):
        Document.objects.all().delete()
        return finish(actor, **arguments)

    monkeypatch.setattr(sources, "finish_look", too_late)
    async_to_sync(refresh_source.run)(actor=alice.actor.to_job(), source_id=str(source.id))

    assert len(stored_files(alice.creator)) == 1
