"""Zip files that lie, in the shape of Word files."""

import io
import struct
import warnings
import zipfile

from tests.knowledge import files
from tests.knowledge.archives import packed
from tests.knowledge.hostile_files import Hostile, Says

MIB = 1024**2
WORD = files.docx("Herons fish at dawn.")
READ = Says("Herons fish at dawn.")


def word_with(*entries, method=zipfile.ZIP_DEFLATED):
    """A Word file with more entries: pairs of a name or ZipInfo and a content."""
    out = io.BytesIO(WORD)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(out, "a", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def directory_says(content, name, *, form, offset, value):
    """The same archive; its directory says something else of an entry."""
    place = content.index(b"PK\x01\x02")
    while content[place + 46 : place + 46 + len(name)] != name.encode():
        place = content.index(b"PK\x01\x02", place + 46)
    changed = bytearray(content)
    struct.pack_into(form, changed, place + offset, value)
    return bytes(changed)


def says_size(content, name, size):
    return directory_says(content, name, form="<I", offset=24, value=size)


def big_members():
    names = [f"word/media/{number:02}" for number in range(40)]
    content = word_with(*((name, b"x") for name in names))
    for name in names:
        content = says_size(content, name, 15 * MIB)
    return content


def overlapping():
    """A hundred entries that all mean the bytes of one."""
    content = word_with(("bomb", bytes(range(256)) * 200), method=zipfile.ZIP_STORED)
    start, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entry = content[content.rindex(b"PK\x01\x02") : end]
    copies = b"".join(entry.replace(b"bomb", b"b%03d" % number) for number in range(100))
    directory = content[start:end] + copies
    count = directory.count(b"PK\x01\x02")
    return (
        content[:start]
        + directory
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    )


def zip64_size(size):
    """An entry whose size is in an extra field, which claims anything."""
    content = word_with(("x" * 20, b"text"))
    extra = struct.pack("<HHQ", 1, 8, size)
    place = content.rindex(b"PK\x01\x02")
    entry = bytearray(content[place : place + 46]) + b"x" * 20 + extra
    struct.pack_into("<I", entry, 24, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, len(extra))
    end = content.rindex(b"PK\x05\x06")
    tail = bytearray(content[end:])
    size_now = struct.unpack_from("<I", tail, 12)[0]
    struct.pack_into("<I", tail, 12, size_now + len(extra))
    return content[:place] + bytes(entry) + bytes(tail)


def without_zip64_field():
    return says_size(WORD, "word/document.xml", 0xFFFFFFFF)


class Pipe(io.BytesIO):
    """What cannot go back, so that sizes stand after each content."""

    def seekable(self):
        return False

    def tell(self):
        raise OSError

    seek = tell


def with_descriptors():
    out = Pipe()
    with zipfile.ZipFile(io.BytesIO(WORD)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    return out.getvalue()


def symlink(name, target):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry, target


def document_is_a_link():
    parts = {name: content for name, content in _parts(WORD) if name != "word/document.xml"}
    return packed([*parts.items(), symlink("word/document.xml", b"/etc/passwd")])


def _parts(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def nested():
    bomb = packed({"0": bytes(20 * MIB)})
    for _ in range(5):
        bomb = packed([(f"{number}.zip", bomb) for number in range(16)])
    return word_with(("word/embeddings/bomb.zip", bomb))


def of_entries(count):
    out = io.BytesIO(WORD)
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(count):
            archive.writestr(f"{number:x}", b"")
    return out.getvalue()


def claims_entries(count):
    """A directory of a million entries, which would take half a minute to list."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 34, 0)
    return b"PK\x03\x04" + bytes(30) + directory + end


BOMB = ("word/media/bomb", bytes(20 * MIB))
PATHS = [
    (name, b"x")
    for name in ("../../etc/cron.d/x", "/etc/passwd2", "C:\\x", "word/../../y", "\u202egnp.exe", "a" * 4000)
]

ARCHIVES = [
    Hostile("flat bomb", "a.docx", lambda: word_with(BOMB), "archive_bomb"),
    Hostile("bomb that says it is small", "a.docx", lambda: says_size(word_with(BOMB), BOMB[0], 10), "archive_bomb"),
    Hostile("members that say they are big", "a.docx", big_members, "archive_bomb"),
    Hostile("entries that overlap", "a.docx", overlapping, "archive_bomb"),
    Hostile("bombs in bombs", "a.docx", nested, READ),
    Hostile("member says it is longer", "a.docx", lambda: says_size(WORD, "word/document.xml", 9999), "corrupt"),
    Hostile("member says it is shorter", "a.docx", lambda: says_size(WORD, "word/document.xml", 9), "corrupt"),
    Hostile("twelve thousand entries", "a.docx", lambda: of_entries(12_000), "archive_bomb"),
    Hostile("a million entries as Word", "a.docx", lambda: claims_entries(1_000_000), "unsupported_type"),
    Hostile("a million entries", "a.zip", lambda: claims_entries(1_000_000), "unsupported_type"),
    Hostile("ZIP64 size of an exabyte", "a.docx", lambda: zip64_size(2**60), "archive_bomb"),
    Hostile("ZIP64 size that is wrong", "a.docx", lambda: zip64_size(5), "corrupt"),
    Hostile("ZIP64 size that is right", "a.docx", lambda: zip64_size(4), READ),
    Hostile("ZIP64 mark without its field", "a.docx", without_zip64_field, "archive_bomb"),
    Hostile("data descriptors", "a.docx", with_descriptors, READ),
    Hostile("link beside the text", "a.docx", lambda: word_with(symlink("word/media/x", b"/etc/passwd")), READ),
    Hostile("link in place of the text", "a.docx", document_is_a_link, "corrupt"),
    Hostile("names with path parts", "a.docx", lambda: word_with(*PATHS), READ),
    Hostile("two members of one name", "a.docx", lambda: word_with(("word/document.xml", b"<x/>")), "corrupt"),
    Hostile("LZMA inside", "a.docx", lambda: word_with(("x", b"x"), method=zipfile.ZIP_LZMA), "corrupt"),
    Hostile(
        "member with a password",
        "a.docx",
        lambda: directory_says(WORD, "word/document.xml", form="<H", offset=8, value=1),
        "password_protected",
    ),
    Hostile("cut in the middle", "a.docx", lambda: WORD[: len(WORD) // 2], "corrupt"),
    Hostile("cut at the start", "a.docx", lambda: b"PK\x03\x04" + WORD[100:], "corrupt"),
    Hostile("Word called PDF", "a.pdf", lambda: WORD, READ),
    Hostile("PDF and zip", "a.pdf", lambda: files.pdf("Herons fish at dawn.") + WORD, READ),
    Hostile("HTML and zip", "a.html", lambda: b"<html><p>Herons</p>" + WORD, "unsupported_type"),
    Hostile(
        "zip that begins like a PDF",
        "a.docx",
        lambda: packed({"%PDF-1.7": b"", "[Content_Types].xml": b"", "word/document.xml": b""}),
        "corrupt",
    ),
    Hostile("zip called Word", "a.docx", lambda: packed({"readme": b"text"}), "unsupported_type"),
]
