"""What a child gives up before it opens a file: time, memory, other files, programs, the network, its parent's life.

Linux only where the kernel has to help; elsewhere the parent's clock and memory watch still hold.
`missing_protection` says what this machine cannot do.
"""

import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from apps.knowledge.extraction import landlock, system_calls

# Address space beyond the memory limit: libraries map far more than they touch.
MAPPED_HEADROOM_BYTES = 512 * 1024 * 1024

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_HERE = Path(__file__).resolve().parents[3]
# What readers still load at need, and what their libraries look at. Nothing of the hub's own, and no /proc.
_READABLE: tuple[Path | str, ...] = (
    *sorted({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}),
    _HERE / "apps",
    _HERE / "shared",
    *("/usr/share", "/etc/localtime", "/dev/null", "/dev/urandom"),
)
# And what another program needs to start.
_FOR_PROGRAMS = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/share"),
    *("/etc/ld.so.cache", "/sys/devices/system/cpu"),
)


def enter(
    *, seconds: int, memory_bytes: int, parent: int, readable: Iterable[Path | str] = (), programs: bool = False
) -> None:
    """Give everything up, for good. Call before reading anything untrusted.

    `seconds` of processor time, and `memory_bytes` of memory. Of the hub's files only `readable` stay within reach.
    With `programs`, this process may still become another one.
    """
    die_with_parent(parent)
    limit_resources(seconds=seconds, memory_bytes=memory_bytes)
    system_calls.give_up_privileges()
    landlock.keep_only((*_READABLE, *(_FOR_PROGRAMS if programs else ()), *readable))
    system_calls.refuse(programs=programs)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent dies, also by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def hide_memory() -> None:
    """Keep this process's environment and memory from others of the same user; those it forks inherit that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit_resources(*, seconds: int, memory_bytes: int) -> None:
    """Bound processor time, address space and open files; write nothing to disk, leave no core file."""
    # Two cores may burn at once, and the parent's clock is the one that should ring first.
    processor = seconds * 2 + 2
    mapped = memory_bytes + MAPPED_HEADROOM_BYTES
    limits = {
        # The first limit says SIGXCPU, the second SIGKILL, which tells nobody why.
        resource.RLIMIT_CPU: (processor, processor + 5),
        resource.RLIMIT_AS: (mapped, mapped),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (64, 64),
    }
    for kind, values in limits.items():
        try:
            resource.setrlimit(kind, values)
        except (ValueError, OSError):
            continue  # macOS refuses some; the parent still watches


def missing_protection() -> list[str]:
    """One sentence for each thing that this machine cannot keep a stranger's file from doing."""
    missing = []
    if not system_calls.can_refuse():
        missing.append(
            "A file that takes its reader over could use the network and start programs: "
            "this kernel or machine has no seccomp filter (Linux on x86_64 or aarch64 has)."
        )
    if not landlock.version():
        missing.append(
            "A file that takes its reader over could read other files of this user: "
            "this kernel has no Landlock, or has it switched off (Linux 5.13 and later have it)."
        )
    if not Path("/proc/self/statm").exists():
        missing.append(
            "Memory that a reader really uses is not watched, only what it asks for: this system has no /proc."
        )
    return missing
