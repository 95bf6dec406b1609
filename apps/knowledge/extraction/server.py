"""The process that all readers are forked from: `python -m apps.knowledge.extraction.server FD`.

Starting Python and loading the libraries takes far longer than reading a small file, so it is done once, here. The
server opens no stranger's file itself: each child comes from it as clean as the first one, reads one file, or small
ones of one creator, and ends.

FD is a socket to the worker (`processes.py`). A request is one message: a job as JSON, and three sockets. `answer` and
`errors` become the child's; on `line` the server says the child's process id and, when it has ended, how, each on a
line of its own. When the other end of `line` is closed the child is killed with all it started; when the other end of
FD is closed, because the worker ended, however it did, all are killed and the server ends.
"""

import gc
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import orjson

from apps.knowledge.extraction import child, formats, samples, sandbox

MAX_REQUEST_BYTES = 64 * 1024
_LINES = 3
# Where the child finds them.
ANSWER = 3
_MOST_DESCRIPTORS = 65_536
_SEVERAL_THREADS = 3


def main(arguments: list[str]) -> None:
    """Get ready, then serve until the worker is gone."""
    control = socket.socket(fileno=int(arguments[0]))
    warm_up()
    sandbox.hide_memory()
    gc.collect()
    gc.freeze()  # so that collecting in a child touches, and so copies, no page of the server's
    Server(control, child.perform).serve()


def warm_up() -> None:
    """Load what can be loaded before a fork: everything that starts no thread."""
    formats.load_readers()
    samples.read_samples(lambda content, media_type: child.read(content, media_type, lambda said: None))


class Server:
    """Forks one child per request, collects it, and kills it when nobody waits for it any more."""

    def __init__(self, control: socket.socket, perform: Callable[[dict[str, object], int], None]) -> None:
        self._control, self._perform = control, perform
        self._lines: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._ended, wakeup = socket.socketpair()
        for end in (self._ended, wakeup):
            end.setblocking(False)
        self._wakeup = wakeup
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the worker is gone."""
        self._selector.register(self._control, selectors.EVENT_READ, self._take_request)
        self._selector.register(self._ended, selectors.EVENT_READ, self._collect)
        try:
            while self._control.fileno() >= 0:
                for key, _ in self._selector.select():
                    key.data()
        finally:
            for pid in self._lines:
                _kill(pid)

    def _take_request(self) -> None:
        try:
            job, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, _LINES)
        except ConnectionError:
            job, descriptors = b"", []
        if not job:
            self._control.close()
            return
        answer, errors, line = (socket.socket(fileno=number) for number in descriptors)
        refuse_several_threads()
        try:
            pid = os.fork()
        except OSError:  # the machine is full; the worker hears it from the closed line
            line.close()
        else:
            if pid == 0:
                self._be_child(orjson.loads(job), answer, errors)
            self._watch(pid, line)
        answer.close()
        errors.close()

    def _watch(self, pid: int, line: socket.socket) -> None:
        self._lines[pid] = line
        _say(line, pid)
        self._selector.register(line, selectors.EVENT_READ, lambda: self._abandoned(pid, line))

    def _abandoned(self, pid: int, line: socket.socket) -> None:
        """Kill a child whose line was closed at the other end. It is collected like any other."""
        if self._lines.get(pid) is not line:  # it ended at the same moment, and is collected already
            return
        self._selector.unregister(line)
        _kill(pid)

    def _collect(self) -> None:
        with suppress(BlockingIOError):
            self._ended.recv(4096)
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            _kill(ended.si_pid)  # what it started, while its number is still its own
            _, status = os.waitpid(ended.si_pid, 0)
            line = self._lines.pop(ended.si_pid)
            with suppress(KeyError):
                self._selector.unregister(line)
            _say(line, os.waitstatus_to_exitcode(status))
            line.close()

    def _be_child(self, job: dict[str, object], answer: socket.socket, errors: socket.socket) -> NoReturn:
        """The other side of the fork: keep nothing of the server's, do the job, end without cleaning up."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            parent = os.getppid()
            os.setsid()
            keep_only(answer.detach(), errors.detach())
            self._perform(job | {"parent": parent}, ANSWER)
            os._exit(0)
        except BaseException:
            with suppress(BaseException):
                os.write(2, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(1)


def keep_only(answer: int, errors: int) -> None:
    """Keep two descriptors, as standard error and the one after it, and close every other."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    os.dup2(errors, 2)
    os.dup2(answer, ANSWER)
    os.closerange(ANSWER + 1, _MOST_DESCRIPTORS)


def refuse_several_threads() -> None:
    """End rather than fork with a thread that may hold a lock: the child would wait for it for ever."""
    tasks = Path("/proc/self/task")
    if (len(os.listdir(tasks)) if tasks.exists() else threading.active_count()) != 1:
        print("The extraction server has more than one thread, so it cannot fork safely.", file=sys.stderr)
        os._exit(_SEVERAL_THREADS)


def _say(line: socket.socket, number: int) -> None:
    with suppress(OSError):
        line.sendall(b"%d\n" % number)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group exists only once the child has made it
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
