"""Paths in storage: below the creator in scope, whatever a part of them says."""

import os
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from shared.tenancy.names import storage_path
from shared.tenancy.scope import NoCreatorInScope, creator_scope

# Always the same: they are part of the names of tests, and all workers must collect the same ones.
ACME, UMBRELLA = UUID("0199a000-0000-7000-8000-00000000000a"), UUID("0199a000-0000-7000-8000-00000000000b")


def test_a_path_lies_below_its_creator():
    document = uuid4()
    with creator_scope(ACME):
        assert storage_path("documents", document) == f"creators/{ACME.hex}/documents/{document.hex}"


def test_two_creators_never_share_a_path():
    document = uuid4()
    paths = set()
    for creator in (ACME, UMBRELLA):
        with creator_scope(creator):
            paths.add(storage_path("documents", document))

    assert len(paths) == 2


def test_outside_a_scope_there_is_no_path():
    with pytest.raises(NoCreatorInScope):
        storage_path("documents", uuid4())


@pytest.mark.parametrize(
    "part",
    [
        "..",
        ".",
        "",
        "/",
        "a/b",
        "../" + ACME.hex,
        "a\\b",
        "..\\..",
        "%2e%2e",
        "a\x00b",
        "a.txt",
        "~",
        "C:",
        "a b",
        "a\n",
        "\u2024\u2024",
        "\uff0e\uff0e",
        "\u202ereversed",
        "caf\u00e9",
        "\ud800",
        "-\u0661",
    ],
    ids=ascii,
)
def test_a_part_that_could_climb_out_is_refused(part):
    with creator_scope(UMBRELLA), pytest.raises(SuspiciousFileOperation):
        storage_path("documents", part)


def test_storage_itself_refuses_to_leave_its_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not for the hub")

    for name in ("../secret", "creators/../../secret", str(secret)):
        with pytest.raises(SuspiciousFileOperation):
            default_storage.open(name)
        with pytest.raises(SuspiciousFileOperation):
            default_storage.delete(name)
    assert secret.exists()


NAMES = [
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "a/../../b.txt",
    "x\x00.txt",
    "\u202etxt.exe",
    "con.txt",
    "." * 300,
    "e" * 400 + ".txt",
    "creators/" + ACME.hex + "/documents/1",
    "<script>alert(1)</script>.txt",
    "%2e%2e%2fetc.txt",
    'quote"; filename=other.txt',
    "line\r\nX-Injected: 1.txt",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_files_own_name_never_becomes_part_of_a_path(client, alice, name):
    quoted = name.encode("utf-8").replace(b'"', b'\\"')
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + quoted
    body += b'"\r\nContent-Type: text/plain\r\n\r\nWords of a file with a hostile name.\r\n--x--\r\n'

    answer = client.generic("POST", "/api/v1/documents", body, "multipart/form-data; boundary=x", headers=alice.headers)

    root = default_storage.path("")
    stored = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names]
    assert answer.status_code == 202, answer.content
    assert len(stored) == 1
    creator, kind, leaf = stored[0].removeprefix("creators/").split("/")
    assert (creator, kind, len(leaf)) == (alice.creator.id.hex, "documents", 32)
    download = client.get(f"/api/v1/documents/{answer.json()['id']}/content", headers=alice.headers)
    assert download.status_code == 200
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert "X-Injected" not in download.headers


def test_a_row_that_names_another_creators_file_does_not_open_it(client, mallory, acme_world, umbrella_world):
    """Nothing lets a client write a path; should a row ever hold a foreign one, its file stays shut."""
    from apps.knowledge.models import Version

    foreign = next(iter(acme_world.files))
    with creator_scope(mallory.creator.id):
        Version.objects.filter(document_id=umbrella_world.things["handbook"]).update(storage_path=foreign)
    url = f"/api/v1/documents/{umbrella_world.things['handbook']}"

    content = client.get(url + "/content", headers=mallory.headers)
    assert content.status_code >= 400
    assert acme_world.words_in(b"".join(content).decode()) == []
    client.delete(url, headers=mallory.headers)
    assert default_storage.exists(foreign)


def test_the_job_that_removes_a_file_removes_only_its_own_creators(mallory, acme_world):
    from asgiref.sync import async_to_sync

    from apps.knowledge.tasks import remove_file

    foreign = next(iter(acme_world.files))
    with pytest.raises(SuspiciousFileOperation):
        async_to_sync(remove_file.run)(actor=mallory.actor.to_job(), path=foreign)

    assert default_storage.exists(foreign)


def test_a_stored_file_is_readable_by_the_hub_alone():
    with creator_scope(ACME):
        name = default_storage.save(storage_path("documents", uuid4()), ContentFile(b"secret"))

    assert os.stat(default_storage.path(name)).st_mode & 0o077 == 0
