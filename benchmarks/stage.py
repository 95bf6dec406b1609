"""What a measurement stands on: servers of its own, a database with creators in it, and processes held to a core."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from shared.config.env_constants import PROJECT_ROOT, child_environment
from shared.embedded import places
from shared.embedded.testing import temporary_servers

START_SECONDS = 60
# The servers measured are held to the first core; load, Postgres and Redis to the second.
SERVER_CORE, LOAD_CORE = 0, 1
_LOOSE = "100000000/60"


def mark(number: int) -> str:
    """The word that stands in all texts of the creator with this number, and in no other's."""
    return f"creator{number:05}"


class CannotMeasure(SystemExit):
    """Stops a measurement with what is missing, and how to get it."""


@dataclass(frozen=True, slots=True)
class Person:
    """An owner of a creator, signed in, and one of the creator's documents."""

    token: str
    document_id: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class Stage:
    """Environment variables for whatever is measured, and the people who ask."""

    environment: dict[str, str]
    owner_url: str
    folder: Path
    people: list[Person]


@contextlib.contextmanager
def stage(*, creators: int, documents: int, held: bool = True) -> Iterator[Stage]:
    """Postgres and Redis with so many creators of so many documents each. Gone afterwards.

    They are held to a core, unless they are what is measured. Postgres does not wait for the disk (fsync is off): a
    write should measure the servers, not this machine's disk.
    """
    if held:
        hold_to(LOAD_CORE)
    with temporary_servers() as servers, tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        folder = Path(name)
        environment = child_environment(
            HUB_ENV="testing",
            DATABASE_URL=servers.urls.app,
            DATABASE_OWNER_URL=None,
            REDIS_URL=servers.redis.url(),
            DATA_DIR=str(folder / "data"),
            LOG_LEVEL="info",
            LOG_FORMAT="json",
            ACCESS_TOKEN_SECONDS="86400",
            PUBLIC_URL="http://localhost",  # which tokens name as their issuer, whatever port is asked
            PYTHONPATH=str(PROJECT_ROOT),
            **{f"LIMIT_{name}": _LOOSE for name in ("LOGIN", "REGISTER", "UPLOAD", "SEARCH", "DEFAULT")},
        )
        as_owner = {**environment, "DATABASE_OWNER_URL": servers.urls.owner}
        _run([sys.executable, "manage.py", "migrate", "--no-input", "--verbosity=0"], as_owner)
        seed = [sys.executable, "-m", "benchmarks.seed", str(creators), str(documents)]
        people = [Person(**person) for person in json.loads(_run(seed, environment))]
        yield Stage(environment, servers.urls.owner, folder, people)


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command[1:4])} failed; the reason stands above.")
    return done.stdout


def hold_to(core: int) -> None:
    """Hold this process, and what it starts from now on, to one core. Where a system cannot, nothing happens."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a machine with a single core
            os.sched_setaffinity(0, {core})


class Server:
    """A web server that is measured: one process tree, on one core."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], log: Path, *, cores: tuple[int, ...]
    ) -> None:
        self.name = name
        self.log = log
        self.port = int(environment["PORT"])
        self.address = f"http://127.0.0.1:{self.port}"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        self._root = psutil.Process(self.process.pid)
        if hasattr(self._root, "cpu_affinity"):
            with contextlib.suppress(ValueError, psutil.Error):
                self._root.cpu_affinity(list(cores))
        self._wait()

    def processes(self) -> list[psutil.Process]:
        """The server and whatever it started."""
        return [self._root, *self._root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Used so far, in all its processes."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            for process in self.processes():
                process.kill()
            self.process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.address}/health/live", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise CannotMeasure(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    return places.free_port(None)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cores": psutil.cpu_count(), "cpu": model, "python": sys.version.split()[0]}
