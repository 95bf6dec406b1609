"""Child processes: started on a leash, stopped with patience, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.config.env_constants import bare_environment
from shared.embedded.users import ServerUser

LEASH = Path(__file__).with_name("leash.py")


class StartFailed(RuntimeError):
    """A part of the hub did not start."""


class Child:
    """One program of ours. It leads a process group, so Ctrl-C in a terminal reaches us alone and we end it in order.

    `stop_signal` is what asks it to end; it is also what it hears when we are killed.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
        self.name = name
        self.process = process
        self.stop_signal = stop_signal

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.running:
            self.process.send_signal(self.stop_signal)

    def stop(self, patience: float) -> None:
        """End it and everything it started: asked first, killed after `patience` seconds."""
        self.ask_to_stop()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        end_group(self.process.pid)

    def describe_end(self) -> str:
        code = self.process.returncode
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    user: ServerUser | None = None,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    folder: Path = Path("/"),
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start a program on a leash. Without `log` it writes where we write; without `environment` it gets no secret.

    Starts from the main thread only: the kernel takes the end of the starting thread for the end of the parent.
    """
    uid, gid = (user.uid, user.gid) if user else (-1, -1)
    leash = [os.getpid(), int(stop_signal), uid, gid]
    arguments = [sys.executable, "-I", "-S", str(LEASH), *map(str, leash), *map(str, command)]
    if log is not None:
        output = open(log, "ab")  # noqa: SIM115  closed below, when the child has its own copy
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output if log else None,
            stderr=subprocess.STDOUT if log else None,
            cwd=folder,
            env=bare_environment() if environment is None else environment,
            start_new_session=True,
        )
    finally:
        if log is not None:
            output.close()
    return Child(name, process, stop_signal)


def run_once(command: Sequence[str], user: ServerUser | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without secrets, and keep what it says."""
    identity: dict[str, Any] = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    return subprocess.run(
        command, cwd="/", env=bare_environment(), capture_output=True, text=True, check=False, **identity
    )


def end_group(pid: int) -> None:
    """Kill what is left of a group whose leader has ended: web workers whose parent was killed, for example."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return


def wait_until(ready: Callable[[], bool], child: Child, *, seconds: float, log: Path | None = None) -> None:
    """Return when `ready` says so. StartFailed when the child ends before, or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not child.running:
            raise StartFailed(f"{child.name} {child.describe_end()}.{last_lines(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{child.name} did not answer within {seconds:.0f} s.{last_lines(log)}")
        time.sleep(0.05)


def last_lines(log: Path | None, count: int = 15) -> str:
    """The end of a log, to show below a message; empty where there is none."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "".join(f"\n  | {line}" for line in lines) + f"\n  ({log})"
