"""What a child does in its sandbox: reading, drawing, becoming Tesseract; here without giving anything up."""

import os
import subprocess
import sys

import orjson
import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import child, sandbox
from tests.knowledge import files
from tests.knowledge.readers import GIB

LIMITS = {"seconds": 5, "memory_bytes": GIB, "parent": 1}


@pytest.fixture
def given_up(monkeypatch):
    asked = {}
    monkeypatch.setattr(sandbox, "enter", lambda **limits: asked.update(limits))
    return asked


@pytest.fixture
def perform(given_up, tmp_path):
    """The bytes that a child answers when it is given this content: `perform(b"text", do="read", ...)`."""

    def call(content, **job):
        stored, said = tmp_path / "stored", tmp_path / "said"
        stored.write_bytes(content)
        answer = os.open(said, os.O_WRONLY | os.O_CREAT)
        child.perform({**LIMITS, "path": str(stored), **job}, answer)
        return said.read_bytes()

    return call


def lines(said):
    return [orjson.loads(line) for line in said.splitlines()]


def test_reading_says_progress_then_sections_then_the_language(perform, given_up, tmp_path):
    said = perform(files.pdf("alpha", "beta"), do="read", media_type=media_types.PDF)

    assert lines(said)[-4:] == [
        {"progress": [2, 2]},
        {"section": ["alpha", 1, "", None]},
        {"section": ["beta", 2, "", None]},
        {"language": ""},
    ]
    assert given_up == {**LIMITS, "readable": (tmp_path / "stored",)}


def test_a_file_that_cannot_be_read_is_said_by_its_reason(perform, monkeypatch):
    assert lines(perform(b"", do="read", media_type=media_types.EMPTY)) == [{"failure": "empty"}]
    assert lines(perform(b"PK", do="read", media_type=media_types.EPUB)) == [{"failure": "corrupt"}]
    assert lines(perform(b"%PDF-", do="draw", first=0, count=1)) == [{"failure": "corrupt"}]

    def no_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(child, "read_sections", no_memory)
    assert lines(perform(b"hello", do="read", media_type=media_types.TEXT)) == [{"failure": "too_big"}]


def test_progress_is_not_told_more_often_than_anybody_could_read(monkeypatch):
    monkeypatch.setattr(child.time, "monotonic", lambda: 100.0)
    said = []

    report = child._reporter(said.append)
    for page in range(1, 1001):
        report(page, 1000)

    assert said == [{"progress": [1, 1000]}, {"progress": [1000, 1000]}]


def test_drawing_answers_the_pages_that_were_asked_for_in_grey(perform):
    said = perform(files.pdf("a", "b", "c"), do="draw", first=1, count=5)
    head, _, rest = said.partition(b"\n")
    page, pages, size = orjson.loads(head)["picture"]

    assert (page, pages) == (2, 3)
    form, width, height, most = rest[:size].split(maxsplit=4)[:4]
    assert (form, width, most) == (b"P5", b"2550", b"255")
    assert abs(int(height) - 3300) <= 1  # 8.5 by 11 inches, 300 dots each
    assert size == len(b"P5 2550 3300 255\n") + 2550 * int(height)
    assert orjson.loads(rest[size:].partition(b"\n")[0])["picture"] == [3, 3, size]


@pytest.mark.parametrize("box", ["0 0 14400 14400", "0 0 14400 4", "0 0 0 0"])
def test_a_page_of_any_size_is_drawn_within_bounds(perform, box):
    content = files.pdf("a").replace(b"[0 0 612 792]", f"[{box}]".encode())

    said = perform(content, do="draw", first=0, count=1)

    _, _, size = orjson.loads(said.partition(b"\n")[0])["picture"]
    assert 0 < size <= child.MAX_PIXELS * 1.01


def test_rows_that_are_stored_longer_than_they_are_wide_are_cut():
    class Bitmap:
        width, height, stride, buffer = 2, 2, 4, b"ab__cd__"

    assert child._pgm(Bitmap()) == b"P5 2 2 255\nabcd"


def test_recognising_gives_up_the_same_and_becomes_the_program(given_up, monkeypatch):
    became = []

    def become(*arguments):
        became.append(arguments)
        raise SystemExit

    monkeypatch.setattr(child, "become", become)
    with pytest.raises(SystemExit):
        child.perform({**LIMITS, "do": "recognise", "arguments": ["/bin/sh", "-c", "cat"]}, 9)

    assert became == [(["/bin/sh", "-c", "cat"], 9)]
    assert given_up["programs"] is True


def test_a_program_talks_over_the_answer_and_runs_one_thread():
    code = (
        "import os, socket\nfrom apps.knowledge.extraction import child\nours, theirs = socket.socketpair()\n"
        "if os.fork():\n"
        "    theirs.close(); ours.sendall(b'given '); ours.shutdown(socket.SHUT_WR)\n"
        "    print(ours.makefile().read())\n"
        "else:\n"
        "    child.become(['/bin/sh', '-c', 'cat; echo $OMP_THREAD_LIMIT'], theirs.detach())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "given 1"
