"""`make run`: the whole hub in the foreground, and nothing left behind when it ends.

Starts Postgres and Redis unless DATABASE_URL and REDIS_URL name others, makes the roles, migrates as the owner, then
starts web and worker as hub_app and starts again whatever dies. `.hub/` holds the secrets, the logs of the servers
and, in most cases, the data (see places.py).
"""

import argparse
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from shared.config.env_constants import get_env_value, is_set
from shared.embedded import places
from shared.embedded.bootstrap import BootstrapRefused
from shared.embedded.hub import Hub, PortTaken, wait_for_port
from shared.embedded.leash import die_with_parent
from shared.embedded.process import StartFailed
from shared.embedded.supervisor import Supervisor
from shared.embedded.users import NoServerUser

REFUSALS = (BootstrapRefused, NoServerUser, PermissionError, PortTaken, StartFailed, ModuleNotFoundError, psycopg.Error)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked us to stop."""


def main() -> int:
    options = _options()
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    if options.stop_with_parent:
        die_with_parent(signal.SIGTERM, os.getppid())
    started = time.monotonic()
    hub_folder = places.hub_folder()
    port = get_env_value("PORT", fallback=True)
    with ExitStack() as stack:
        lock = stack.enter_context(places.Lock(hub_folder / "lock"))
        wait_for_port(port, unclean=(hub_folder / "running").exists())
        lock.write(f"http://localhost:{port} (process {os.getpid()})")
        mark = _mark_running(hub_folder)
        hub = Hub(hub_folder, port)
        supervisor = Supervisor()
        stack.callback(mark.unlink, missing_ok=True)
        stack.callback(supervisor.stop)
        stack.callback(_stop_listening)
        try:
            hub.start_servers(supervisor)
            hub.prepare_database()
            hub.start_parts(supervisor)
            _say_ready(port, hub_folder, time.monotonic() - started)
            supervisor.keep_going(until=lambda: bool(_asked_to_stop))
            _say("Stopping ...")
        except Stopped:
            _say("Stopping ...")
    _say("Stopped.")
    return 0


def _stop_listening() -> None:
    """A second Ctrl-C must not cut the stopping short: Postgres would have to recover."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _say_ready(port: int, hub_folder: Path, seconds: float) -> None:
    kept = "DATABASE_URL's server" if is_set("DATABASE_URL") else places.servers_folder(hub_folder)
    _say(
        f"\n  The hub is ready: http://localhost:{port}    ({seconds:.1f} s)\n"
        f"  API: http://localhost:{port}/api/v1/docs    Try it: make demo{'' if port == 8000 else f' PORT={port}'}\n"
        f"  Data: {kept}    Ctrl-C stops everything.\n"
    )


def _mark_running(hub_folder: Path) -> Path:
    mark = hub_folder / "running"
    mark.write_text(f"{os.getpid()}\n")
    return mark


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # whoever read us is gone; the hub goes on
        return


# The signals that came. No `threading.Event`: a second signal during its `set` would wait for the first for ever.
_asked_to_stop: list[int] = []


def _stop(number: int, frame: object) -> None:
    # Both: raising cuts a long wait short, but Python swallows what is raised inside a finalizer.
    _asked_to_stop.append(number)
    raise Stopped


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description="Run the whole hub in the foreground.")
    parser.add_argument("--stop-with-parent", action="store_true", help="end when the starting program is gone")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped:
        sys.exit(130)
    except places.Busy as busy:
        sys.exit(
            f"The hub of this checkout runs already: {str(busy) or 'it is just starting'}. Stop it there with Ctrl-C."
        )
    except REFUSALS as error:
        sys.exit(f"The hub did not start. {error}")
