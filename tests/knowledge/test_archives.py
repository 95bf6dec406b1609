"""Zip files that say one thing and hold another."""

import io
import struct
import zipfile

import pytest

from apps.knowledge.extraction import archives
from apps.knowledge.extraction.archives import check_archive, check_members, read_member
from apps.knowledge.extraction.failures import ExtractionFailed
from tests.knowledge.archives import packed

MIB = 1024**2


@pytest.fixture
def refused(tmp_path):
    """The reason why an archive is refused; "" when it is not."""

    def call(content):
        path = tmp_path / "stored"
        path.write_bytes(content)
        try:
            check_archive(path)
        except ExtractionFailed as failed:
            return failed.failure.code
        return ""

    return call


def lying(content, *, size=None, method=None, flags=None):
    """The same archive; what the directory at its end says of the first entry is changed."""
    place = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    for offset, form, value in ((24, "<I", size), (10, "<H", method), (8, "<H", flags)):
        if value is not None:
            struct.pack_into(form, changed, place + offset, value)
    return bytes(changed)


def test_an_archive_that_is_what_it_says_is_let_pass(refused):
    assert refused(packed({"a": b"text", "b/": b"", "b/c": b"more"})) == ""
    assert refused(packed({"a": b"text"}, zipfile.ZIP_STORED)) == ""


@pytest.mark.parametrize("size", [0, 1, 3, 5, 2**31])
def test_a_member_that_is_not_as_long_as_it_says_is_damage_or_a_bomb(refused, size):
    assert refused(lying(packed({"a": b"text"}), size=size)) == ("archive_bomb" if size == 2**31 else "corrupt")


def test_what_unpacks_to_two_hundred_times_its_size_is_a_bomb_once_that_is_much(refused):
    assert refused(packed({"a": bytes(15 * MIB)})) == ""
    assert refused(packed({"a": bytes(17 * MIB)})) == "archive_bomb"
    assert refused(lying(packed({"a": bytes(17 * MIB)}), size=10)) == "archive_bomb"


def test_what_unpacks_to_too_much_in_all_is_a_bomb_whatever_it_says(refused, monkeypatch):
    content = packed({"a": b"x" * 600, "b": b"x" * 600})
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1000)

    assert refused(content) == "archive_bomb"
    assert refused(lying(packed({"a": b"x" * 1001}), size=10)) == "archive_bomb"


def test_more_entries_than_a_document_has_are_a_bomb_before_they_are_listed(refused, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    assert refused(packed([(str(number), b"") for number in range(10)])) == ""
    assert refused(packed([(str(number), b"") for number in range(11)])) == "archive_bomb"

    monkeypatch.setattr(zipfile.ZipFile, "__init__", None)
    assert refused(_many(60)) == "archive_bomb"


def _many(count):
    """An archive whose directory is far too long, made without the module that is out of order above."""
    directory = bytes(46 * count)
    return directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), 0, 0)


def test_entries_that_share_their_bytes_are_a_bomb(refused):
    content = packed({"a": b"0123456789" * 50}, zipfile.ZIP_STORED)
    start = content.index(b"PK\x01\x02")
    entry = content[start : content.index(b"PK\x05\x06")]
    entries = b"".join(entry.replace(b"a", bytes([letter])) for letter in b"bcdefgh")
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 7, 7, len(entries), start, 0)

    assert refused(content[:start] + entries + end) in ("archive_bomb", "corrupt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_damage(refused):
    assert refused(packed([("a", b"1"), ("a", b"2")])) == "corrupt"


def test_a_member_with_a_password_says_so(refused):
    assert refused(lying(packed({"a": b"text"}), flags=1)) == "password_protected"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_no_office_program_uses_are_damage(refused, method):
    assert refused(packed({"a": b"text"}, method)) == "corrupt"


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", packed({"a": b"text"})[:-10], packed({"a": b"text"})[20:]],
    ids=["all", "after its mark", "its end", "its start"],  # the bytes would differ by the time of day
)
def test_what_is_cut_off_is_damage(refused, content):
    assert refused(content) == "corrupt"


def member_of(content, limit):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return read_member(archive, archive.infolist()[0], limit)


def test_a_member_is_read_whole_within_its_limit():
    assert member_of(packed({"a": b"text"}), 4) == b"text"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (packed({"a": b"texts"}), "archive_bomb"),
        (lying(packed({"a": b"texts"}), size=4), "archive_bomb"),
        (lying(packed({"a": b"tex"}), size=4), "corrupt"),
        (lying(packed({"a": b"text"}), flags=1), "password_protected"),
        (lying(packed({"a": b"text"}), method=99), "corrupt"),
        (packed({"a": b"text"}, zipfile.ZIP_STORED).replace(b"text", b"tent"), "corrupt"),
    ],
)
def test_a_member_that_lies_is_not_read(content, code):
    with pytest.raises(ExtractionFailed) as caught:
        member_of(content, 4)

    assert caught.value.failure.code == code


def test_members_are_listed_as_they_are():
    with zipfile.ZipFile(io.BytesIO(packed({"a": b"1", "b": b"2"}))) as archive:
        assert [member.filename for member in check_members(archive)] == ["a", "b"]
        assert archive.fp.tell() > 0
