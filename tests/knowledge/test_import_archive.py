"""A zip file whose files become documents: brought over the API, unpacked by the worker, with nothing taken twice."""

import stat
import struct
import zipfile
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import storage, unpacking
from apps.knowledge.models import Document
from apps.knowledge.services import imports
from shared.tenancy.actor import RoleRequired
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from tests.knowledge.archives import NOTES, documents, packed, skipped, stored_files
from tests.knowledge.files import docx

pytestmark = pytest.mark.django_db


def test_an_archive_is_accepted_and_queued(send, alice, client):
    response = send(alice, packed(NOTES))

    assert response.status_code == 202
    body = response.json()
    assert (body["filename"], body["state"]) == ("notes.zip", "queued")
    assert (body["total"], body["done"], body["taken"], body["skipped"], body["failure"]) == (0, 0, 0, [], None)
    assert client.get(f"/api/v1/imports/{body['id']}", headers=alice.headers).json() == body
    job = ProcrastinateJob.objects.get()
    assert (job.task_name, job.args["import_id"]) == ("knowledge.unpack_archive", body["id"])
    assert job.priority < 0


def test_each_file_becomes_a_document_as_if_uploaded(unpack, process, alice):
    report = unpack(alice, packed(NOTES), tags="birds, water")

    assert (report["state"], report["total"], report["done"], report["taken"]) == ("done", 2, 2, 2)
    assert report["skipped"] == []
    assert report["finished_at"] is not None
    found = documents(alice)
    assert set(found) == {"herons.txt", "geese.md"}
    herons = found["herons.txt"]
    assert (herons.title, herons.media_type, herons.tags) == ("herons", "text/plain", ["birds", "water"])
    assert process(alice.actor, herons).status == "ready"
    assert len(stored_files(alice)) == 2  # the archive itself is gone
    (removal,) = ProcrastinateJob.objects.filter(task_name="knowledge.remove_file")  # had the worker died here
    assert removal.args["path"] not in [f"creators/{alice.creator.id.hex}/documents/{n}" for n in stored_files(alice)]


def test_a_repeated_request_gets_the_first_answer_and_keeps_one_file(send, alice):
    key, archive = {"Idempotency-Key": str(uuid4())}, packed(NOTES)

    first = send(alice, archive, headers=key)
    again = send(alice, archive, headers=key)
    other = send(alice, archive, headers=key, tags="birds")

    assert again.json() == first.json()
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(stored_files(alice)) == 1
    assert ProcrastinateJob.objects.count() == 1


def test_a_viewer_cannot_send_an_archive_and_can_see_how_one_stands(send, alice, bob, client):
    import_id = send(alice, packed(NOTES)).json()["id"]

    assert send(bob, packed(NOTES)).json()["code"] == "role_required"
    with pytest.raises(RoleRequired):
        async_to_sync(run_as)(bob.actor, imports.begin_import, stored=None, filename="", tags=[])
    assert client.get(f"/api/v1/imports/{import_id}", headers=bob.headers).status_code == 200


def test_a_request_without_an_archive_and_an_import_that_is_not_there_say_so(client, alice):
    missing = client.post("/api/v1/documents/archive", {"tags": "x"}, headers=alice.headers)
    nowhere = client.get(f"/api/v1/imports/{uuid4()}", headers=alice.headers)

    assert (missing.status_code, missing.json()["code"]) == (422, "file_missing")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "import_not_found")
    assert client.post("/api/v1/documents/archive", {"tags": "x" * 51}, headers=alice.headers).status_code == 422


def test_content_that_is_there_already_is_counted_as_such(unpack, bring, alice):
    bring(alice, NOTES["notes/herons.txt"], "mine.txt")
    twice = packed([*NOTES.items(), ("copy/geese.md", NOTES["notes/geese.md"])])

    report = unpack(alice, twice)

    assert (report["total"], report["done"], report["taken"]) == (3, 3, 1)
    assert skipped(report) == [("notes/herons.txt", "entry_taken"), ("copy/geese.md", "entry_taken")]
    assert report["skipped"][0]["sentence"] == "This content is in your documents already."
    assert set(documents(alice)) == {"mine.txt", "geese.md"}
    assert len(stored_files(alice)) == 2


def test_what_had_failed_is_taken_again_with_the_new_copy(unpack, bring, alice):
    bring(alice, NOTES["notes/herons.txt"], "mine.txt")
    with creator_scope(alice.creator.id):
        Document.objects.update(status="failed")

    report = unpack(alice, packed({"herons.txt": NOTES["notes/herons.txt"]}))

    assert (report["taken"], report["skipped"]) == (1, [])
    assert documents(alice)["mine.txt"].version == 2
    assert len(stored_files(alice)) == 1


def test_what_programs_leave_in_archives_is_ignored(unpack, alice):
    litter = {"__MACOSX/notes/._a.txt": b"\0", "notes/.DS_Store": b"\0", "Thumbs.db": b"\0", "notes/": b""}

    report = unpack(alice, packed(litter | {"notes/a.txt": b"Herons."}))

    assert (report["total"], report["taken"], report["skipped"]) == (1, 1, [])


@pytest.mark.parametrize(
    ("path", "filename"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ("a/\u202egnp.txt", "gnp.txt"),
        ("x" * 5000 + ".txt", "x" * 196 + ".txt"),
        ("..", "document"),
    ],
)
def test_paths_are_for_the_eye_only(unpack, alice, path, filename):
    report = unpack(alice, packed({path: b"Herons."}))

    assert report["taken"] == 1
    assert set(documents(alice)) == {filename}
    with creator_scope(alice.creator.id):
        (path,) = (f"creators/{alice.creator.id.hex}/documents/{name}" for name in stored_files(alice))
        assert storage.open_stored(path).read() == b"Herons."


def test_an_entry_that_cannot_be_taken_is_skipped_with_its_reason(unpack, alice, settings):
    settings.MAX_UPLOAD_BYTES = 100_000
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    odd = zipfile.ZipInfo("odd.txt")
    odd.compress_type = zipfile.ZIP_BZIP2
    report = unpack(
        alice,
        packed(
            [
                ("large.txt", b"x" * 100_001),
                (link, b"/etc/passwd"),
                (odd, b"Packed in another way."),
                ("inner.zip", packed(NOTES)),
                ("inner.tar.gz", b"\x1f\x8b\x08rest"),
                ("word.docx", docx("Herons fish at dawn.")),
                ("other.odt", packed({"META-INF/manifest.xml": b"<m/>", "content.xml": b"<c/>"})),
                ("good.txt", b"Herons."),
            ]
        ),
    )

    assert (report["state"], report["total"], report["done"], report["taken"]) == ("done", 8, 8, 3)
    assert skipped(report) == [
        ("large.txt", "entry_too_large"),
        ("link.txt", "entry_not_a_file"),
        ("odd.txt", "entry_unreadable"),
        ("inner.zip", "entry_archive"),
        ("inner.tar.gz", "entry_archive"),
    ]
    assert set(documents(alice)) == {"word.docx", "other.odt", "good.txt"}  # as if uploaded: one of them will fail
    assert len(stored_files(alice)) == 3


def test_a_bomb_among_the_entries_is_skipped(unpack, alice):
    report = unpack(alice, packed({"bomb.txt": b"\0" * 17_000_000, "good.txt": b"Herons."}))

    assert skipped(report) == [("bomb.txt", "entry_too_large")]
    assert set(documents(alice)) == {"good.txt"}


def spoiled(content, name, change):
    """An archive with something changed in the directory's line about an entry: its 46 bytes as a bytearray."""
    content = bytearray(content)
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    line = content[start : start + 46]
    change(line)
    content[start : start + 46] = line
    return bytes(content)


def test_an_encrypted_entry_is_skipped(unpack, alice):
    def encrypt(line):
        line[8] |= 1

    report = unpack(alice, spoiled(packed(NOTES), "notes/geese.md", encrypt))

    assert skipped(report) == [("notes/geese.md", "entry_encrypted")]
    assert report["taken"] == 1


def test_an_entry_that_lies_about_its_size_or_its_content_is_skipped(unpack, alice):
    def shorter(line):
        struct.pack_into("<I", line, 24, 5)

    def longer(line):
        struct.pack_into("<I", line, 24, 5000)

    def elsewhere(line):
        struct.pack_into("<I", line, 16, 12345)

    for change in (shorter, longer, elsewhere):
        report = unpack(alice, spoiled(packed({"a.txt": b"Herons fish at dawn."}), "a.txt", change))
        assert skipped(report) == [("a.txt", "entry_unreadable")]
    assert documents(alice) == {}
    assert stored_files(alice) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "archive_unreadable"),
        (b"no archive at all", "archive_unreadable"),
        (packed(NOTES)[:-30], "archive_unreadable"),
        (packed(NOTES)[:60], "archive_unreadable"),
        (packed({f"{n}.txt": b"" for n in range(2001)}), "archive_too_many"),
        (packed({"x" * 60_000 + str(n): b"" for n in range(20)}), "archive_too_many"),
    ],
    ids=["empty", "text", "cut off", "cut short", "many", "long directory"],
)
def test_an_archive_that_cannot_be_taken_fails_with_its_reason(unpack, alice, content, code):
    report = unpack(alice, content)

    assert (report["state"], report["total"], report["taken"]) == ("failed", 0, 0)
    assert report["failure"]["code"] == code
    assert report["failure"]["action"].endswith(".")
    assert stored_files(alice) == []


def test_an_archive_that_unpacks_to_too_much_fails_before_anything_is_unpacked(unpack, alice, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_TOTAL_BYTES", 30)

    assert unpack(alice, packed(NOTES))["failure"]["code"] == "archive_too_large"
    assert documents(alice) == {}


def test_entries_that_share_their_bytes_are_a_bomb(unpack, alice):
    content = packed({"a.txt": bytes(range(256)) * 4, "b.txt": b"b"}, zipfile.ZIP_STORED)

    def same(line):
        struct.pack_into("<II", line, 20, 1024, 1024)
        struct.pack_into("<I", line, 42, 0)

    assert unpack(alice, spoiled(content, "b.txt", same))["failure"]["code"] == "archive_too_large"


def test_an_archive_whose_file_is_gone_fails(send, alice, client):
    body = send(alice, packed(NOTES)).json()
    for name in stored_files(alice):
        default_storage.delete(f"creators/{alice.creator.id.hex}/documents/{name}")

    async_to_sync(unpacking.unpack)(alice.actor, UUID(body["id"]))

    report = client.get(f"/api/v1/imports/{body['id']}", headers=alice.headers).json()
    assert report["failure"]["code"] == "file_missing"
