"""What a process that reads strangers' files may not ask of the kernel, as a seccomp filter.

Refused calls fail with EPERM. Numbers per machine: x86_64 and aarch64.
"""

import ctypes
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22
_SECCOMP_MODE_FILTER = 2
_EPERM, _EFAULT, _ENOSYS = 1, 14, 38
ALLOW, REFUSE, UNKNOWN_CALL, KILL = 0x7FFF0000, 0x00050000 | _EPERM, 0x00050000 | _ENOSYS, 0x80000000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CALL, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # where they stand in struct seccomp_data
_X32_CALLS = 0x40000000
_CLONE_THREAD = 0x10000

# audit's name of the machine, and the column below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

type Numbers = dict[str, tuple[int, int]]

_PROGRAMS: Numbers = {"execve": (59, 221), "execveat": (322, 281)}
# A way out, or in: the network, other processes, other name spaces, and doors that pass by this filter (io_uring).
_WAYS_OUT: Numbers = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
}
# What harms files and processes that are there, or leaves the group that is killed at the end.
_HARM: Numbers = {
    "unlinkat": (263, 35),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "linkat": (265, 37),
    "symlinkat": (266, 36),
    "truncate": (76, 45),
    "mkdirat": (258, 34),
    "mknodat": (259, 33),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "setpgid": (109, 154),
    "setsid": (112, 157),
}
# What outlives the process, where the next one could find it, and what tells of others' files.
_TRACES: Numbers = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
}
# The machine itself and the share of it that others get; most of these need a privilege that a worker should not have.
_MACHINE_WIDE: Numbers = {
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "acct": (163, 89),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
}
# x86_64 alone still has the older names of some.
_OLDER = {
    "unlink": 87,
    "rename": 82,
    "link": 86,
    "symlink": 88,
    "fork": 57,
    "vfork": 58,
    "mkdir": 83,
    "rmdir": 84,
    "creat": 85,
    "mknod": 133,
    "chmod": 90,
    "chown": 92,
    "lchown": 94,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
    "inotify_init": 253,
    "iopl": 172,
    "ioperm": 173,
}
_CLONE, _CLONE3, _PRLIMIT, _TGKILL = (56, 220), 435, (302, 261), (234, 131)


def refused_calls(machine: str, *, programs: bool) -> tuple[int, ...]:
    """The numbers of the calls that always fail on a machine; `programs` leaves starting one allowed."""
    column = MACHINES[machine][1]
    named = _WAYS_OUT | _HARM | _TRACES | _MACHINE_WIDE | ({} if programs else _PROGRAMS)
    numbers = [pair[column] for pair in named.values()] + (list(_OLDER.values()) if machine == "x86_64" else [])
    return tuple(numbers)


def refuse(*, programs: bool = False) -> bool:
    """Refuse them to this process for good, and to what it becomes. False where kernel or machine have no filter."""
    if not can_refuse():
        return False
    program = filter_program(platform.machine(), os.getpid(), programs=programs)
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    return give_up_privileges() and _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header) == 0


def give_up_privileges() -> bool:
    """Gain none any more by starting a program. Filter and Landlock both ask for it."""
    return sys.platform == "linux" and _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0


def can_refuse() -> bool:
    """Whether this machine and its kernel have such a filter. Changes nothing: the kernel is given none to read."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return False
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER) == -1 and ctypes.get_errno() == _EFAULT


def filter_program(machine: str, pid: int, *, programs: bool = False) -> bytes:
    """A classic BPF program over struct seccomp_data, for the process `pid`.

    Threads may be made and processes may not; limits and signals concern the process itself alone. clone3 hides its
    flags from a filter, so it is called unknown, and the C library goes back to clone.
    """
    audit, column = MACHINES[machine]
    refused = refused_calls(machine, programs=programs)
    return b"".join(
        [
            _step(_LOAD, _MACHINE),
            _step(_JUMP_IF_EQUAL, audit, 1, 0),
            _step(_RETURN, KILL),
            _step(_LOAD, _CALL),
            _step(_JUMP_IF_AT_LEAST, _X32_CALLS, 0, 1),
            _step(_RETURN, REFUSE),
            _step(_JUMP_IF_EQUAL, _CLONE3, 0, 1),
            _step(_RETURN, UNKNOWN_CALL),
            *_only_if(_CLONE[column], _JUMP_IF_SET, _CLONE_THREAD),
            *_only_if(_PRLIMIT[column], _JUMP_IF_EQUAL, 0),
            *_only_if(_TGKILL[column], _JUMP_IF_EQUAL, pid),
            *(_step(_JUMP_IF_EQUAL, call, len(refused) - place, 0) for place, call in enumerate(refused)),
            _step(_RETURN, ALLOW),
            _step(_RETURN, REFUSE),
        ]
    )


def _only_if(call: int, test: int, value: int) -> list[bytes]:
    """Allow a call when its first argument passes a test, refuse it otherwise."""
    return [
        _step(_JUMP_IF_EQUAL, call, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(test, value, 0, 1),
        _step(_RETURN, ALLOW),
        _step(_RETURN, REFUSE),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _prctl(option: int, value: int, pointed: bytes | None = None) -> int:
    answer: int = _libc().prctl(option, value, pointed, 0, 0)
    return answer


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
