"""`make bench`: the hub and four other ways to write the same API, in the same rounds, on the same rows.

Every server is one process on one core; wrk, Postgres and Redis share the other, for all alike. Before each round all
answers are compared byte by byte. Rounds alternate, so a machine that slows down slows all of them down; the figures
are medians over the rounds. Prints a table, writes `benchmarks/results/latest.json`, the plot and the table in
`docs/performance.md`.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import report
from benchmarks.stage import LOAD_CORE, SERVER_CORE, CannotMeasure, Person, Server, Stage, free_port, machine, stage
from shared.embedded.web import web_command

OPERATIONS = ("live", "me", "list", "detail", "write")
CREATORS, DOCUMENTS = 20, 50
CONNECTIONS = 16
WARM_UP_SECONDS = 1
LUA = Path(__file__).with_name("wrk.lua")


type Command = Callable[[str, int], list[str]]


def _hub(port: str, workers: int) -> list[str]:
    return web_command("127.0.0.1", port=int(port), workers=workers)


def _django(port: str, workers: int) -> list[str]:
    fixed = ["-m", "granian", "--interface", "asginl", "--loop", "uvloop", "--host", "127.0.0.1"]
    fixed += ["--log-level", "warning"]
    application = "benchmarks.peers.django_app:application"
    return [sys.executable, *fixed, "--workers", str(workers), "--port", port, application]


def _uvicorn(application: str) -> Command:
    fixed = ["-m", "uvicorn", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    fixed += ["--log-level", "warning"]
    return lambda port, workers: [sys.executable, *fixed, "--workers", str(workers), "--port", port, application]


def _bolt(port: str, workers: int) -> list[str]:
    fixed = ["-m", "django", "runbolt", "--host", "127.0.0.1", "--workers", "1", "--no-admin"]
    return [sys.executable, *fixed, "--processes", str(workers), "--port", port]


# Each peer under the server that was faster for it: see the modules' own words.
COMMANDS: dict[str, Command] = {
    "hub": _hub,
    "django": _django,
    "fastapi": _uvicorn("benchmarks.peers.fastapi_app:app"),
    "bolt": _bolt,
    "raw": _uvicorn("benchmarks.peers.raw_app:application"),
}
_SETTINGS = {
    "bolt": {"DJANGO_SETTINGS_MODULE": "benchmarks.peers.bolt_settings", "DJANGO_BOLT_EXECUTOR_THREADS": "8"},
}


def main() -> None:
    """Measure, and say what came of it."""
    wanted = _arguments()
    if shutil.which("wrk") is None and not wanted.compare:
        raise CannotMeasure("make bench needs wrk: apt install wrk, or brew install wrk.")
    with stage(creators=CREATORS, documents=DOCUMENTS) as ground, _running(ground, wanted.servers) as servers:
        if wanted.compare:
            compare_answers(servers, ground.people)
            print(f"{', '.join(servers)}: byte for byte the same.")
            return
        people = ground.folder / "people"
        people.write_text("".join(f"{person.token} {person.document_id}\n" for person in ground.people))
        figures = _measure(servers, ground, people, wanted)
        figures["two_workers"] = {"cpu_per_request_ratio": _two_workers(ground, people, wanted.seconds)}
    report.write(figures, machine(), rounds=wanted.rounds, seconds=wanted.seconds, connections=CONNECTIONS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load for each server and operation in a round")
    parser.add_argument("--servers", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--compare", action="store_true", help="compare the answers only, and measure nothing")
    return parser.parse_args()


@contextmanager
def _running(ground: Stage, names: list[str]) -> Iterator[dict[str, Server]]:
    servers: dict[str, Server] = {}
    try:
        for name in names:
            servers[name] = start(name, ground)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def start(name: str, ground: Stage, *, workers: int = 1, cores: tuple[int, ...] = (SERVER_CORE,)) -> Server:
    """One of `COMMANDS`, listening."""
    port = str(free_port())
    counts = ground.folder / f"metrics-{port}"
    counts.mkdir()
    environment = {
        **ground.environment,
        "PORT": port,
        "WEB_WORKERS": str(workers),
        "PROMETHEUS_MULTIPROC_DIR": str(counts),
        **_SETTINGS.get(name, {}),
    }
    command = COMMANDS[name](port, workers)
    return Server(name, command, environment, ground.folder / f"{name}-{port}.log", cores=cores)


def _measure(
    servers: dict[str, Server], ground: Stage, people: Path, wanted: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    rounds: dict[str, dict[str, list[dict[str, float]]]] = {
        operation: {name: [] for name in servers} for operation in wanted.operations
    }
    for number in range(wanted.rounds):
        compare_answers(servers, ground.people)
        order = list(servers.values())
        order = order[number % len(order) :] + order[: number % len(order)]
        for operation in wanted.operations:
            for server in order:
                load(server, operation, people, WARM_UP_SECONDS)
                rounds[operation][server.name].append(load(server, operation, people, wanted.seconds))
        print(f"round {number + 1} of {wanted.rounds}", file=sys.stderr)
    return {
        operation: {name: _medians(results) for name, results in by_server.items()}
        for operation, by_server in rounds.items()
    }


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {figure: round(statistics.median(one[figure] for one in results), 2) for figure in results[0]}


def load(
    server: Server, operation: str, people: Path, seconds: int, *, connections: int = CONNECTIONS
) -> dict[str, float]:
    """Requests per second, latencies, and the server's CPU time for a request, of one run of wrk.

    Raises `CannotMeasure` when a single answer was not a 200.
    """
    before = server.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(LUA), server.address],
        env={"OPERATION": operation, "PEOPLE": str(people), "PATH": "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    used = server.cpu_seconds() - before
    match = re.search(r"^RESULT (\{.*\})$", done.stdout, re.M)
    if match is None:
        raise CannotMeasure(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    result: dict[str, float] = json.loads(match[1])
    if result.pop("errors"):
        raise CannotMeasure(f"{server.name} answered {operation} with errors:\n{server.log.read_text()[-2000:]}")
    return {**result, "cpu_us": used / max(result.pop("requests"), 1) * 1e6}


def compare_answers(servers: dict[str, Server], people: list[Person]) -> None:
    """Ask every server for the same, for several creators. Raises `CannotMeasure` where one byte differs."""
    for person in people[:3]:
        for operation in OPERATIONS:
            answers = {name: _answer(server, operation, person) for name, server in servers.items()}
            first, *others = answers.items()
            for name, body in others:
                if body != first[1]:
                    raise CannotMeasure(f"{name} answers {operation} otherwise:\n{body[:600]!r}\n{first[1][:600]!r}")


def _answer(server: Server, operation: str, person: Person) -> bytes:
    paths = {"live": "/health/live", "me": "/api/v1/auth/me", "list": "/api/v1/documents"}
    url = server.address + paths.get(operation, f"/api/v1/documents/{person.document_id}")
    if operation == "write":
        answer = httpx.patch(url, headers=person.headers, json={"tags": ["compared"]}, timeout=20)
    else:
        answer = httpx.get(url, headers=person.headers, timeout=20)
    if answer.status_code != 200:
        raise CannotMeasure(f"{server.name} answers {operation} with {answer.status_code}: {answer.text[:500]}")
    # When a row was written is for each server to say.
    return re.sub(rb'"updated_at":"[^"]+"', b"", answer.content) if operation == "write" else answer.content


def _two_workers(ground: Stage, people: Path, seconds: int) -> float:
    """The hub's CPU time for a list with two worker processes, over that with one: the median of pairs taken in turn.

    Two have twice the connections, and both cores, where the load is too.
    """
    one = start("hub", ground, cores=(SERVER_CORE, LOAD_CORE))
    two = start("hub", ground, workers=2, cores=(SERVER_CORE, LOAD_CORE))
    try:
        ratios = []
        for _ in range(9):
            used = []
            for server, connections in ((one, CONNECTIONS), (two, 2 * CONNECTIONS)):
                load(server, "list", people, WARM_UP_SECONDS, connections=connections)
                used.append(load(server, "list", people, seconds, connections=connections)["cpu_us"])
            ratios.append(used[1] / used[0])
        return round(statistics.median(ratios), 3)
    finally:
        one.stop()
        two.stop()


if __name__ == "__main__":
    main()
