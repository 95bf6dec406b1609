"""Keeps a handful of child processes going, and ends them in the reverse order."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from shared.embedded.process import Child, StartFailed, end_group

LOOK_SECONDS = 0.2
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# Who ran that long was well: the next death is a first one again.
WELL_SECONDS = 60.0


class Server(Protocol):
    """An embedded server: it starts again on the port that it had."""

    child: Child | None

    def start(self, port: int | None = None) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Part:
    """One watched program and what is known of its deaths."""

    name: str
    start: Callable[[], Child]
    stop: Callable[[], None]
    child: Child
    needs_servers: bool
    started: float = field(default_factory=time.monotonic)
    pause: float = FIRST_PAUSE
    restart_at: float | None = None


class Supervisor:
    """Starts, watches, starts again with growing pauses, stops. Single-threaded: see process.start."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._held = ExitStack()

    def hold(self, context: AbstractContextManager[object]) -> None:
        """Enter a context until everything has stopped."""
        self._held.enter_context(context)

    def serve(self, server: Server, port: int | None) -> None:
        """Start an embedded server and watch it."""
        self._held.callback(server.stop)  # known before it starts: a start may be cut short

        def start() -> Child:
            server.start(port)
            assert server.child is not None
            return server.child

        child = start()
        self._parts.append(Part(child.name, start, server.stop, child, needs_servers=False))

    def watch(self, name: str, start: Callable[[], Child], patience: float) -> None:
        """Start a program and watch it; at the end it gets `patience` seconds to finish."""
        part = Part(name, start, lambda: part.child.stop(patience), start(), needs_servers=True)
        self._parts.append(part)

    def keep_going(self, *, until: Callable[[], bool]) -> None:
        """Look after the parts until `until` says so, or an exception ends the waiting."""
        while not until():
            self.check()
            time.sleep(LOOK_SECONDS)

    def check(self, *, restart: bool = True) -> None:
        """One look at every part. Without `restart` a death is a StartFailed: at first start nothing is retried."""
        now = time.monotonic()
        for part in self._parts:
            if part.restart_at is None and not part.child.running:
                end_group(part.child.process.pid)
                if not restart:
                    raise StartFailed(f"{part.name} {part.child.describe_end()}; the reason stands above.")
                self._plan_restart(part, now)
            if part.restart_at is not None and now >= part.restart_at:
                self._restart(part)

    def stop(self) -> None:
        """End all parts: programs first and all at once, then the servers that they talk to."""
        for part in self._parts:
            if part.needs_servers:
                part.child.ask_to_stop()
        for part in reversed(self._parts):
            part.stop()
        self._held.close()

    def _plan_restart(self, part: Part, now: float) -> None:
        if now - part.started > WELL_SECONDS:
            part.pause = FIRST_PAUSE
        part.restart_at = now + part.pause
        print(f"{part.name} {part.child.describe_end()}; starting it again in {part.pause:.1f} s.", flush=True)
        part.pause = min(part.pause * 2, LONGEST_PAUSE)

    def _restart(self, part: Part) -> None:
        try:
            part.child = part.start()
        except (OSError, StartFailed) as error:
            print(f"{part.name} did not start: {error}", flush=True)
            part.restart_at = time.monotonic() + part.pause
            part.pause = min(part.pause * 2, LONGEST_PAUSE)
            return
        part.started = time.monotonic()
        part.restart_at = None
