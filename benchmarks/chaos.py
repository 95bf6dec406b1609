"""`make chaos`: a hub whose worker is killed, whose Postgres is stopped at once, and whose disk is full.

Documents are uploaded meanwhile, as a patient client does it. Then the hub is left alone until it has finished by
itself, and what must hold is looked at: see `chaos_checks`. Ends with 1 when something does not.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from os import utime
from pathlib import Path

from benchmarks.chaos_acts import Uploader, kill_worker, no_room, small_disk, stop_postgres_at_once
from benchmarks.chaos_checks import orphans, unfinished, violations
from benchmarks.papers import Paper, papers
from shared.config.env_constants import PROJECT_ROOT
from shared.embedded.testing import temporary_servers
from tests.faults.own_hub import OwnHub

_CREATORS = 4
_STOPS_OF_POSTGRES = 3
_SECONDS_OF_STOPS = 12  # about as long as those take
# The clock looks for lost work every minute. When no stage was finished for so long, it is stuck.
_STUCK_SECONDS = 240.0
# Older than any upload can take, so that the sweep looks at it.
_AGED_SECONDS = 8 * 3600
_SWEEP = (
    "from asgiref.sync import async_to_sync; from apps.knowledge.tending import remove_unclaimed_files as sweep; "
    "async_to_sync(sweep)()"
)


class Chaos:
    """One hub, its people, and what has been acknowledged so far."""

    def __init__(self, hub: OwnHub, seed: int) -> None:
        self.hub = hub
        self.chance = random.Random(seed)
        self.people = [hub.register(f"creator-{number}") for number in range(_CREATORS)]
        self.papers: Iterator[Paper] = papers(seed)
        self.acknowledged: dict[str, tuple[Paper, dict[str, str]]] = {}
        self.failures: list[str] = []

    def uploader(self, count: int, *, pause: float = 0.05) -> Uploader:
        """Begin to upload so many papers."""
        thread = Uploader(self.hub, self.people, list(islice(self.papers, count)), pause=pause)
        thread.start()
        return thread

    def kill_workers(self, kills: int, documents: int) -> None:
        """Kill the worker again and again while documents come in."""
        uploading = self.uploader(documents, pause=kills / documents)
        children = sum(kill_worker(self.hub, self.chance) for _ in range(kills))
        print(f"{kills} workers killed with SIGKILL, {children} children went with them")
        self._settle("the worker killed", uploading)

    def stop_postgres(self, documents: int) -> None:
        """Stop Postgres at once, three times, while documents come in."""
        uploading = self.uploader(documents, pause=_SECONDS_OF_STOPS / documents)
        for _ in range(_STOPS_OF_POSTGRES):
            time.sleep(self.chance.uniform(0.5, 2.5))
            stop_postgres_at_once(self.hub, self.chance.uniform(0.5, 3))
        uploading.join()
        left = orphans(self.hub)
        if left:  # the answer was lost between the file and its row: the sweep is for these
            self._sweep(left)
        print(f"Postgres stopped in immediate mode {_STOPS_OF_POSTGRES} times, {len(left)} files for the sweep")
        self._settle("Postgres stopped at once", uploading)

    def fill_disk(self, documents: int) -> None:
        """Let the disk be full while documents come in, and make room again."""
        with no_room(self.hub.data):
            uploading = self.uploader(documents)
            time.sleep(3)
        self._settle("the disk full", uploading)
        if not uploading.refusals["507 storage_full"]:
            self.failures.append(f"no upload was told that the disk is full: {dict(uploading.refusals)}")

    def _settle(self, what: str, uploading: Uploader) -> None:
        """Wait until all is done without any help, then look at everything."""
        uploading.join()
        began = time.monotonic()
        self.acknowledged |= uploading.acknowledged
        left = self._wait_until_done()
        found = [f"stuck: {left} versions or jobs are unfinished"] if left else []
        found += [*uploading.wrong, *violations(self.hub, self.acknowledged)]
        refused = ", ".join(f"{count} x {answer}" for answer, count in sorted(uploading.refusals.items())) or "none"
        print(
            f"{what}: {len(uploading.acknowledged)} documents acknowledged, refusals: {refused}; all done "
            f"{time.monotonic() - began:.0f} s after the last upload; {len(found)} violations",
            flush=True,
        )
        self.failures += [f"{what}: {failure}" for failure in found]

    def _wait_until_done(self) -> int:
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < _STUCK_SECONDS:
            left, done = unfinished(self.hub)
            if not left:
                return 0
            if done != seen:
                seen, since = done, time.monotonic()
            time.sleep(0.5)
        return left

    def _sweep(self, files: set[str]) -> None:
        for name in files:
            path = self.hub.data / "media" / name
            then = path.stat().st_mtime - _AGED_SECONDS
            utime(path, (then, then))
        command = [sys.executable, "manage.py", "shell", "--verbosity=0", "-c", _SWEEP]
        subprocess.run(command, cwd=PROJECT_ROOT, env=self.hub.environment, check=True)


def main() -> None:
    """Do it all, and say what came of it."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # else the small disk stays mounted
    print(f"seed {wanted.seed}: {wanted.kills} kills over {wanted.documents} documents", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-chaos-")))
        data = folder / "data"
        data.mkdir()
        mounted = stack.enter_context(small_disk(data))
        servers = stack.enter_context(temporary_servers(careless=False))
        loose = dict.fromkeys(("LIMIT_UPLOAD", "LIMIT_SEARCH", "LIMIT_REGISTER"), "100000000/60")
        hub = OwnHub(servers, data, log=folder / "hub.log", **loose)
        stack.callback(hub.stop)
        chaos = Chaos(hub, wanted.seed)
        chaos.kill_workers(wanted.kills, wanted.documents)
        chaos.stop_postgres(max(1, wanted.documents // 4))
        if mounted:
            chaos.fill_disk(max(1, wanted.documents // 10))
        else:
            print("the disk full: SKIPPED, only root may mount a small disk")
        if wanted.keep_log or chaos.failures:
            print((folder / "hub.log").read_text(errors="replace")[-20_000:], file=sys.stderr)
    for failure in chaos.failures[:50]:
        print(f"FAILED: {failure}")
    print(f"{len(chaos.acknowledged)} documents acknowledged, {len(chaos.failures)} violations")
    sys.exit(bool(chaos.failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep-log", action="store_true", help="print the end of the hub's log in any case")
    return parser.parse_args()


if __name__ == "__main__":
    main()
