"""What a reader gives up: that the kernel really refuses it, the filter step by step, and machines without one."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from apps.knowledge.extraction import landlock, sandbox, system_calls
from tests.knowledge.readers import GIB, MIB, gone

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's")


def sandboxed(code, *, memory_bytes=GIB, readable=(), programs=False):
    """Run code inside the sandbox, as the child would."""
    program = (
        "import ctypes, os, signal, socket, subprocess, threading\nfrom apps.knowledge.extraction import sandbox\n"
        f"sandbox.enter(seconds=10, memory_bytes={memory_bytes}, parent=os.getppid(), "
        f"readable={[str(path) for path in readable]}, programs={programs})\n{code}"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())


@linux_only
@pytest.mark.parametrize(
    "code",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()[0].sendto(b'x', '/tmp/somewhere')",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['/bin/true'], check=True)",
        "os.fork()",
        "os.kill(os.getppid(), signal.SIGTERM)",
        "os.setsid()",
        "os.unlink('/tmp/nothing')",
        "os.rename('/tmp/nothing', '/tmp/thing')",
        "os.mkdir('/tmp/thing')",
        "os.symlink('/tmp/nothing', '/tmp/thing')",
        "os.chmod('/tmp', 0o777)",
        "os.utime('/tmp')",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "os.listdir('/')",
        "os.listdir('/home')",
        "open('pyproject.toml')",
        "open('config/settings.py')",
    ],
)
def test_a_reader_reaches_no_network_no_program_and_no_file(code):
    done = sandboxed(code)

    assert done.returncode == 1
    assert "PermissionError" in done.stderr


@linux_only
def test_a_reader_reads_the_file_it_is_for_and_its_libraries_and_may_start_threads(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.write_text("mine")
    other.write_text("hers")
    code = (
        f"import json, wave\nprint(open({str(own)!r}).read())\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
    )

    assert sandboxed(code, readable=[own]).stdout.split() == ["mine", "thread"]
    assert "PermissionError" in sandboxed(f"open({str(other)!r})", readable=[own]).stderr
    assert "PermissionError" in sandboxed(f"open({str(own)!r}, 'w')", readable=[own]).stderr
    assert own.read_text() == "mine"


@linux_only
def test_a_reader_may_become_a_program_where_it_is_told_so_and_that_has_no_network_either():
    shell = Path("/bin/bash")
    start = "os.execv('/bin/bash', ['bash', '-c', {!r}])"

    allowed = sandboxed(start.format("echo became"), readable=[shell, shell.resolve()], programs=True)
    network = sandboxed(start.format(": > /dev/tcp/127.0.0.1/9"), readable=[shell, shell.resolve()], programs=True)
    other = sandboxed(start.format("echo became"), programs=True)

    assert allowed.stdout == "became\n"
    assert "not permitted" in network.stderr
    assert "PermissionError" in other.stderr


@linux_only
def test_a_reader_grows_no_further_than_allowed_and_writes_nothing(tmp_path):
    grown = sandboxed("x = bytearray(2 << 30)", memory_bytes=256 * MIB)
    program = (
        "from apps.knowledge.extraction import sandbox\nsandbox.limit_resources(seconds=1, memory_bytes=1 << 30)\n"
        f"f = open({str(tmp_path / 'x')!r}, 'w'); f.write('x'); f.close()"
    )
    written = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "MemoryError" in grown.stderr
    assert "OSError" in written.stderr


def test_a_reader_has_a_limit_of_processor_time_that_says_so_and_keeps_no_core():
    program = (
        "import resource\nfrom apps.knowledge.extraction import sandbox\n"
        "sandbox.limit_resources(seconds=10, memory_bytes=1 << 30)\n"
        "print(*resource.getrlimit(resource.RLIMIT_CPU), *resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["22", "27", "0", "0"]


def test_limits_that_a_system_refuses_are_left_out(monkeypatch):
    asked = []

    def refuse(kind, values):
        asked.append(kind)
        raise ValueError

    monkeypatch.setattr(sandbox.resource, "setrlimit", refuse)
    sandbox.limit_resources(seconds=1, memory_bytes=1)

    assert len(asked) == 5


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

    asyncio.run(gone(pid))


@linux_only
def test_the_memory_of_a_server_and_its_children_is_nobody_elses_to_read():
    code = (
        "import ctypes, os\nfrom apps.knowledge.extraction import sandbox\nsandbox.hide_memory()\n"
        "os.fork()\nos.write(1, b'%d\\n' % ctypes.CDLL(None).prctl(3))"  # 3: PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0", "0"]


def run_filter(program, *, machine, call, first=0):
    """Interpret the classic BPF program the way the kernel does."""
    place, register = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, place * 8)
        place += 1
        if code == 0x20:
            register = {0: call, 4: machine, 16: first}[value]
        elif code == 0x06:
            return value
        else:
            passed = {0x15: register == value, 0x35: register >= value, 0x45: bool(register & value)}[code]
            place += if_true if passed else if_false


# By machine: clone, clone3, prlimit, tgkill, execve, execveat.
CALLS = {"x86_64": (56, 435, 302, 234, 59, 322), "aarch64": (220, 435, 261, 131, 221, 281)}


@pytest.mark.parametrize("programs", [False, True])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_exactly_what_it_lists(machine, programs):
    audit, _ = system_calls.MACHINES[machine]
    refused = set(system_calls.refused_calls(machine, programs=programs))
    program = system_calls.filter_program(machine, 77, programs=programs)
    clone, clone3, prlimit, tgkill, *starting = CALLS[machine]

    answers = {call: run_filter(program, machine=audit, call=call) for call in range(600)}

    # With a first argument of 0: a process is cloned, one's own limits are meant, and a signal goes to somebody else.
    expected = refused | {clone, tgkill}
    assert {call for call, answer in answers.items() if answer == system_calls.REFUSE} == expected
    assert [call for call, answer in answers.items() if answer == system_calls.UNKNOWN_CALL] == [clone3]
    assert answers[prlimit] == system_calls.ALLOW
    assert (set(starting) <= refused) is not programs


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_lets_a_process_make_threads_and_signal_and_limit_itself_alone(machine):
    audit, _ = system_calls.MACHINES[machine]
    program = system_calls.filter_program(machine, 77)
    clone, _, prlimit, tgkill, *_ = CALLS[machine]

    assert run_filter(program, machine=audit, call=clone, first=0x3D0F00) == system_calls.ALLOW
    assert run_filter(program, machine=audit, call=tgkill, first=77) == system_calls.ALLOW
    assert run_filter(program, machine=audit, call=prlimit, first=78) == system_calls.REFUSE


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_knows_no_other_machine_and_no_second_set_of_numbers(machine):
    audit, _ = system_calls.MACHINES[machine]
    program = system_calls.filter_program(machine, 77)

    assert run_filter(program, machine=12345, call=0) == system_calls.KILL
    assert run_filter(program, machine=audit, call=0x40000000 + 1) == system_calls.REFUSE


class Libc:
    """Answers each call with what the test wants, and remembers which were made."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def prctl(self, option, *arguments):
        self.calls.append(option)
        return self.answers.get(f"option_{option}", 0)

    def syscall(self, number, *arguments):
        self.calls.append(number)
        return self.answers.get(f"call_{number}", -1)


@pytest.fixture
def libc(monkeypatch):
    def use(**answers):
        fake = Libc(**answers)
        monkeypatch.setattr(system_calls, "_libc", lambda: fake)
        monkeypatch.setattr(landlock, "_libc", lambda: fake)
        monkeypatch.setattr(system_calls.sys, "platform", "linux")
        monkeypatch.setattr(system_calls.platform, "machine", lambda: "x86_64")
        return fake

    return use


@pytest.mark.parametrize(("answers", "filtered"), [({}, True), ({"option_38": -1}, False), ({"option_22": -1}, False)])
def test_a_kernel_that_refuses_the_filter_is_told_apart(libc, monkeypatch, answers, filtered):
    fake = libc(**answers)
    monkeypatch.setattr(system_calls, "can_refuse", lambda: True)

    assert system_calls.refuse() is filtered
    assert fake.calls[0] == 38  # no new privileges first, or the kernel takes no filter


def test_a_machine_without_the_filter_is_told_apart(monkeypatch):
    monkeypatch.setattr(system_calls.platform, "machine", lambda: "riscv64")

    assert system_calls.refuse() is False


def test_a_kernel_without_landlock_is_told_apart(libc):
    fake = libc()

    assert landlock.keep_only(["/tmp"]) is False
    assert fake.calls == [444]


def test_a_kernel_that_makes_no_ruleset_is_told_apart(monkeypatch, libc):
    libc()
    monkeypatch.setattr(landlock, "version", lambda: 4)

    assert landlock.keep_only(["/tmp"]) is False


@pytest.mark.parametrize("version", [1, 2, 4, 7])
def test_landlock_handles_every_right_that_its_version_knows(monkeypatch, libc, tmp_path, version):
    fake = libc(call_444=os.open(os.devnull, os.O_RDONLY), call_445=0, call_446=0)
    monkeypatch.setattr(landlock, "version", lambda: version)

    assert landlock.keep_only([tmp_path, "/dev/null", tmp_path / "nothing"]) is True
    assert fake.calls == [444, 445, 445, 446]  # what does not exist is left out


def test_everything_is_given_up_in_order(monkeypatch):
    given_up = []
    for module, name in (
        (sandbox, "die_with_parent"),
        (sandbox, "limit_resources"),
        (system_calls, "give_up_privileges"),
        (landlock, "keep_only"),
        (system_calls, "refuse"),
    ):
        monkeypatch.setattr(module, name, lambda *paths, name=name, **limits: given_up.append((name, limits)))

    sandbox.enter(seconds=5, memory_bytes=1, parent=7)

    assert given_up == [
        ("die_with_parent", {}),
        ("limit_resources", {"seconds": 5, "memory_bytes": 1}),
        ("give_up_privileges", {}),
        ("keep_only", {}),
        ("refuse", {"programs": False}),
    ]


@linux_only
def test_a_machine_that_can_everything_misses_nothing():
    done = sandboxed("print(1)")

    assert done.stdout == "1\n"
    assert system_calls.can_refuse() == bool(not any("seccomp" in said for said in sandbox.missing_protection()))


def test_what_a_machine_cannot_do_is_said_in_a_sentence_each(monkeypatch):
    monkeypatch.setattr(system_calls.sys, "platform", "darwin")
    monkeypatch.setattr(sandbox.Path, "exists", lambda path: False)

    filters, files, memory = sandbox.missing_protection()

    assert "use the network and start programs" in filters
    assert "read other files" in files
    assert "Memory" in memory
