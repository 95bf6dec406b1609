"""A real Postgres 18 with pgvector, from a wheel, on a loopback port, with passwords."""

import contextlib
import functools
import locale
import os
import secrets
import shutil
import signal
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from shared.config.env_constants import bare_environment
from shared.embedded import places, process
from shared.embedded.users import ServerUser

SUPERUSER = "postgres"
START_SECONDS = 60
STOP_SECONDS = 20

# Data of a test run are thrown away, so nothing waits for the disk.
CARELESS = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class Postgres:
    """One cluster in one folder. `start` makes it on first need; `stop` and `start` again keep data and port.

    Only who knows a password gets in: the superuser's is next to the data, readable for their owner alone.
    A second process on the same folder is the caller's to prevent (`places.Lock`).
    """

    def __init__(self, folder: Path, user: ServerUser | None, *, careless: bool = False) -> None:
        self.folder = folder
        self.data = folder / "postgres"
        self.log = folder / "postgres.log"
        self.user = user
        self.port: int | None = None
        self.child: process.Child | None = None
        self._password_file = folder / "postgres.password"
        self._options = CARELESS if careless else ()

    @functools.cached_property
    def _programs(self) -> Path:
        return places.postgres_programs(self.user)

    def url(self, database: str = "postgres") -> str:
        """Where the superuser finds a database. Holds the password."""
        password = quote(self._password_file.read_text().strip())
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self, port: int | None = None) -> None:
        """Answer on the last port, or on `port`, or where something is free.

        What a killed launcher left running on the same data is stopped first.
        """
        self._end_left_over()
        if not self.data.exists():
            self._make_cluster()
        self.port = places.free_port(self.port or port)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            # Sockets in a deep folder would be too long for their 107 characters, and a port needs none.
            "unix_socket_directories": "",
            "max_connections": 200,
            "cluster_name": "creator-hub",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = process.start(
            "Postgres",
            [self._programs / "postgres", "-D", self.data, *options, *self._options],
            user=self.user,
            environment=bare_environment(),
            log=_opened_for(self.log, self.user),
            stop_signal=signal.SIGINT,  # "fast": clients are disconnected, data are written
        )
        process.wait_until(self.answers, self.child, seconds=START_SECONDS, log=self.log)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(STOP_SECONDS)
            self.child = None

    def _make_cluster(self) -> None:
        """Make the data folder whole or not at all: a half-made one would look like data."""
        half = self.folder / "postgres.half"
        shutil.rmtree(half, ignore_errors=True)
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(32))
        if self.user:
            self.user.own(self._password_file)
        command = [
            str(self._programs / "initdb"),
            f"--pgdata={half}",
            f"--username={SUPERUSER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            f"--locale={_locale()}",
            # Sorts and folds case alike on every machine, whatever its C library says.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        if "fsync=off" in self._options:
            command.append("--no-sync")
        done = process.run_once(command, self.user)
        if done.returncode != 0:
            raise process.StartFailed(f"initdb failed:\n{done.stdout}{done.stderr}")
        half.rename(self.data)

    def _end_left_over(self) -> None:
        """Postgres removes a stale postmaster.pid itself, unless that number is now some other process of ours."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if _works_in(pid, self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + STOP_SECONDS
            while _works_in(pid, self.data):
                if time.monotonic() > deadline:
                    raise process.StartFailed(f"A Postgres of an earlier start does not end: process {pid}.")
                time.sleep(0.05)
        pid_file.unlink(missing_ok=True)


def _works_in(pid: int, folder: Path) -> bool:
    """Whether a process lives in this folder, as a postmaster does in its data."""
    try:
        candidate = psutil.Process(pid)
        return candidate.status() != psutil.STATUS_ZOMBIE and Path(candidate.cwd()) == folder.resolve()
    except (psutil.Error, OSError, ValueError):
        return False


def _locale() -> str:
    """What the text search parser takes for letters. With plain C, only ASCII would be lower-cased."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "en_US.UTF-8"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _opened_for(log: Path, user: ServerUser | None, keep_bytes: int = 5_000_000) -> Path:
    """An existing log file that its server owns. One that has grown long begins anew."""
    if log.exists() and log.stat().st_size > keep_bytes:
        log.replace(log.with_suffix(".log.old"))
    log.touch(mode=0o600)
    if user:
        user.own(log)
    return log
