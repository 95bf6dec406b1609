"""What a reader that a file took over could leave for the next one, or take from others: nothing."""

import subprocess
import sys

import pytest

_LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_C_CALL = "made = {}\nif made < 0: raise OSError(ctypes.get_errno(), '')\n{}"


def c_call(call, remove=""):
    return _LIBC + _C_CALL.format(call, remove)


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
@pytest.mark.parametrize(
    "code",
    [
        c_call("libc.shmget(0, 4096, 0o1600)", "libc.shmctl(made, 0, None)"),
        c_call("libc.semget(0, 1, 0o1600)", "libc.semctl(made, 0, 0)"),
        c_call("libc.msgget(0, 0o1600)", "libc.msgctl(made, 0, None)"),
        c_call("libc.syscall(ADD_KEY, b'user', b'left', b'words', 5, -2)"),
        c_call("libc.inotify_init1(0)"),
        "os.setpriority(os.PRIO_PROCESS, os.getpid(), 19)",
        "os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0))",
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    ],
    ids=["shared memory", "semaphores", "messages", "keys", "watching files", "priority", "processors", "schedule"],
)
def test_a_reader_leaves_nothing_in_the_kernel_and_takes_no_share_of_others(code):
    program = (
        "import os, platform\nfrom apps.knowledge.extraction import sandbox\n"
        "ADD_KEY = 248 if platform.machine() == 'x86_64' else 217\n{}\n"
    )
    free = subprocess.run([sys.executable, "-c", program.format(code)], capture_output=True, text=True)
    enter = "sandbox.enter(seconds=10, memory_bytes=2**30, parent=os.getppid())\n"
    kept = subprocess.run([sys.executable, "-c", program.format(enter + code)], capture_output=True, text=True)

    assert free.returncode == 0, free.stderr  # else this would tell nothing
    assert kept.returncode == 1
    assert "PermissionError" in kept.stderr
