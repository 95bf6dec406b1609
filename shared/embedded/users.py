"""Which user the servers run as. Postgres refuses root, and Redis should not be root either."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "creator-hub"


class NoServerUser(RuntimeError):
    """Root cannot run Postgres, and no other user could be made for it."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user that root starts servers as. Where we are not root there is none: servers run as we do."""

    uid: int
    gid: int

    def may(self, option: str, path: Path) -> bool:
        """Whether this user passes `test OPTION PATH`: asked, since mode bits do not tell all (ACLs, mounts)."""
        program = shutil.which("test") or "/usr/bin/test"
        answer = subprocess.run(
            [program, option, str(path)], user=self.uid, group=self.gid, extra_groups=[], cwd="/", check=False
        )
        return answer.returncode == 0

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def server_user(data: Path) -> ServerUser | None:
    """Who runs the servers whose data are in `data`: whoever owns them, else our own system user."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        found = data.stat()
        return ServerUser(found.st_uid, found.st_gid)
    return system_user()


def system_user() -> ServerUser:
    """The system user `creator-hub`, made on first need. It has no home, no shell and no password."""
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        _make_user()
        entry = pwd.getpwnam(NAME)
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _make_user() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", NAME], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if any(entry.pw_name == NAME for entry in pwd.getpwall()):
            return  # another checkout was faster
        raise NoServerUser(
            "Postgres does not run as root, and the system user creator-hub could not be made (useradd). "
            "Start the hub as an ordinary user, or set DATABASE_URL and REDIS_URL."
        ) from error
