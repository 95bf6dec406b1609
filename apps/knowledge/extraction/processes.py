"""The worker's side of its children: ask the server for one, hear it, watch its memory, kill it when nobody waits."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from apps.knowledge.extraction.failures import ExtractionFailed
from shared.config.env_constants import bare_environment

_ROOT = Path(__file__).resolve().parents[3]
_BLOCK = 1 << 18
WATCH_SECONDS = 0.05
_KEPT_ERRORS = 8192
# What a child says in the end when it, or a library in it, was refused memory.
_NO_MEMORY = (b"memory allocation of", b"MemoryError", b"bad_alloc", b"Out of memory")


# A child lives for one file: giving memory back to the system piece by piece, to ask for it again, is wasted on it.
_MEMORY = {
    "MALLOC_TOP_PAD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
}


class ServerLost(Exception):
    """The process that children come from has died, and they with it."""


class Answer(Protocol):
    """What becomes of the bytes that a child answers. An error raised here ends the child."""

    def begin(self) -> None:
        """Nothing was heard yet. Called once more when the child has to be started again."""

    def hear(self, block: bytes) -> None:
        """The next bytes, on the event loop."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: exit code, or minus the signal's number; what it complained of; whether it grew too big."""

    status: int
    errors: bytes
    outgrown: bool

    def judge(self) -> None:
        """Raise `ExtractionFailed` unless it ended well."""
        if self.outgrown or any(words in self.errors for words in _NO_MEMORY):
            raise ExtractionFailed("too_big")
        if self.status == -signal.SIGXCPU:
            raise ExtractionFailed("too_slow")
        if self.status != 0:
            # A reader that crashes on a file has met a file that no reader should have to open.
            raise ExtractionFailed("corrupt")


class Server:
    """The pre-started process of this one. Starts at the first need, and again whenever it has died. Thread-safe."""

    def __init__(self, *program: str) -> None:
        self._program = program or (sys.executable, "-m", "apps.knowledge.extraction.server")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, job: dict[str, Any], lines: list[socket.socket]) -> None:
        """Have a child do a job, with these as its `answer`, `errors` and `line` (see server.py). Closes them here."""
        message = orjson.dumps(job)
        try:
            with self._lock:
                for _ in range(2):  # it may have died since anybody looked
                    try:
                        socket.send_fds(self._running(), [message], [line.fileno() for line in lines])
                        return
                    except ConnectionError:
                        self._end()
            raise ServerLost
        finally:
            for line in lines:
                line.close()

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def close(self) -> None:
        """End the server and its children. The next request starts another one."""
        with self._lock:
            self._end()

    def _running(self) -> socket.socket:
        if self._control is None or self.pid is None:
            self._end()
            self._start()
        assert self._control is not None
        return self._control

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*self._program, str(theirs.fileno())],
                cwd=_ROOT,
                # The hub's secrets are in its environment; a file that takes a child over should find none.
                env=bare_environment(**_MEMORY),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the worker's to answer; the server ends after it
            )

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()  # it may be stopped, or stuck; its children die with it
            self._process.wait()
        self._control = self._process = None


SERVER = Server()


async def run_child(job: dict[str, Any], *, memory_bytes: int, answer: Answer, given: bytes = b"") -> None:
    """Have a job done in a process of its own, which is given some bytes and may answer with others.

    `memory_bytes` bound what the child and everything it starts hold. An error of `answer`, and cancelling, kill the
    child with all it started. Raises `ExtractionFailed` unless the child ended well.
    """
    job = job | {"memory_bytes": memory_bytes}
    for _ in range(2):
        answer.begin()
        try:
            ending = await _run(job, memory_bytes, answer, given)
        except ServerLost:  # killed from outside: by the system for want of memory, say
            continue
        return ending.judge()
    raise ExtractionFailed("internal")


async def _run(job: dict[str, Any], memory_bytes: int, listener: Answer, given: bytes) -> Ending:
    with ExitStack() as closing:
        answer, errors, line = await begin(job, closing)
        complaints = bytearray()
        watch = _Watch(line, memory_bytes)
        tasks = [
            asyncio.create_task(work)
            for work in (
                watch.until_end(),
                _hear(answer, listener.hear),
                _hear(errors, lambda block: complaints.extend(block[: _KEPT_ERRORS - len(complaints)])),
                _give(answer, given),
            )
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return Ending(watch.status, bytes(complaints), watch.outgrown)


async def begin(job: dict[str, Any], closing: ExitStack) -> list[socket.socket]:
    """Ask for a child. Returns the ends of its `answer`, `errors` and `line`, which `closing` closes: that kills it."""
    pairs = [socket.socketpair() for _ in range(3)]
    ours = [closing.enter_context(end) for end, _ in pairs]
    for end in ours:
        end.setblocking(False)
    await _ask(job, [theirs for _, theirs in pairs])
    return ours


async def _ask(job: dict[str, Any], lines: list[socket.socket]) -> None:
    """Ask on a thread, since the server may have to be started; when cancelled, not before that thread let go."""
    asking = asyncio.get_running_loop().run_in_executor(None, SERVER.fork, job, lines)
    try:
        await asyncio.shield(asking)
    except asyncio.CancelledError:
        # Its sockets are closed there: closing them here could have it send whatever got their numbers next.
        await asyncio.wait([asking])
        raise


class _Watch:
    """Follows a child by its line to the server."""

    def __init__(self, line: socket.socket, memory_bytes: int) -> None:
        self._line, self._limit = line, memory_bytes
        self.outgrown = False
        self.status = 0

    async def until_end(self) -> None:
        """Sets the status it ended with. Raises `ServerLost`."""
        loop, heard = asyncio.get_running_loop(), b""
        memory: asyncio.Task[None] | None = None
        try:
            while block := await loop.sock_recv(self._line, 64):
                heard += block
                if memory is None and b"\n" in heard:
                    memory = asyncio.create_task(self._watch_memory(int(heard.split(b"\n")[0])))
        except ConnectionError:
            pass
        finally:
            if memory is not None:
                memory.cancel()
        said = heard.split()
        if len(said) < 2:
            raise ServerLost
        self.status = int(said[1])

    async def _watch_memory(self, pid: int) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if resident_bytes(pid) > self._limit:
                self.outgrown = True
                self._line.shutdown(socket.SHUT_WR)  # the server, which collects the child, kills it
                return


async def _hear(source: socket.socket, hear: Callable[[bytes], object]) -> None:
    loop = asyncio.get_running_loop()
    try:
        while block := await loop.sock_recv(source, _BLOCK):
            hear(block)
    except ConnectionError:
        return  # killed with something unread: how it ended tells the rest


async def _give(sink: socket.socket, given: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(sink, given)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it did not want to hear all of it


def resident_bytes(pid: int) -> int:
    """What a process and those it started hold.

    0 for one that is gone, and on a system without /proc, where the child's own limit has to do.
    """
    proc = Path(f"/proc/{pid}")
    try:
        size = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        started = [one for thread in (proc / "task").iterdir() for one in (thread / "children").read_text().split()]
    except (OSError, IndexError, ValueError):
        return 0
    return size + sum(resident_bytes(int(one)) for one in started)
