"""Reads over HTTP: an answer has an ETag, and whoever sends it back gets 304 for as long as nothing has changed."""

import re
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import Creator, Membership, RefreshFamily, User
from apps.knowledge import operations
from shared import reading

DOCUMENTS, ME, PROFILE, USAGE = "/api/v1/documents", "/api/v1/auth/me", "/api/v1/profile", "/api/v1/usage"
ADDRESSES = [DOCUMENTS, f"{DOCUMENTS}?limit=1", f"{DOCUMENTS}/{{handbook}}", ME, PROFILE, USAGE]
ETAG = re.compile(r'W/"([0-9a-z]+)\.([0-9a-f]{24})\.([0-9a-f]{16})"')

pytestmark = pytest.mark.django_db
everywhere = pytest.mark.parametrize("address", ADDRESSES)


def bring(person, content=b"hello", name="handbook.txt"):
    return async_to_sync(operations.upload_document)(person.actor, SimpleUploadedFile(name, content))


@pytest.fixture
def handbook(alice):
    return bring(alice)


@pytest.fixture
def get(client, handbook):
    """Read an address as a person who may have an ETag: `get(alice, PROFILE, etag)`."""

    def call(person, address, etag=None):
        known = {} if etag is None else {"If-None-Match": etag}
        return client.get(address.format(handbook=handbook.id), headers={**person.headers, **known})

    return call


def change(client, person, **fields):
    response = client.patch(PROFILE, fields, content_type="application/json", headers=person.headers)
    assert response.status_code == 200


def is_whole(response, like):
    """A full answer, with the same content and ETag as another."""
    assert (response.status_code, response.json()) == (200, like.json())
    assert response.headers["ETag"] == like.headers["ETag"]
    return True


# ---- While nothing changes


@everywhere
def test_an_answer_may_be_kept_by_its_own_client_that_asks_each_time(get, alice, address):
    answer = get(alice, address)

    assert answer.status_code == 200
    assert ETAG.fullmatch(answer.headers["ETag"])
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "Authorization"
    assert get(alice, address).headers["ETag"] == answer.headers["ETag"]


@everywhere
def test_who_has_the_answer_already_gets_304_without_it(get, alice, address):
    answer = get(alice, address)
    again = get(alice, address, answer.headers["ETag"])

    assert (again.status_code, again.content) == (304, b"")
    assert "Content-Type" not in again.headers
    for header in ("ETag", "Cache-Control", "Vary", "RateLimit-Policy"):
        assert again.headers[header] == answer.headers[header]
    remaining = [int(re.search(r"r=(\d+)", each.headers["RateLimit"])[1]) for each in (answer, again)]
    assert remaining[0] == remaining[1] + 1  # it is a request like any other


def test_the_tag_may_stand_among_others(get, alice):
    etag = get(alice, PROFILE).headers["ETag"]
    foreign = get(alice, ME).headers["ETag"]

    for header in (f'"a", {etag}', f"{foreign},{etag}", f'{etag}, W/"b"'):
        assert get(alice, PROFILE, header).status_code == 304


# ---- When something has changed


@everywhere
def test_after_a_write_the_answer_is_whole_and_has_another_tag(client, get, alice, mallory, address):
    old = get(alice, address).headers["ETag"]
    change(client, mallory, bio="Mallory's")
    assert get(alice, address, old).status_code == 304
    change(client, alice, bio="Alice's")

    answer = get(alice, address, old)

    assert is_whole(answer, get(alice, address))
    assert answer.headers["ETag"] != old
    assert get(alice, address, answer.headers["ETag"]).status_code == 304


def test_what_was_written_is_in_the_next_answer(client, get, alice, handbook):
    known = {address: get(alice, address).headers["ETag"] for address in ADDRESSES}
    bring(alice, b"other", "second.txt")
    change(client, alice, bio="New")

    assert [item["filename"] for item in get(alice, DOCUMENTS, known[DOCUMENTS]).json()["items"]] == [
        "second.txt",
        "handbook.txt",
    ]
    assert get(alice, USAGE, known[USAGE]).json()["documents"] == 2
    assert get(alice, PROFILE, known[PROFILE]).json()["bio"] == "New"


def test_a_deleted_document_is_not_found_whoever_has_its_tag(client, get, alice, handbook):
    address = f"{DOCUMENTS}/{handbook.id}"
    etag = get(alice, address).headers["ETag"]
    client.delete(address, headers=alice.headers)

    gone = get(alice, address, etag)

    assert (gone.status_code, gone.json()["code"]) == (404, "document_not_found")
    assert "ETag" not in gone.headers


CHANGES = {
    "role": lambda person: Membership.objects.filter(user=person.user).update(role="viewer"),
    "name": lambda person: User.objects.filter(id=person.user.id).update(display_name="Alicia"),
    "address": lambda person: User.objects.filter(id=person.user.id).update(email="new@example.com"),
    "creator's name": lambda person: Creator.objects.filter(id=person.creator.id).update(display_name="Acme II"),
}


@pytest.mark.parametrize("happens", CHANGES.values(), ids=CHANGES)
@everywhere
def test_another_role_or_name_is_another_answer_though_no_row_has_changed(get, alice, address, happens):
    old = get(alice, address)
    happens(alice)

    answer = get(alice, address, old.headers["ETag"])

    assert is_whole(answer, get(alice, address))
    tags = [ETAG.fullmatch(each.headers["ETag"]) for each in (old, answer)]
    assert tags[0][1] == tags[1][1]  # the revision
    assert tags[0][3] != tags[1][3]
    assert (answer.json() != old.json()) is (
        address == ME or (address == PROFILE and happens is CHANGES["creator's name"])
    )


# ---- Whose tag


@everywhere
def test_a_colleagues_tag_is_worth_nothing_though_both_are_called_the_same(get, alice, bob, address):
    alices = get(alice, address).headers["ETag"]
    User.objects.filter(id=alice.user.id).update(email="moved@example.com")
    User.objects.filter(id=bob.user.id).update(email=alice.email, display_name="Alice")
    Membership.objects.filter(user=bob.user).update(role="owner")

    answer = get(bob, address, alices)

    assert is_whole(answer, get(bob, address))
    assert answer.headers["ETag"] != alices


def test_another_creators_tag_of_the_same_revision_is_worth_nothing(client, get, alice, mallory):
    bring(mallory)
    tags = {}
    for address in (DOCUMENTS, PROFILE, USAGE):
        tags[address] = [get(person, address).headers["ETag"] for person in (alice, mallory)]
        assert len({ETAG.fullmatch(tag)[1] for tag in tags[address]}) == 1

    for address, (alices, mallorys) in tags.items():
        assert is_whole(get(mallory, address, alices), get(mallory, address))
        assert get(mallory, address, f"{alices}, {mallorys}").status_code == 304


def test_the_tag_of_another_address_or_query_is_worth_nothing(get, alice):
    other = bring(alice, b"other", "second.txt")
    addresses = [*ADDRESSES, f"{DOCUMENTS}/{other.id}", f"{DOCUMENTS}?limit=2", f"{DOCUMENTS}?limit=1&q=a"]
    tags = {address: get(alice, address).headers["ETag"] for address in addresses}

    assert len({ETAG.fullmatch(tag)[1] for tag in tags.values()}) == 1
    for address in addresses:
        others = ", ".join(tag for of, tag in tags.items() if of != address)
        assert is_whole(get(alice, address, others), get(alice, address))


FORGED = {
    "any": lambda tag: "*",
    "empty": lambda tag: "",
    "strong": lambda tag: tag.removeprefix("W/"),
    "without quotes": lambda tag: tag.replace('"', ""),
    "another revision": lambda tag: ETAG.sub(lambda made: f'W/"{int(made[1], 16) + 1:x}.{made[2]}.{made[3]}"', tag),
    "no number": lambda tag: ETAG.sub(r'W/"zz.\2.\3"', tag),
    "more than a bigint": lambda tag: ETAG.sub(r'W/"fffffffffffff.\2.\3"', tag),
    "another seal": lambda tag: ETAG.sub(rf'W/"\1.{"0" * 24}.\3"', tag),
    "another standing": lambda tag: ETAG.sub(rf'W/"\1.\2.{"0" * 16}"', tag),
    "cut off": lambda tag: tag[:-3],
    "nobody's": lambda tag: 'W/"a", "b"',
    "garbage": lambda tag: '\x00\xff;\',"W/""',
    "too long": lambda tag: "x" * 1024 + tag,
    "enormous": lambda tag: 'W/"' * 100_000,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("address", [PROFILE, USAGE])
def test_what_is_no_tag_of_ours_is_as_if_it_had_not_been_sent(get, alice, address, forge):
    answer = get(alice, address)

    assert is_whole(get(alice, address, forge(answer.headers["ETag"])), answer)


def test_a_tag_cannot_be_moved_on_to_the_next_revision(client, get, alice):
    old = get(alice, PROFILE).headers["ETag"]
    change(client, alice, bio="New")
    answer = get(alice, PROFILE)
    moved = old.replace(ETAG.fullmatch(old)[1], ETAG.fullmatch(answer.headers["ETag"])[1], 1)

    assert is_whole(get(alice, PROFILE, moved), answer)


def test_tags_end_with_the_secret_they_were_made_with(get, alice, settings):
    old = get(alice, PROFILE).headers["ETag"]
    settings.SECRET_KEY = "another secret, just as long as the one that it was"

    assert get(alice, PROFILE, old).status_code == 200


def test_tags_end_with_the_shape_of_the_answer(get, alice, monkeypatch):
    old = get(alice, PROFILE).headers["ETag"]
    monkeypatch.setattr(reading, "_fingerprint", lambda schema: b"the shape after an upgrade")

    assert get(alice, PROFILE, old).status_code == 200


# ---- Who may ask

ENDINGS = {
    "signed out": lambda person: RefreshFamily.objects.filter(user=person.user).update(revoked_at="2026-01-01T00:00Z"),
    "no member": lambda person: Membership.objects.filter(user=person.user).delete(),
    "not active": lambda person: User.objects.filter(id=person.user.id).update(is_active=False),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@everywhere
def test_a_token_that_has_ended_is_refused_though_its_tag_is_right(get, alice, address, end):
    etag = get(alice, address).headers["ETag"]
    assert get(alice, address, etag).status_code == 304
    end(alice)

    refused = get(alice, address, etag)

    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    assert "ETag" not in refused.headers


def test_a_stranger_with_a_tag_is_a_stranger(client, get, alice):
    etag = get(alice, PROFILE).headers["ETag"]

    assert client.get(PROFILE, headers={"If-None-Match": etag}).status_code == 401


def test_a_document_that_is_not_there_has_no_tag(get, alice):
    missing = get(alice, f"{DOCUMENTS}/{uuid4()}")

    assert (missing.status_code, "ETag" in missing.headers) == (404, False)
    assert missing.headers["Cache-Control"] == "no-store"


@everywhere
def test_only_get_reads(client, get, alice, handbook, address):
    etag = get(alice, address).headers["ETag"]
    url = address.format(handbook=handbook.id)

    refused = client.head(url, headers={**alice.headers, "If-None-Match": etag})

    assert (refused.status_code, "ETag" in refused.headers) == (405, False)
    assert "GET" in refused.headers["Allow"]
