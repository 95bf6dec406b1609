"""What `make chaos` does to a hub: it uploads patiently, kills workers, stops Postgres at once and fills the disk."""

import contextlib
import errno
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil
import psycopg

from benchmarks.papers import Paper
from tests.faults.own_hub import OwnHub, eventually

_RETRY_SECONDS = 0.2
_TWICE_EACH = 8  # every so-manieth paper is sent again
_ROOM_BYTES = 64 * 1024 * 1024
_NEWEST_WORKER = "SELECT coalesce(max(id), 0) FROM procrastinate_workers"


class Uploader(threading.Thread):
    """Sends papers one after the other, each until the hub has said yes to it; every eighth twice."""

    def __init__(self, hub: OwnHub, people: Sequence[dict[str, str]], papers: Sequence[Paper], *, pause: float) -> None:
        super().__init__(daemon=True)
        self.address = f"http://127.0.0.1:{hub.port}"
        self.people, self.papers, self.pause = people, papers, pause
        self.acknowledged: dict[str, tuple[Paper, dict[str, str]]] = {}
        self.refusals: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self.address, trust_env=False, timeout=30) as client:
            for number, paper in enumerate(self.papers):
                headers = self.people[number % len(self.people)]
                document_id = self._insist(client, paper, headers)
                self.acknowledged[document_id] = (paper, headers)
                if number % _TWICE_EACH == 0 and self._insist(client, paper, headers) != document_id:
                    self.wrong.append(f"{paper.name} sent twice is two documents")
                time.sleep(self.pause)

    def _insist(self, client: httpx.Client, paper: Paper, headers: dict[str, str]) -> str:
        while True:
            try:
                answer = client.post("/api/v1/documents", headers=headers, files={"file": (paper.name, paper.content)})
            except httpx.TransportError as error:
                self.refusals[type(error).__name__] += 1
                self.wrong.append(f"no answer to {paper.name}: {error!r}")
            else:
                if answer.status_code in (200, 202):
                    return str(answer.json()["id"])
                self._judge(answer)
            time.sleep(_RETRY_SECONDS)

    def _judge(self, answer: httpx.Response) -> None:
        """A refusal must be clear: 503 with a time, or 507, as problem+json with a code and a sentence."""
        said = answer.json() if answer.headers.get("Content-Type") == "application/problem+json" else {}
        self.refusals[f"{answer.status_code} {said.get('code', '')}"] += 1
        later = answer.status_code == 507 or (answer.status_code == 503 and "Retry-After" in answer.headers)
        if not (later and said.get("code") and said.get("detail")):
            self.wrong.append(f"an unclear answer, {answer.status_code}: {answer.text[:200]}")


def kill_worker(hub: OwnHub, chance: random.Random, *, soonest: float = 0.0, latest: float = 3.0) -> int:
    """Kill the worker with SIGKILL at a random moment and start another; returns how many of its children went too.

    Five times in six the new one has begun to take jobs before this returns; else it is still starting when the next
    kill comes. Children are left to the kernel. Raises `AssertionError` where one stays.
    """
    time.sleep(chance.uniform(soonest, latest))
    children = psutil.Process(hub.worker.process.pid).children(recursive=True)
    hub.worker.process.send_signal(signal.SIGKILL)
    hub.worker.process.wait()
    eventually(lambda: not any(_lives(child) for child in children), "the children of a killed worker end", 10)
    killed = _newest_worker(hub)
    hub.start_worker()
    if chance.random() > 1 / 6:
        eventually(lambda: _newest_worker(hub) > killed, "the new worker takes jobs")
    return len(children)


def _newest_worker(hub: OwnHub) -> int:
    with psycopg.connect(hub.database_url) as connection:
        return int((connection.execute(_NEWEST_WORKER).fetchone() or (0,))[0])


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop_postgres_at_once(hub: OwnHub, seconds: float) -> None:
    """Stop as `pg_ctl stop -m immediate` does: no session is ended in order, nothing is written. Then start again."""
    assert hub.postgres.child is not None
    hub.postgres.child.process.send_signal(signal.SIGQUIT)
    hub.postgres.child.process.wait(30)
    time.sleep(seconds)
    hub.postgres.start()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of 64 MB there, where we may; says whether that was so."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM_BYTES}", "hub-chaos", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextlib.contextmanager
def no_room(folder: Path) -> Iterator[None]:
    """Fill the disk that a folder lies on until nothing more fits; make room again afterwards."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    try:
        yield
    finally:
        ballast.unlink()
