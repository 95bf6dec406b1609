"""`make load`: a thousand creators under mixed load for a while, and what must hold all the time.

Reads, searches, uploads, changes, sockets and clients that leave, all for random creators over connections that they
share; attempts to get at another's rows among them. Ends with 1 when an answer was a 5xx or held a foreign row, when a
document was lost, or when memory, threads or connections go on growing after the warm-up.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

from benchmarks.bench import start
from benchmarks.gauges import Gauge, Gauges
from benchmarks.stage import Server, Stage, stage
from benchmarks.visitors import Findings, Visitors
from shared.config.env_constants import PROJECT_ROOT

_DRAIN_TRIES = 100


def main() -> None:
    """Load the hub, and say what came of it."""
    wanted = _arguments()
    with stage(creators=wanted.creators, documents=3) as ground:
        cores = tuple(range(os.cpu_count() or 1))
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)  # nothing is compared here
        web = start("hub", ground, cores=cores)
        try:
            with _worker(ground) as worker:
                failures = asyncio.run(_soak(wanted, ground, web, worker))
        finally:
            web.stop()
        failures += _logged_errors(ground)
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--creators", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=16, help="who ask at a time")
    parser.add_argument("--sockets", type=int, default=100)
    return parser.parse_args()


@contextlib.contextmanager
def _worker(ground: Stage) -> Iterator[psutil.Process]:
    command = [sys.executable, "manage.py", "worker"]
    with open(ground.folder / "worker.log", "wb") as log:
        worker = subprocess.Popen(command, cwd=PROJECT_ROOT, env=ground.environment, stdout=log, stderr=log)
    try:
        yield psutil.Process(worker.pid)
    finally:
        worker.terminate()
        worker.wait(30)


async def _soak(wanted: argparse.Namespace, ground: Stage, web: Server, worker: psutil.Process) -> list[str]:
    visitors = Visitors(web.address, ground.people)
    processes = {"web": psutil.Process(web.process.pid), "worker": worker}
    gauges = Gauges(processes, ground.owner_url, ground.environment["REDIS_URL"])
    reading = asyncio.create_task(gauges.keep_reading())
    progress = asyncio.create_task(_say_how_far(visitors.found, wanted.seconds))
    try:
        await visitors.run(seconds=wanted.seconds, requests=wanted.requests, sockets=wanted.sockets)
        if reading.done():
            reading.result()  # raises what ended it
        summary = gauges.summary()
        unfinished = await _drained(visitors)
    finally:
        reading.cancel()
        progress.cancel()
    found = visitors.found
    _print(found, summary, wanted.seconds)
    return _judge(visitors, summary, unfinished)


async def _say_how_far(found: Findings, seconds: int) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(min(30, seconds / 3))
        done = min(time.monotonic() - began, seconds)
        print(f"{done:.0f} of {seconds} s: {sum(found.asked.values())} requests", file=sys.stderr)


async def _drained(visitors: Visitors) -> int:
    """How many uploaded documents are not ready, when the worker has had time for them."""
    left = 0
    for _ in range(_DRAIN_TRIES):
        left = await visitors.unfinished()
        if not left:
            break
        await asyncio.sleep(2)
    return left


def _print(found: Findings, summary: list[Gauge], seconds: int) -> None:
    times = sorted(found.milliseconds)
    median, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    print(f"{sum(found.asked.values())} requests, {sum(found.asked.values()) / seconds:.0f} each second")
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(found.asked.items())))
    print("  " + ", ".join(f"{count} x {status}" for status, count in sorted(found.statuses.items())))
    print(f"  p50 {median:.1f} ms, p99 {p99:.1f} ms, most {times[-1]:.0f} ms")
    print(f"{found.rows_seen} answers with rows, {len(found.foreign)} with foreign ones; {len(found.events)} events")
    for gauge in summary:
        print(f"{gauge}")


def _judge(visitors: Visitors, summary: list[Gauge], unfinished: int) -> list[str]:
    found = visitors.found
    heard = [(number, json.loads(message).get("id")) for number, message in found.events]
    strange = [
        f"creator {number} heard of {document}"
        for number, document in heard
        if visitors.owner_of.get(document) != number
    ]
    failures = [*found.foreign[:10], *found.broken[:10], *strange[:10]]
    if not (found.rows_seen and found.events and found.uploads):
        failures.append("nothing was looked at: no rows, no events or no uploads")
    if unfinished:
        failures.append(f"{unfinished} of {found.uploads} documents are not ready")
    return failures + [str(gauge) for gauge in summary if gauge.grew]


def _logged_errors(ground: Stage) -> list[str]:
    """What a process has logged as an error; each is one."""
    lines = [line for log in ground.folder.glob("*.log") for line in log.read_text(errors="replace").splitlines()]
    return [line[:600] for line in lines if '"level":"error"' in line.replace(" ", "") or "Traceback" in line][:10]


if __name__ == "__main__":
    main()
