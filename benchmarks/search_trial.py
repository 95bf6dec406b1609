"""`make search-trial`: searches against an exact BM25 while documents come, go and change.

A hub of its own, several creators, each with two people who upload, delete, bring and restore versions, hide, show and
edit passages and change titles; a worker that also tidies the indexes all the time; others who search over the API. All
the while each index is compared with the tables inside one snapshot: see `exact_index`. Ends with 1 when something is
wrong, or when there is something that was not tried.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.exact_looks import Look, Looked, Looks
from benchmarks.search_trial_acts import Shelf
from benchmarks.search_trial_asks import Asker, choose_target, known_of
from benchmarks.sheets import Asked, name_of, question
from shared.embedded.testing import temporary_servers
from tests.faults.own_hub import OwnHub, eventually

_CREATORS, _SHELVES, _ASKERS = 3, 2, 2
_NUMBERS_A_SHELF = 10_000
_QUESTIONS_A_LOOK = 6
_SETTLE_SECONDS = 300.0
_PROGRESS_SECONDS = 30.0
_VIOLATIONS_SHOWN = 50
# What a trial that is worth its name has done.
_TRIED = (
    *("uploads", "deletions", "new versions", "restores", "processed again", "versions that answered"),
    *("hidden", "shown", "edits", "titles", "tidyings"),
    *("searches", "results", "passages looked for", "looks", "looks with cells", "questions compared"),
)
_FAILED_JOBS = "SELECT task_name, args::text FROM procrastinate_jobs WHERE status IN ('failed', 'aborted')"
_UNFINISHED_JOBS = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
_CREATOR_OF = "SELECT DISTINCT creator_id::text FROM knowledge_document WHERE id = ANY(%s)"


class TrialHub(OwnHub):
    """Sorts vectors into cells early, and lets everybody ask as often as they like."""

    application = "benchmarks.early_cells:application"
    commands = ("-m", "benchmarks.early_cells")

    def __init__(self, servers: Any, data: Path, **options: Any) -> None:
        limits = dict.fromkeys(("LIMIT_UPLOAD", "LIMIT_SEARCH", "LIMIT_REGISTER"), "100000000/60")
        # A machine that is busy is slow, which is no fault here. Nobody signs in anew.
        patient = {"DATABASE_POOL_TIMEOUT_SECONDS": "60", "ACCESS_TOKEN_SECONDS": "86400"}
        super().__init__(servers, data, **limits, **patient, **options)


class Trial:
    """One hub, who changes and who asks, and what has been found so far."""

    def __init__(self, hub: OwnHub, looks: Looks, seed: int) -> None:
        self.hub, self.looks = hub, looks
        self.chance = random.Random(seed)
        self.people = [hub.register(f"trial-{seed}-{number}") for number in range(_CREATORS)]
        self.stopping = threading.Event()
        address = f"http://127.0.0.1:{hub.port}"
        self.shelves = [
            Shelf(address, headers, creator, _NUMBERS_A_SHELF * place + 1, self.chance.randrange(2**31), self.stopping)
            for creator, headers in enumerate(self.people)
            for place in range(_SHELVES)
        ]
        self.askers = [
            Asker(address, self.people, self.shelves, self.chance.randrange(2**31), self.stopping)
            for _ in range(_ASKERS)
        ]
        for number, shelf in enumerate(self.shelves):
            shelf.begin(long=number % _SHELVES == 0)
        self.creator_ids = [self._creator_id(number) for number in range(_CREATORS)]
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self, seconds: float) -> None:
        """All at once for so long; then wait until the hub has done its work, and compare once more."""
        threads = [*self.shelves, *self.askers]
        for shelf in self.shelves:
            shelf.settle(_SETTLE_SECONDS)
        for thread in threads:
            thread.start()
        began = said = time.monotonic()
        while time.monotonic() - began < seconds:
            self.look(self.chance.randrange(_CREATORS), tidy=self.chance.random() < 0.3)
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                print(f"{said - began:.0f} s: {_listed(self.total())}; {len(self.found())} wrong", flush=True)
        self.stopping.set()
        for thread in threads:
            thread.join()
        for shelf in self.shelves:
            shelf.settle(_SETTLE_SECONDS)
        eventually(lambda: not self._rows(_UNFINISHED_JOBS)[0][0], "the jobs are done", _SETTLE_SECONDS)
        for creator in range(_CREATORS):
            self.look(creator)
        self.wrong += [f"job {name} has failed: {arguments}" for name, arguments in self._rows(_FAILED_JOBS)]

    def look(self, creator: int, *, tidy: bool = False) -> Looked:
        """Compare a creator's index with the tables."""
        questions = [self._question(creator) for _ in range(_QUESTIONS_A_LOOK)]
        looked = self.looks.look(Look(self.creator_ids[creator], questions, tidy))
        self.wrong += looked.wrong
        self.counts["looks"] += 1
        self.counts["questions compared"] += len(questions) if looked.passages else 0
        self.counts["passages compared"] += looked.passages
        self.counts["looks with cells"] += looked.cells
        self.counts["tidyings"] += looked.tidied
        return looked

    def total(self) -> Counter[str]:
        """What was done so far, by everybody."""
        counts = Counter(self.counts)
        for thread in (*self.shelves, *self.askers):
            counts.update(dict(thread.counts))
        return counts

    def found(self) -> list[str]:
        """What is wrong so far, by everybody's account."""
        return [*self.wrong, *(one for thread in (*self.shelves, *self.askers) for one in list(thread.wrong))]

    def failures(self) -> list[str]:
        """What is wrong, and what was never tried."""
        counts = self.total()
        return [*self.found(), *(f"not tried: {what}" for what in _TRIED if not counts[what])]

    def _question(self, creator: int) -> Asked:
        known = known_of(self.shelves, creator)
        asked = question(self.chance, [name_of(creator, document.number) for document in known.values()])
        where = self.chance.randrange(4)
        if where == 0:
            return Asked(asked.words, asked.phrases, asked.excluded, tag=self.chance.choice(("red", "green")))
        target = choose_target(known, self.chance)
        if where == 1 and target:
            return Asked(asked.words, asked.phrases, asked.excluded, document=target.document.id)
        if where == 2 and target:
            return Asked((*asked.words, str(target.mark)), asked.phrases, asked.excluded)
        return asked

    def _creator_id(self, creator: int) -> str:
        ids = [document for shelf in self.shelves if shelf.creator == creator for document in shelf.known]
        ((found,),) = self._rows(_CREATOR_OF, [ids])
        return str(found)

    def _rows(self, sql: str, values: Any = None) -> list[Any]:
        with psycopg.connect(self.hub.database_url) as connection:
            return connection.execute(sql, values).fetchall()


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[what]} {what}" for what in (*_TRIED, "passages compared"))


def main() -> None:
    """Try it, and say what came of it."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    print(f"seed {wanted.seed}: {wanted.minutes:g} minutes", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-search-trial-")))
        servers = stack.enter_context(temporary_servers())
        hub = TrialHub(servers, folder / "data", log=folder / "hub.log")
        stack.callback(hub.stop)
        trial = Trial(hub, stack.enter_context(Looks(hub.environment)), wanted.seed)
        trial.run(wanted.minutes * 60)
        failures = trial.failures()
        if wanted.keep_log or failures:
            print((folder / "hub.log").read_text(errors="replace")[-20_000:], file=sys.stderr)
    for failure in failures[:_VIOLATIONS_SHOWN]:
        print(f"FAILED: {failure}")
    print(f"{_listed(trial.total())}; {len(failures)} wrong")
    sys.exit(bool(failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep-log", action="store_true", help="print the end of the hub's log in any case")
    return parser.parse_args()


if __name__ == "__main__":
    main()
