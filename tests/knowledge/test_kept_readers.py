"""Children that are kept for the next small file: of one creator, and never to be relied upon."""

import asyncio
import os
from pathlib import Path
from uuid import UUID

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import kept, processes
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section
from tests.knowledge import files
from tests.knowledge.readers import MIB, alive, gone, noted, read, stand_in

ANNA, BEN = UUID(int=1), UUID(int=2)
# Says which process it is, and what it was given; `before` and `after` each file it does more.
SERVING = """
kind = job["do"]
if kind == "read":
    say(section=["alone", None, "", None]); say(language="en")
    os._exit(0)
source = os.fdopen(answer, "rb", closefd=False)
number = 0
for line in source:
    asked = json.loads(line)
    content = source.read(asked["bytes"]).decode()
    number += 1
    {before}
    say(section=[f"{{os.getpid()}} {{content}}", None, "", None]); say(language="en")
    {after}
"""


@pytest.fixture
def reader(monkeypatch):
    """Children that serve like this: `reader(before="time.sleep(9)")`."""
    started = []

    def start(before="pass", after="pass"):
        monkeypatch.setattr(processes, "SERVER", stand_in(SERVING.format(before=before, after=after)))
        started.append(processes.SERVER)

    yield start
    kept.close_all()
    for server in started:
        server.close()


@pytest.fixture
def real_server(monkeypatch):
    """One of this test's own."""
    server = processes.Server()
    monkeypatch.setattr(processes, "SERVER", server)
    yield server
    kept.close_all()
    server.close()


@pytest.fixture
def said(tmp_path):
    """What is said of a file with this content: `await said(ANNA, "hello")`."""

    async def call(owner, content="hello", **options):
        path = tmp_path / "stored"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        extracted = await read(path, media_types.TEXT, owner=owner, **options)
        return extracted.sections[0].text

    return call


async def process(said, owner):
    return int((await said(owner)).split()[0])


async def test_small_files_of_one_creator_share_a_process(reader, said):
    reader()

    first = await said(ANNA, "one")
    second = await said(ANNA, "two")

    assert first.split()[0] == second.split()[0]
    assert (first.split()[1], second.split()[1]) == ("one", "two")


async def test_files_of_two_creators_never_meet_in_a_process(reader, said, tmp_path):
    reader()
    owners = [UUID(int=number) for number in range(1, 5)]
    served = {owner: set() for owner in owners}

    for _ in range(3):
        for owner in owners:
            served[owner].add(await process(said, owner))
    together = [(owner, tmp_path / str(place)) for place, owner in enumerate(owners * 4)]
    for _, path in together:
        path.write_bytes(b"together")
    documents = await asyncio.gather(*(read(path, media_types.TEXT, owner=owner) for owner, path in together))
    for (owner, _), document in zip(together, documents, strict=True):
        served[owner].add(int(document.sections[0].text.split()[0]))

    processes_of_all = [pid for pids in served.values() for pid in pids]
    assert len(processes_of_all) == len(set(processes_of_all))
    assert all(len(pids) <= 4 for pids in served.values())  # sixteen files, and no more than were read at a time


async def test_a_file_of_nobody_named_is_read_alone(reader, said):
    reader()

    assert await said(None) == "alone"


async def test_a_larger_file_is_read_alone(reader, said):
    reader()

    assert await said(ANNA, "x" * kept.MOST_BYTES) != "alone"
    assert await said(ANNA, "x" * (kept.MOST_BYTES + 1)) == "alone"


@pytest.mark.parametrize(
    "wrong",
    [
        "say(failure='corrupt')",
        "say(section=['a\\0b', None, '', None])",
        "os.write(answer, b'no JSON\\n')",
        "os._exit(0)",
        "os.abort()",
        "time.sleep(60)",
        "say(language='en'); say(language='en')",
        "say(language='en')",
    ],
)
async def test_what_goes_wrong_in_a_kept_process_counts_for_nothing(reader, said, monkeypatch, wrong):
    monkeypatch.setattr(kept, "FILE_SECONDS", 0.5)
    reader(before=wrong)

    assert await said(ANNA) == "alone"


async def test_one_that_eats_memory_is_killed_while_it_does(reader, said, monkeypatch):
    monkeypatch.setattr(kept, "FILE_SECONDS", 20.0)  # a busy machine takes its time to touch so much memory
    reader(before="held = bytearray(300 << 20); held[::4096] = bytes(len(held[::4096])); time.sleep(1.5)")

    assert await said(ANNA, memory_bytes=128 * MIB) == "alone"
    assert await said(ANNA, memory_bytes=1024 * MIB) != "alone"


async def test_a_file_that_a_kept_process_cannot_read_ends_it(reader, said, monkeypatch):
    monkeypatch.setattr(kept, "FILE_SECONDS", 0.5)
    reader(before="if content == 'bad': time.sleep(60)")
    first = await process(said, ANNA)

    assert await said(ANNA, "bad") == "alone"

    await gone(first)
    assert await process(said, ANNA) != first


@pytest.mark.parametrize("after", ["os._exit(0)", "time.sleep(0.05); say(section=['and', None, '', None])"])
async def test_one_that_ended_or_says_more_than_it_was_asked_is_not_asked_again(reader, said, after):
    reader(after=after)
    first = await process(said, ANNA)
    await asyncio.sleep(0.3)

    second = await process(said, ANNA)

    assert second != first
    await gone(first)


async def test_one_ends_when_it_has_waited_long_enough(reader, said, monkeypatch):
    monkeypatch.setattr(kept, "IDLE_SECONDS", 0.05)
    reader()

    await gone(await process(said, ANNA))


async def test_one_ends_after_so_many_files(reader, said, monkeypatch):
    monkeypatch.setattr(kept, "MOST_FILES", 2)
    reader()
    first = await process(said, ANNA)

    assert await process(said, ANNA) == first
    await gone(first)
    assert await process(said, ANNA) != first


async def test_one_that_grew_is_not_kept(reader, said):
    reader(before="held = bytearray(200 << 20); held[::4096] = bytes(len(held[::4096]))")

    first = await process(said, ANNA)

    await gone(first)
    assert await process(said, ANNA) != first


async def test_of_too_many_that_wait_the_one_that_waited_longest_ends(reader, said, monkeypatch):
    monkeypatch.setattr(kept, "MOST_IDLE", 2)
    reader()
    first, second = await process(said, ANNA), await process(said, BEN)

    await process(said, UUID(int=3))

    await gone(first)
    assert await process(said, BEN) == second


async def test_giving_up_kills_it(reader, said, tmp_path):
    reader(before=f"open({str(tmp_path / 'a')!r} + 'pid', 'w').write(str(os.getpid())); time.sleep(60)")
    task = asyncio.create_task(said(ANNA))
    child = await noted(tmp_path / "a")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await gone(child)
    assert alive(processes.SERVER.pid)


async def test_a_server_that_was_killed_takes_them_along_and_the_next_file_is_read(reader, said):
    reader()
    first = await process(said, ANNA)
    os.kill(processes.SERVER.pid, 9)
    os.kill(first, 9)  # a stand-in is in no sandbox, and so does not die with its parent
    await gone(first)

    assert await process(said, ANNA) != first


async def test_a_server_that_cannot_start_is_no_reason_to_fail_twice(said, monkeypatch):
    monkeypatch.setattr(processes, "SERVER", processes.Server("false"))

    with pytest.raises(ExtractionFailed) as caught:
        await said(ANNA)

    assert caught.value.failure.code == "internal"


def test_none_is_used_from_another_event_loop(reader, said):
    reader()

    first = asyncio.run(process(said, ANNA))

    assert asyncio.run(process(said, ANNA)) != first


async def test_the_real_one_reads_one_kind_after_another(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(kept, "_begin", _counted(taken, kept._begin))
    brought = {
        media_types.PDF: files.pdf("Herons"),
        media_types.DOCX: files.docx("Herons"),
        media_types.HTML: b"<p>Herons</p>",
        media_types.TEXT: b"Herons",
    }

    for media_type, content in [*brought.items(), *brought.items()]:
        path = tmp_path / "stored"
        path.write_bytes(content)
        extracted = await read(path, media_type, owner=ANNA)
        assert [section.text for section in extracted.sections] == ["Herons"]
        assert extracted.sections == (await read(path, media_type)).sections

    assert len(taken) == 1


async def test_the_real_one_lies_in_the_sandbox_and_was_told_of_no_path(tmp_path, monkeypatch, real_server):
    path = tmp_path / "stored"
    path.write_bytes(b"Herons")
    begun = []
    monkeypatch.setattr(kept, "begin", _counted(begun, kept.begin))

    assert (await read(path, media_types.TEXT, owner=ANNA)).sections == [Section("Herons")]

    ((job, _),) = begun
    assert "path" not in job
    (child,) = Path(f"/proc/{real_server.pid}/task/{real_server.pid}/children").read_text().split()
    assert "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text()


def test_the_worker_names_the_creator_whose_file_it_is(alice, mallory, ready, monkeypatch):
    asked = []
    monkeypatch.setattr(kept, "read_small", _counted(asked, kept.read_small))

    ready(alice, b"Alice writes of herons.")
    ready(mallory, b"Mallory writes of hawks.")

    assert [owner for owner, *_ in asked] == [alice.creator.id, mallory.creator.id]


def _counted(calls, function):
    async def call(*arguments, **options):
        calls.append(arguments)
        return await function(*arguments, **options)

    return call
