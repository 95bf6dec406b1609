import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import child, runner, sandbox
from apps.knowledge.extraction.failures import FAILURES, ExtractionFailed
from apps.knowledge.extraction.formats import read_sections
from apps.knowledge.extraction.runner import extract
from apps.knowledge.extraction.sections import Section
from tests.knowledge import files

GIB = 1024**3


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "stored"
        path.write_bytes(content)
        return path

    return save


async def read(path, media_type, *, seconds=20, memory_bytes=GIB):
    return await extract(path, media_type, seconds=seconds, memory_bytes=memory_bytes)


async def failure_of(path, media_type, **limits):
    with pytest.raises(ExtractionFailed) as caught:
        await read(path, media_type, **limits)
    return caught.value.failure.code


async def test_each_page_of_a_pdf_is_a_section_and_blank_ones_are_skipped(saved):
    extracted = await read(saved(files.pdf("alpha", "", "gamma (third)")), media_types.PDF)

    assert extracted.sections == [Section("alpha", page=1), Section("gamma (third)", page=3)]
    assert extracted.page_count == 3


async def test_a_word_file_has_headings_and_keeps_every_note(saved):
    content = files.docx(
        ("Heading1", "Refunds"), "Within thirty days.", notes={1: "The first note", 2: "The second note"}
    )

    extracted = await read(saved(content), media_types.DOCX)

    assert extracted.sections[0] == Section("Refunds\n\nWithin thirty days.", heading="Refunds")
    assert "The first note" in extracted.sections[-1].text
    assert "The second note" in extracted.sections[-1].text
    assert "line" not in extracted.sections[-1].text
    assert extracted.page_count is None


async def test_html_has_headings_and_no_scripts(saved):
    html = (
        "<!doctype html><head><title>Shop</title><style>.x{}</style></head><body><h1>Refunds</h1>"
        "<p>Within <b>thirty</b> days.</p><script>alert('boo')</script><h2>How</h2><p>By mail.</p></body>"
    )

    extracted = await read(saved(html.encode()), media_types.HTML)

    assert [(s.heading, s.text) for s in extracted.sections] == [
        ("Refunds", "Refunds\n\nWithin thirty days."),
        ("How", "How\n\nBy mail."),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
async def test_text_is_read_in_any_common_encoding(saved, encoding):
    extracted = await read(saved("Grüße und weitere Wörter".encode(encoding)), media_types.TEXT)

    assert extracted.sections == [Section("Grüße und weitere Wörter")]


def test_html_is_read_in_the_encoding_that_it_names(saved):
    html = '<html><meta charset="iso-8859-2"><body><p>Zażółć gęślą jaźń</p></body></html>'.encode("iso-8859-2")
    assert "Zażółć gęślą jaźń" in read_sections(saved(html), media_types.HTML)[0].text

    odd = '<html><meta charset="klingon"><body><p>Größe</p></body></html>'.encode("latin-1")
    assert "Größe" in read_sections(saved(odd), media_types.HTML)[0].text


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (files.locked_pdf(), media_types.PDF, "password_protected"),
        (files.locked_office(), media_types.ENCRYPTED_OFFICE, "password_protected"),
        (files.pdf("", ""), media_types.PDF, "image_only"),
        (b"%PDF-1.4 and then nothing of a PDF", media_types.PDF, "corrupt"),
        (files.docx(""), media_types.DOCX, "empty"),
        (files.docx("", picture=True), media_types.DOCX, "image_only"),
        (files.docx("hello")[:300], media_types.DOCX, "corrupt"),
        (files.archive({"[Content_Types].xml": "<", "word/document.xml": "<"}), media_types.DOCX, "corrupt"),
        (files.archive({"word/footnotes.xml": "<", "word/document.xml": "<"}), media_types.DOCX, "corrupt"),
        (b"<html><script>x</script></html>", media_types.HTML, "empty"),
        (b"***\n\n[](x)", media_types.MARKDOWN, None),
        (b" \n ", media_types.TEXT, "empty"),
        (b"", media_types.EMPTY, "empty"),
        (b"MZ\x90", media_types.UNKNOWN, "unsupported_type"),
        (b"\x00\x00", media_types.TEXT, "corrupt"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(saved, content, media_type, code):
    if code is None:
        assert read_sections(saved(content), media_type)
        return
    with pytest.raises(ExtractionFailed) as caught:
        read_sections(saved(content), media_type)
    assert caught.value.failure.code == code


async def test_the_reason_crosses_the_process(saved):
    assert await failure_of(saved(files.locked_pdf()), media_types.PDF) == "password_protected"


def test_every_failure_is_one_sentence_and_what_to_do():
    for failure in FAILURES.values():
        assert failure.sentence.endswith(".")
        assert failure.action.endswith(".")
        assert len(failure.sentence) <= 200 >= len(failure.action)
        assert len(failure.code) <= 40


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Run other code in place of the child; it gets the child's arguments."""

    def replace(code):
        script = tmp_path / "child.py"
        script.write_text(code)
        start = asyncio.create_subprocess_exec

        async def started(program, *arguments, **options):
            return await start(program, str(script), *arguments[2:], **options)

        monkeypatch.setattr(runner.asyncio, "create_subprocess_exec", started)

    return replace


async def test_a_file_that_takes_too_long_fails_and_leaves_no_process(saved, stand_in):
    marker = saved(b"").with_name("grandchild")
    stand_in(
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen(['sleep', '60']); open({str(marker)!r}, 'w').write(str(p.pid))\ntime.sleep(60)"
    )

    assert await failure_of(saved(b"x"), media_types.TEXT, seconds=2) == "too_slow"
    await _gone(int(marker.read_text()))


async def test_a_file_that_eats_processor_time_fails(saved, stand_in):
    stand_in("import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)")

    assert await failure_of(saved(b"x"), media_types.TEXT) == "too_slow"


async def test_a_file_that_eats_memory_fails(saved, stand_in):
    stand_in("import time\nx = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(60)")

    assert await failure_of(saved(b"x"), media_types.TEXT, memory_bytes=128 << 20) == "too_big"


async def test_memory_that_the_system_refuses_is_the_same_failure(saved, stand_in):
    stand_in("raise MemoryError")

    assert await failure_of(saved(b"x"), media_types.TEXT) == "too_big"


async def test_more_text_than_anybody_writes_fails(saved, stand_in, monkeypatch):
    monkeypatch.setattr(runner, "MAX_ANSWER_BYTES", 100_000)
    monkeypatch.setattr(runner._read, "__kwdefaults__", {"keep": 100_000})
    stand_in("import sys\nsys.stdout.write('x' * 1_000_000)")

    assert await failure_of(saved(b"x"), media_types.TEXT) == "too_big"


async def test_a_reader_that_crashes_means_a_damaged_file(saved, stand_in):
    stand_in("import os, signal, sys\nsys.stderr.write('x' * 100_000)\nos.kill(os.getpid(), signal.SIGSEGV)")

    assert await failure_of(saved(b"x"), media_types.TEXT) == "corrupt"


async def test_cancelling_kills_the_child(saved, stand_in):
    marker = saved(b"").with_name("pid")
    stand_in(f"import os, time\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    task = asyncio.create_task(read(saved(b"x"), media_types.TEXT))
    while not (marker.exists() and marker.read_text()):
        await asyncio.sleep(0.02)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(int(marker.read_text()))


async def _gone(pid):
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":  # waits for somebody to collect it, and runs no more
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} still runs")


def _sandboxed(code, *, memory_bytes=GIB):
    """Run code inside the sandbox, as the child would."""
    program = (
        "import os, sys\nfrom apps.knowledge.extraction import sandbox\n"
        f"sandbox.enter(seconds=10, memory_bytes={memory_bytes}, parent=os.getppid())\n{code}"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


@linux_only
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_UNIX)",
        "os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.run(['/bin/true'], check=True)",
    ],
)
def test_the_child_reaches_no_network_and_no_program(code):
    done = _sandboxed(code)

    assert done.returncode == 1
    assert "PermissionError" in done.stderr


@linux_only
def test_the_child_writes_no_file_and_no_more_memory_than_allowed(tmp_path):
    written = _sandboxed(f"f = open({str(tmp_path / 'x')!r}, 'w'); f.write('x'); f.close()")
    grown = _sandboxed("x = bytearray(2 << 30)", memory_bytes=256 << 20)

    assert "OSError" in written.stderr
    assert "MemoryError" in grown.stderr


def test_the_child_sees_no_secret(saved, stand_in, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "top-secret")
    stand_in("import json, os\nprint(json.dumps({'sections': [[' '.join(os.environ), None, '']], 'language': ''}))")

    extracted = asyncio.run(read(saved(b"x"), media_types.TEXT))

    assert "PATH" in extracted.sections[0].text
    assert "SECRET_KEY" not in extracted.sections[0].text
    assert "DATABASE_URL" not in extracted.sections[0].text


def test_a_child_whose_parent_is_gone_ends_at_once():
    code = "from apps.knowledge.extraction import sandbox\nsandbox.die_with_parent(-1)\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout == ""


@linux_only
def test_a_child_dies_with_its_parent():
    inner = (
        "import os, time\nfrom apps.knowledge.extraction import sandbox\n"
        "sandbox.die_with_parent(os.getppid())\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])"
    parent = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    asyncio.run(_gone(pid))


def test_a_machine_without_the_filter_is_told_apart(monkeypatch):
    monkeypatch.setattr(sandbox.platform, "machine", lambda: "riscv64")

    assert sandbox.refuse_system_calls() is False


def test_limits_that_a_system_refuses_are_left_out(monkeypatch):
    asked = []

    def refuse(kind, values):
        asked.append(kind)
        raise ValueError

    monkeypatch.setattr(sandbox.resource, "setrlimit", refuse)
    sandbox.limit_resources(seconds=1, memory_bytes=1)

    assert len(asked) == 5


@pytest.fixture
def in_this_process(monkeypatch, capfd):
    """The child's `main` here, without giving anything up."""
    monkeypatch.setattr(sandbox, "enter", lambda **limits: None)

    def run(path, media_type):
        kept = os.dup(1)
        try:
            child.main([str(path), media_type, "5", str(GIB), str(os.getppid())])
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        return json.loads(capfd.readouterr().out)

    return run


def test_the_child_answers_with_sections_or_a_reason(saved, in_this_process, monkeypatch):
    assert in_this_process(saved(b"hello"), media_types.TEXT) == {
        "sections": [["hello", None, "", None]],
        "language": "",
    }
    assert in_this_process(saved(b""), media_types.EMPTY) == {"failure": "empty"}

    def no_memory(path, media_type):
        raise MemoryError

    monkeypatch.setattr(child, "read_sections", no_memory)
    assert in_this_process(saved(b"hello"), media_types.TEXT) == {"failure": "too_big"}


def test_a_process_that_is_gone_holds_no_memory():
    assert runner._resident_bytes(2**22 + 1) == 0


def test_readers_give_the_same_inside_and_outside_the_child(saved):
    assert read_sections(saved(files.pdf("alpha", "beta")), media_types.PDF)[1] == Section("beta", page=2)

    word = read_sections(saved(files.docx("body", notes={1: "first", 2: "second"})), media_types.DOCX)
    assert [section.text for section in word] == ["body", "first\t.\n\nsecond\t."]
