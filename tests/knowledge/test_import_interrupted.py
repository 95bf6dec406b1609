"""An archive that is unpacked by workers that die, come twice, or take long: nothing is lost, nothing taken twice."""

import asyncio
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import storage, tending, unpacking
from apps.knowledge.models import SkippedEntry
from apps.knowledge.services import imports
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from tests.knowledge.archives import NOTES, documents, packed, skipped, stored_files

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """As a worker that is killed: nothing of it runs any more."""


@pytest.mark.parametrize("moment", ["take_entry", "count_entries", "finish_import"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_killed_worker_goes_on_where_it_was(send, alice, client, monkeypatch, moment, after):
    body = send(alice, packed(NOTES | {"c.txt": b"c", "inner.zip": packed(NOTES)})).json()
    import_id = UUID(body["id"])
    real, calls = getattr(imports, moment), []

    async def killed_after(who, service, /, **arguments):
        done = await run_as(who, service, **arguments)
        if service is real:
            calls.append(1)
            if len(calls) == (2 if moment == "take_entry" else 1):
                raise Killed
        return done

    def killed_before(actor, **arguments):
        calls.append(1)
        if len(calls) == (2 if moment == "take_entry" else 1):
            raise Killed
        return real(actor, **arguments)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        if after:
            patched.setattr(unpacking, "run_as", killed_after)
        else:
            patched.setattr(imports, moment, killed_before)
        async_to_sync(unpacking.unpack)(alice.actor, import_id)

    async_to_sync(unpacking.unpack)(alice.actor, import_id)

    report = client.get(f"/api/v1/imports/{body['id']}", headers=alice.headers).json()
    assert (report["state"], report["total"], report["done"], report["taken"]) == ("done", 4, 4, 3)
    assert skipped(report) == [("inner.zip", "entry_archive")]
    assert set(documents(alice)) == {"herons.txt", "geese.md", "c.txt"}


def test_an_import_that_gets_nowhere_is_given_up(send, alice, client, monkeypatch):
    body = send(alice, packed({f"{n}.txt": f"Note number {n}".encode() for n in range(3)})).json()
    import_id = UUID(body["id"])

    store, works = storage.store, []

    def broken(*arguments):
        if works:
            works.pop()
            return store(*arguments)
        raise OSError("no space left on device")

    def unpack_in_vain():
        with pytest.raises(OSError, match="no space"):
            async_to_sync(unpacking.unpack)(alice.actor, import_id)

    monkeypatch.setattr(storage, "store", broken)
    for _ in range(imports.MOST_FRUITLESS - 1):
        unpack_in_vain()
    works.append("once")  # which sets the count back
    for _ in range(imports.MOST_FRUITLESS + 1):
        unpack_in_vain()
    async_to_sync(unpacking.unpack)(alice.actor, import_id)

    report = client.get(f"/api/v1/imports/{body['id']}", headers=alice.headers).json()
    assert (report["state"], report["done"], report["taken"]) == ("failed", 1, 1)
    assert report["failure"]["code"] == "internal"
    assert ProcrastinateJob.objects.filter(task_name="knowledge.remove_file").count() == 1


def test_two_workers_at_the_same_import_take_nothing_twice(send, alice, client):
    body = send(alice, packed({f"{n}.txt": f"Note number {n}".encode() for n in range(12)})).json()
    import_id = UUID(body["id"])

    async def both():
        await asyncio.gather(*(unpacking.unpack(alice.actor, import_id) for _ in range(2)))

    async_to_sync(both)()

    report = client.get(f"/api/v1/imports/{body['id']}", headers=alice.headers).json()
    assert (report["state"], report["done"], report["taken"], report["skipped"]) == ("done", 12, 12, [])
    assert len(documents(alice)) == 12
    assert len(stored_files(alice)) == 12


def test_a_finished_import_stays_as_it_is(unpack, alice, client):
    report = unpack(alice, packed(NOTES))
    import_id = UUID(report["id"])

    async_to_sync(unpacking.unpack)(alice.actor, import_id)
    with creator_scope(alice.creator.id):
        imports.finish_import(alice.actor, import_id=import_id, code="file_missing")

    assert client.get(f"/api/v1/imports/{report['id']}", headers=alice.headers).json() == report


def test_a_run_stops_when_another_has_ended_the_import(send, alice):
    import_id = UUID(send(alice, packed(NOTES)).json()["id"])
    async_to_sync(run_as)(alice.actor, imports.continue_import, import_id=import_id)
    async_to_sync(run_as)(alice.actor, imports.finish_import, import_id=import_id, code="file_missing")

    with pytest.raises(imports.NotTheNext):
        async_to_sync(run_as)(
            alice.actor, imports.skip_entry, import_id=import_id, position=0, name="x", code="entry_archive"
        )


def test_a_long_import_lets_others_go_first(send, alice, monkeypatch):
    body = send(alice, packed(NOTES)).json()
    import_id = UUID(body["id"])
    first = ProcrastinateJob.objects.get()
    monkeypatch.setattr(unpacking, "_TURN_SECONDS", -1.0)

    async_to_sync(unpacking.unpack)(alice.actor, import_id)

    second = ProcrastinateJob.objects.exclude(id=first.id).get()
    assert second.args["import_id"] == body["id"]
    monkeypatch.setattr(unpacking, "_TURN_SECONDS", 10.0)
    async_to_sync(unpacking.unpack)(alice.actor, import_id)
    assert len(documents(alice)) == 2


def test_an_import_without_a_job_is_queued_again(send, unpack, alice):
    unpack(alice, packed({"done.txt": b"This one is finished."}))
    body = send(alice, packed(NOTES)).json()
    assert async_to_sync(tending.tend_everybody)() == 0
    unpacking_jobs = ProcrastinateJob.objects.filter(task_name="knowledge.unpack_archive")
    unpacking_jobs.delete()

    assert async_to_sync(tending.tend_everybody)() == 1

    assert unpacking_jobs.get().args["import_id"] == body["id"]
    assert async_to_sync(tending.tend_everybody)() == 0


def test_the_file_of_an_import_that_waits_is_not_swept_away(send, alice, monkeypatch):
    send(alice, packed(NOTES))
    monkeypatch.setattr(storage, "files_older_than", lambda age: [f"creators/{alice.creator.id.hex}/documents/x", *old])
    old = [f"creators/{alice.creator.id.hex}/documents/{name}" for name in stored_files(alice)]

    async_to_sync(tending.remove_unclaimed_files)()

    assert len(stored_files(alice)) == 1


def test_an_import_tells_how_far_it_is(send, alice, monkeypatch):
    told = []
    monkeypatch.setattr(imports, "announce", lambda kind, subject, **data: told.append((kind, data["done"])))
    body = send(alice, packed({f"{n}.txt": f"Note number {n}".encode() for n in range(25)})).json()

    async_to_sync(unpacking.unpack)(alice.actor, UUID(body["id"]))

    assert told == [("import.changed", done) for done in (0, 10, 20, 25)]


def test_a_skipped_entry_shows_its_folders(unpack, alice):
    unpack(alice, packed({"deep/" * 100 + "inner.zip": packed(NOTES)}))

    with creator_scope(alice.creator.id):
        name = SkippedEntry.objects.get().name
    assert len(name) == 200
    assert name.endswith("deep/inner.zip")
