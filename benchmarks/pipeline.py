"""`make pipeline`: documents of 50 creators, four fifths of them one creator's, queued for real and worked through.

Two workers of the usual concurrency begin when all is queued, the large creator's first. Prints documents a second,
milliseconds of each stage, when the last of the others' documents was ready, and how reading files in the sandbox
compares with the bare readers in a plain loop.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.config.env_constants import get_env_value, use_settings

use_settings()

import django  # noqa: E402

django.setup()

import psycopg  # noqa: E402

from apps.knowledge.extraction.child import read  # noqa: E402
from apps.knowledge.extraction.formats import load_readers, read_sections  # noqa: E402
from apps.knowledge.extraction.runner import extract  # noqa: E402
from benchmarks.chaos_checks import unfinished  # noqa: E402
from benchmarks.papers import Paper, papers  # noqa: E402
from benchmarks.stage import machine  # noqa: E402
from shared.embedded.testing import temporary_servers  # noqa: E402
from tests.faults.own_hub import OwnHub  # noqa: E402

_CREATORS, _WORKERS, _UPLOADERS = 50, 2, 8
_SHARE_OF_THE_LARGE = 0.8
_ROUNDS = 2
_TOGETHER = _WORKERS * 2
_BARE = "the readers in a plain loop"
_LONG_FILES, _LONG_PARAGRAPHS = 10, (300, 500)
_STAGES = """
    SELECT stage.name, avg(stage.milliseconds), percentile_disc(0.5) WITHIN GROUP (ORDER BY stage.milliseconds),
           percentile_disc(0.95) WITHIN GROUP (ORDER BY stage.milliseconds)
    FROM knowledge_stage AS stage GROUP BY stage.name, stage.position ORDER BY stage.position
"""
_ENDS = """
    SELECT extract(epoch FROM max(finished_at) FILTER (WHERE creator_id = large.id)),
           extract(epoch FROM max(finished_at) FILTER (WHERE creator_id <> large.id)),
           extract(epoch FROM (SELECT min(started_at) FROM knowledge_stage)),
           count(*), count(*) FILTER (WHERE status = 'ready'), sum(chunk_count)
    FROM knowledge_version, (SELECT creator_id AS id FROM knowledge_version GROUP BY creator_id
                             ORDER BY count(*) DESC LIMIT 1) AS large
"""


def main() -> None:
    """Measure, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--reading-only", action="store_true", help="compare the reading of files, and no more")
    wanted = parser.parse_args()
    chosen = list(islice(papers(1), wanted.documents))
    print(f"{machine()}", flush=True)
    failures = [] if wanted.reading_only else _work_through(chosen)
    _compare_reading("files as above", chosen)
    long = islice(papers(2, small=_LONG_PARAGRAPHS, middle=_LONG_PARAGRAPHS), _LONG_FILES)
    _compare_reading("long files", list(long))
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


def _work_through(chosen: list[Paper]) -> list[str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-pipeline-")))
        servers = stack.enter_context(temporary_servers())
        loose = dict.fromkeys(("LIMIT_UPLOAD", "LIMIT_REGISTER"), "100000000/60")
        hub = OwnHub(servers, folder / "data", log=folder / "hub.log", **loose)
        stack.callback(hub.stop)
        hub.worker.stop(10)
        took = _upload(hub, chosen)
        print(f"{len(chosen)} documents uploaded, {len(chosen) / took:.0f} each second", flush=True)
        hub.start_worker()
        for _ in range(_WORKERS - 1):
            first = hub.worker
            hub.start_worker()
            stack.callback(first.stop, 5)
        while unfinished(hub)[0]:
            time.sleep(0.5)
        return _report(hub)


def _upload(hub: OwnHub, chosen: list[Paper]) -> float:
    people = [hub.register(f"creator-{number}") for number in range(_CREATORS)]

    def bring(number: int) -> None:
        headers = people[_creator_of(number, len(chosen))]
        paper = chosen[number]
        answer = hub.client.post("/api/v1/documents", headers=headers, files={"file": (paper.name, paper.content)})
        assert answer.status_code == 202, answer.text

    began = time.perf_counter()
    with ThreadPoolExecutor(_UPLOADERS) as threads:
        list(threads.map(bring, range(len(chosen))))
    return time.perf_counter() - began


def _creator_of(number: int, documents: int) -> int:
    """The first brings four fifths, before all others."""
    return 0 if number < round(documents * _SHARE_OF_THE_LARGE) else 1 + number % (_CREATORS - 1)


def _report(hub: OwnHub) -> list[str]:
    with psycopg.connect(hub.database_url) as connection:
        large, small, began, count, ready, passages = connection.execute(_ENDS).fetchone() or ()
        stages = connection.execute(_STAGES).fetchall()
    took = float(max(large, small) - began)
    print(f"{count} documents, {passages} passages in {took:.0f} s: {count / took:.1f} documents each second")
    print("ms of a stage        mean   half  95 of 100")
    for name, mean, half, most in stages:
        print(f"  {name:<16} {mean:8.0f} {half:6} {most:10}")
    share = float(small - began) / took
    print(f"the last document of the {_CREATORS - 1} small creators was ready after {share:.0%} of the time")
    return [] if ready == count else [f"{count - ready} documents are not ready"]


def _compare_reading(what: str, chosen: list[Paper]) -> None:
    """Files a second: the sandbox, one as many as two workers read at a time, and bare readers; the fastest of some."""
    with tempfile.TemporaryDirectory(prefix="hub-pipeline-") as name:
        files = []
        for number, paper in enumerate(chosen):
            path = Path(name) / paper.name
            path.write_bytes(paper.content)
            files.append((path, paper.media_type, UUID(int=_creator_of(number, len(chosen)))))
        one = [(path, media_type, UUID(int=0)) for path, media_type, _ in files]
        load_readers()
        ways: dict[str, Callable[[], object]] = {
            _BARE: lambda: [read_sections(path, media_type) for path, media_type, _ in files],
            f"{_BARE}, and the language told": lambda: [
                read(path, media_type, _unheard) for path, media_type, _ in files
            ],
            "in the sandbox, one at a time": lambda: asyncio.run(_read_all(files, 1)),
            f"in the sandbox, {_TOGETHER} at a time": lambda: asyncio.run(_read_all(files, _TOGETHER)),
            f"in the sandbox, {_TOGETHER} at a time, all one creator's": lambda: asyncio.run(_read_all(one, _TOGETHER)),
            f"kreuzberg in a plain loop, which read {_kreuzberg(files)} of them": lambda: _kreuzberg(files),
        }
        rates = {way: len(files) / min(_seconds(read) for _ in range(_ROUNDS)) for way, read in ways.items()}
    bare = rates[_BARE]
    print(
        f"{len(files)} {what}, {sum(len(paper.content) for paper in chosen) / len(files) / 1000:.0f} KB each on average"
    )
    for way, rate in rates.items():
        print(f"  {way}: {rate:.0f} files a second, {1000 / rate:.1f} ms a file, {rate / bare:.2f} of the plain loop")


def _unheard(_said: dict[str, Any]) -> None:
    """What a reader says, to nobody."""


def _seconds(read: Callable[[], object]) -> float:
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


async def _read_all(files: list[tuple[Path, str, UUID]], together: int) -> None:
    turns = iter(files)
    limits = {
        "seconds": get_env_value("EXTRACTION_SECONDS", fallback=True),
        "memory_bytes": get_env_value("EXTRACTION_MEMORY_BYTES", fallback=True),
    }

    async def read_on() -> None:
        for path, media_type, owner in turns:
            await extract(path, media_type, owner=owner, **limits)

    await asyncio.gather(*(read_on() for _ in range(together)))


def _kreuzberg(files: list[tuple[Path, str, UUID]]) -> int:
    """Read what it reads; returns how many those are."""
    from kreuzberg import extract_file_sync

    done = 0
    for path, media_type, _ in files:
        with suppress(Exception):  # what it does not read
            done += bool(extract_file_sync(str(path), media_type).content.strip())
    return done


if __name__ == "__main__":
    main()
