"""The process that readers are forked from: it outlives what happens to one of them, and is ready for the first."""

import asyncio
import os
import random
import selectors
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import formats, processes, samples, server
from apps.knowledge.extraction.runner import extract

GIB = 1024**3


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "stored"
    path.write_text("Within thirty days.")
    return path


async def read(path):
    return await extract(path, media_types.TEXT, seconds=20, memory_bytes=GIB)


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


async def test_readers_that_are_given_up_at_any_moment_leave_the_server_and_nothing_else(notes):
    await read(notes)
    pid, before, dice = processes.SERVER.pid, open_descriptors(), random.Random(7)

    for _ in range(200):
        task = asyncio.create_task(read(notes))
        await asyncio.sleep(dice.random() * 0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert (await read(notes)).sections[0].text == "Within thirty days."
    assert processes.SERVER.pid == pid
    assert open_descriptors() == before


def test_a_line_that_closes_as_its_child_is_collected_kills_nobody(monkeypatch):
    killed = []
    monkeypatch.setattr(server, "_kill", killed.append)
    serving = server.Server.__new__(server.Server)  # an ordinary one would answer this process's signals
    serving._selector = selectors.DefaultSelector()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serving._lines = {4711: theirs}  # the number belongs to another child by now
        serving._abandoned(4711, ours)
        serving._lines = {}
        serving._abandoned(4711, ours)

    assert killed == []


async def test_a_reader_given_up_before_it_was_asked_for_closes_what_it_opened(notes):
    await read(notes)
    loop, busy = asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        before = open_descriptors()
        threads.submit(busy.wait)
        task = asyncio.create_task(read(notes))
        await asyncio.sleep(0.05)
        task.cancel()
        threading.Timer(0.05, busy.set).start()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert open_descriptors() == before


def test_the_samples_are_read_by_every_kind_of_reader():
    said = {}

    def note(content: bytes, media_type: str) -> None:
        said[media_type] = " ".join(section.text for section in formats.read_sections(content, media_type))

    samples.read_samples(note)

    assert set(said) == {media_types.PDF, media_types.HTML, media_types.MARKDOWN, media_types.TEXT, media_types.DOCX}
    assert all("Whatever is loaded at the first use" in text for text in said.values())
