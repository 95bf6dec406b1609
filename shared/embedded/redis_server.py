"""A real redis-server on a loopback port, with a password. It keeps nothing on disk: nothing in it has to last."""

import functools
import secrets
import signal
from pathlib import Path

import redis

from shared.embedded import places, process
from shared.embedded.users import ServerUser

START_SECONDS = 20
STOP_SECONDS = 5


class Redis:
    """One server in one folder, with a new password at each first start of this object."""

    def __init__(self, folder: Path, user: ServerUser | None) -> None:
        self.folder = folder
        self.log = folder / "redis.log"
        self.user = user
        self.port: int | None = None
        self.child: process.Child | None = None
        self._password = secrets.token_hex(24)

    @functools.cached_property
    def _program(self) -> Path:
        return places.redis_program(self.user)

    def url(self, database: int = 0) -> str:
        """Where clients find it. Holds the password."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self, port: int | None = None) -> None:
        """Answer on the last port, or on `port`, or where something is free."""
        self.port = places.free_port(self.port or port)
        self.log.unlink(missing_ok=True)
        self.child = process.start(
            "Redis",
            [self._program, self._configuration()],
            user=self.user,
            log=self._own(self.log),
            stop_signal=signal.SIGTERM,
        )
        process.wait_until(self.answers, self.child, seconds=START_SECONDS, log=self.log)

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url(), socket_connect_timeout=2, socket_timeout=2)
        try:
            return bool(client.ping())
        except (redis.RedisError, OSError):
            return False
        finally:
            client.close()

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(STOP_SECONDS)
            self.child = None

    def _configuration(self) -> Path:
        # In a file, since everybody on the machine can read the arguments of a process.
        path = self.folder / "redis.conf"
        path.unlink(missing_ok=True)
        self._own(path).write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f'save ""\nappendonly no\ndaemonize no\ndir "{self.folder}"\n'
        )
        return path

    def _own(self, path: Path) -> Path:
        path.touch(mode=0o600)
        if self.user:
            self.user.own(path)
        return path
