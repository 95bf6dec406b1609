"""The processes that read: their limits, how they end, and that nothing of them is left."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import heard, processes
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section
from tests.knowledge.readers import MIB, alive, gone, noted, read, stand_in

TELL = 'say(section=["read", None, "", None]); say(language="en")'


@pytest.fixture
def path(tmp_path):
    stored = tmp_path / "stored"
    stored.write_bytes(b"x")
    return stored


@pytest.fixture
def reader(monkeypatch):
    """Children that run this code: `reader("say(language='en')")`. At the end the server ends by itself."""
    started = []

    def start(code, before=""):
        server = stand_in(code, before)
        monkeypatch.setattr(processes, "SERVER", server)
        started.append(server)
        return server

    yield start
    for server in started:
        if server.pid:
            server._control.close()
            server._process.wait(10)
        server.close()


async def failure(path, **limits):
    with pytest.raises(ExtractionFailed) as caught:
        await read(path, media_types.TEXT, **limits)
    return caught.value.failure.code


async def test_what_a_child_says_is_the_document(path, reader):
    reader("say(section=['Zürich', 3, 'Towns', 9])\nsay(section=['Bern', 4, '', None])\nsay(language='deu')")

    extracted = await read(path, media_types.TEXT)

    assert extracted.sections == [Section("Zürich", 3, "Towns", 9), Section("Bern", 4)]
    assert extracted.language == "de"
    assert extracted.page_count == 4


async def test_an_answer_longer_than_a_block_arrives_whole(path, reader):
    reader("say(section=['word ' * 500_000, None, '', None]); say(language='en')")

    (section,) = (await read(path, media_types.TEXT)).sections

    assert section.text == "word " * 500_000


async def test_a_file_that_takes_too_long_fails_and_leaves_no_process(path, reader):
    reader("note('child', subprocess.Popen(['sleep', '60']).pid); note('pid'); time.sleep(60)")

    assert await failure(path, seconds=3) == "too_slow"
    await gone(await noted(path))
    await gone(await noted(path, "child"))


PAGES = f"for page in range(1, 5):\n    time.sleep(0.7); say(progress=[page, 4])\n{TELL}"


async def test_each_page_that_was_read_gives_more_time(path, reader):
    reader(PAGES)
    told = []

    assert await read(path, media_types.TEXT, seconds=2, progress=lambda *pages: told.append(pages))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("variable", ["EXTRACTION_SECONDS_PER_PAGE", "EXTRACTION_MOST_SECONDS"])
async def test_without_more_time_for_pages_or_beyond_the_ceiling_it_is_too_slow(path, reader, monkeypatch, variable):
    reader(PAGES)
    monkeypatch.setenv(variable, "0" if variable.endswith("PAGE") else "1")

    assert await failure(path, seconds=2) == "too_slow"


async def test_pages_told_backwards_or_beyond_reason_give_no_time_and_are_told_to_nobody(path, reader):
    reader(f"say(progress=[2, 4]); say(progress=[1, 4]); say(progress=[5, 4]); say(progress=[3, 10**8]); {TELL}")
    told = []

    await read(path, media_types.TEXT, progress=lambda *pages: told.append(pages))

    assert told == [(2, 4)]


async def test_a_file_that_eats_processor_time_fails(path, reader):
    reader("os.kill(os.getpid(), signal.SIGXCPU); time.sleep(60)")

    assert await failure(path) == "too_slow"


@pytest.mark.parametrize("code", ["hold_memory()", "os.fork() or hold_memory(); time.sleep(60)"])
async def test_a_file_that_eats_memory_fails_also_in_what_its_reader_started(path, reader, code):
    reader(code)

    assert await failure(path, memory_bytes=128 * MIB) == "too_big"


async def test_memory_that_the_system_refuses_is_the_same_failure(path, reader):
    reader("raise MemoryError")

    assert await failure(path) == "too_big"


async def test_more_text_than_anybody_writes_fails_and_ends_the_child(path, reader, monkeypatch):
    monkeypatch.setattr(heard, "MAX_ANSWER_BYTES", 100_000)
    reader("note('pid')\nwhile True: os.write(answer, b'x' * 10_000)")

    assert await failure(path) == "too_big"
    await gone(await noted(path))


@pytest.mark.parametrize(
    "code",
    [
        "sys.stderr.write('x' * 100_000); sys.stderr.flush(); os.kill(os.getpid(), signal.SIGSEGV)",
        "raise ValueError",
        "os._exit(7)",
        "os.closerange(0, 10); os.abort()",
    ],
)
async def test_a_reader_that_crashes_means_a_damaged_file(path, reader, code):
    reader(code)

    assert await failure(path) == "corrupt"


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "say(language='en')",
        "say(section=['a', None, '', None])",
        "os.write(answer, b'no JSON\\n')",
        "os.write(answer, b'[1, 2]\\n')",
        "os.write(answer, b'\\xff\\n')",
        "say(section=['a', 'one', '', None])",
        "say(section=['a\\0b', None, '', None])",
        "say(section=['a', None, 'b\\0', None])",
        "say(section=['a', None, 'b' * 201, None])",
        "say(section=['a', 2**31, '', None])",
        "say(section=['a', None, '', -1])",
        "say(section='abcd')",
        "say(failure='because')",
        "say(failure=[])",
        "say(language='en', section=['a', None, '', None])",
        "say(progress=['1', '2'])",
        f"{TELL}; say(anything=1)",
    ],
)
async def test_an_answer_that_makes_no_sense_means_a_damaged_file(path, reader, code):
    reader(code)

    assert await failure(path) == "corrupt"


async def test_a_child_that_answers_well_and_then_crashes_is_not_believed(path, reader):
    reader(f"{TELL}; os._exit(1)")

    assert await failure(path) == "corrupt"


async def test_cancelling_kills_the_child_and_all_it_started(path, reader):
    server = reader("note('child', subprocess.Popen(['sleep', '60']).pid); note('pid'); time.sleep(60)")
    task = asyncio.create_task(read(path, media_types.TEXT))
    child, grandchild = await noted(path), await noted(path, "child")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await gone(child)
    await gone(grandchild)
    assert alive(server.pid)


async def test_many_children_at_once_do_not_mix_their_answers(tmp_path, reader):
    reader("time.sleep(0.1); say(section=[open(job['path']).read(), None, '', None]); say(language='en')")
    paths = [tmp_path / str(number) for number in range(12)]
    for number, path in enumerate(paths):
        path.write_text(str(number))

    documents = await asyncio.gather(*(read(path, media_types.TEXT) for path in paths))

    assert [document.sections[0].text for document in documents] == [str(number) for number in range(12)]


async def test_a_child_gets_nothing_of_the_server_or_of_another_child(path, reader):
    reader("say(section=[' '.join(os.listdir('/proc/self/fd')), None, '', None]); say(language='en')")

    (section,) = (await read(path, media_types.TEXT)).sections

    assert set(section.text.split()) <= {"0", "1", "2", "3", "4"}  # the last is that of the listing itself


async def test_the_child_sees_no_secret(path, reader, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "top-secret")
    reader("say(section=[' '.join(os.environ), None, '', None]); say(language='en')")

    (section,) = (await read(path, media_types.TEXT)).sections

    assert "PATH" in section.text.split()
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"} & set(section.text.split())


async def test_a_server_that_was_killed_is_started_again(path, reader):
    server = reader(TELL)
    await read(path, media_types.TEXT)
    first = server.pid

    os.kill(first, signal.SIGKILL)
    await gone(first)

    assert (await read(path, media_types.TEXT)).sections == [Section("read")]
    assert server.pid not in (first, None)


async def test_a_file_whose_server_was_killed_is_read_once_more(path, reader):
    server = reader(
        "import pathlib\nif not pathlib.Path(job['path'] + 'pid').exists():\n"
        f"    say(section=['half', None, '', None]); note('pid'); time.sleep(60)\n{TELL}"
    )
    task = asyncio.create_task(read(path, media_types.TEXT))
    child = await noted(path)

    os.kill(server.pid, signal.SIGKILL)

    assert (await task).sections == [Section("read")]
    os.kill(child, signal.SIGKILL)  # a stand-in is in no sandbox, and so does not die with its parent


async def test_a_file_that_loses_its_server_twice_is_our_failure(path, reader):
    reader("os.kill(os.getppid(), signal.SIGKILL)")

    assert await failure(path) == "internal"


async def test_a_server_with_two_threads_refuses_to_fork(path, reader, capfd):
    reader(TELL, before="threading.Thread(target=time.sleep, args=(60,), daemon=True).start()")

    assert await failure(path) == "internal"
    assert "more than one thread" in capfd.readouterr().err


async def test_a_server_that_cannot_start_is_our_failure(path, monkeypatch):
    monkeypatch.setattr(processes, "SERVER", processes.Server("false"))

    assert await failure(path) == "internal"


async def test_a_machine_that_is_full_is_our_failure(path, reader):
    reader(TELL, before="def full(): raise BlockingIOError\nserver.os.fork = full")

    assert await failure(path) == "internal"


async def test_closing_the_server_ends_it_and_its_children(path, reader):
    server = reader("sandbox.die_with_parent(job['parent']); note('pid'); time.sleep(60)")
    task = asyncio.create_task(read(path, media_types.TEXT))
    child, first = await noted(path), server.pid

    task.cancel()
    await asyncio.to_thread(server.close)

    assert server.pid is None
    await gone(first)
    await gone(child)
    assert await asyncio.gather(task, return_exceptions=True)


def test_the_server_and_its_children_die_with_their_worker_however_it_dies(path):
    code = "note('server', os.getppid()); note('pid'); time.sleep(60)"
    program = (
        "import asyncio, pathlib\nfrom apps.knowledge.extraction import processes\n"
        "from tests.knowledge.readers import read, stand_in\n"
        f"processes.SERVER = stand_in({code!r})\nasyncio.run(read(pathlib.Path({str(path)!r}), 'text/plain'))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program])
    child, server = asyncio.run(noted(path)), asyncio.run(noted(path, "server"))

    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    asyncio.run(gone(server))
    asyncio.run(gone(child))


def test_the_real_server_gets_ready_in_one_thread_and_ends_with_its_worker():
    code = (
        "import socket\nfrom apps.knowledge.extraction import server\nours, theirs = socket.socketpair()\n"
        "ours.close(); server.main([str(theirs.detach())]); server.refuse_several_threads(); print('ended')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_a_child_keeps_two_descriptors_and_no_other():
    code = (
        "import os, socket\nfrom apps.knowledge.extraction import server\n"
        "(ours, answer), (heard, errors), other = (socket.socketpair() for _ in range(3))\n"
        "if os.fork() == 0:\n"
        "    server.keep_only(answer.detach(), errors.detach())\n"
        "    os.write(3, b'answer'); os.write(2, b'error'); os.write(1, b'nothing')\n"
        "    os.write(3, ' '.join(['', *os.listdir('/proc/self/fd')]).encode())\n"
        "else:\n    os.wait(); print(ours.recv(99).decode(), heard.recv(99).decode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("answer 0 1 2 3")
    assert done.stdout.endswith("error\n")
    assert len(done.stdout.split()) <= 7  # the listing's own is there too


def test_a_process_that_is_gone_holds_no_memory_and_one_that_is_there_counts_its_children():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        ours, theirs = processes.resident_bytes(os.getpid()), processes.resident_bytes(started.pid)
        assert ours > theirs > 0
        started.communicate(b"\n")

    assert processes.resident_bytes(2**22 + 1) == 0
