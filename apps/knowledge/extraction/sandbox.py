"""What the child gives up before it opens a file: time, memory, files, other programs, the network, its parent's life.

Linux only where the kernel has to help; elsewhere the parent's clock and memory watch still hold.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

# Address space beyond the memory limit: libraries map far more than they touch.
MAPPED_HEADROOM_BYTES = 512 * 1024 * 1024

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # REFUSE: the call fails with EPERM
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32_CALLS = 0x40000000
# Per machine: audit's name of it, and the calls that open a way out: socket, connect, bind, sendto, sendmsg,
# execve, execveat, ptrace, io_uring_setup (which could make sockets by itself);
_WAYS_OUT = {
    "x86_64": (41, 42, 49, 44, 46, 59, 322, 101, 425),
    "aarch64": (198, 203, 200, 206, 211, 221, 281, 117, 425),
}
# and those that harm what is there or leave the group that is killed at the end: unlinkat, renameat, renameat2,
# linkat, symlinkat, truncate, kill, setpgid, setsid, process_vm_readv, process_vm_writev, pidfd_send_signal,
# pidfd_open; on x86_64 also the older unlink, rename, link, symlink, fork and vfork.
_HARM = {
    "x86_64": (263, 264, 316, 265, 266, 76, 62, 109, 112, 310, 311, 424, 434, 87, 82, 86, 88, 57, 58),
    "aarch64": (35, 38, 276, 37, 36, 45, 129, 154, 157, 270, 271, 424, 434),
}
_MACHINES = {
    "x86_64": (0xC000003E, _WAYS_OUT["x86_64"] + _HARM["x86_64"]),
    "aarch64": (0xC00000B7, _WAYS_OUT["aarch64"] + _HARM["aarch64"]),
}


def enter(*, seconds: int, memory_bytes: int, parent: int) -> None:
    """Give everything up, for good. Call before reading anything untrusted."""
    die_with_parent(parent)
    limit_resources(seconds=seconds, memory_bytes=memory_bytes)
    refuse_system_calls()


def die_with_parent(parent: int) -> None:
    """Be killed when the worker dies, also by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def limit_resources(*, seconds: int, memory_bytes: int) -> None:
    """Bound processor time, address space and open files; write nothing to disk, leave no core file."""
    mapped = memory_bytes + MAPPED_HEADROOM_BYTES
    # Two cores may burn at once, and the parent's clock is the one that should ring first.
    limits = {
        resource.RLIMIT_CPU: seconds * 2 + 2,
        resource.RLIMIT_AS: mapped,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, value in limits.items():
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            continue  # macOS refuses some; the parent still watches


def refuse_system_calls() -> bool:
    """No sockets, no other programs, nothing deleted or killed. False where kernel or machine have no such filter."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    audit, refused = _MACHINES[platform.machine()]
    program = _filter(audit, refused)
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0) == 0)


def _filter(audit: int, refused: tuple[int, ...]) -> bytes:
    """A classic BPF program over seccomp_data (call number at 0, machine at 4)."""

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    count = len(refused)
    lines = [
        step(_LOAD, 4),
        step(_JUMP_IF_EQUAL, audit, 1, 0),
        step(_RETURN, _KILL),
        step(_LOAD, 0),
        step(_JUMP_IF_AT_LEAST, _X32_CALLS, count + 1, 0),
        *(step(_JUMP_IF_EQUAL, call, count - place, 0) for place, call in enumerate(refused)),
        step(_RETURN, _ALLOW),
        step(_RETURN, _REFUSE),
    ]
    return b"".join(lines)
