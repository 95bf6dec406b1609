"""The parts of a running hub, and the order in which they start."""

import socket
import sys
import time
from pathlib import Path

from shared.config.env_constants import (
    PROJECT_ROOT,
    child_environment,
    choose,
    get_env_value,
    hub_environment,
    is_set,
)
from shared.embedded import keep, places, process
from shared.embedded.bootstrap import APP, BootstrapRefused, DatabaseUrls, bootstrap, role_of
from shared.embedded.postgres import Postgres
from shared.embedded.probe import is_ready
from shared.embedded.redis_server import Redis
from shared.embedded.supervisor import Supervisor
from shared.embedded.users import server_user
from shared.embedded.web import empty_folder, web_command

# Long, since a start that fails says so by itself; this is for one that hangs.
READY_SECONDS = 180
WEB_STOP_SECONDS = 10
WORKER_STOP_SECONDS = 10
# A web server that was just killed may hold its port while it answers its last requests.
UNCLEAN_PORT_SECONDS = 15


class PortTaken(RuntimeError):
    """Another program listens where the hub should."""


class Hub:
    """One checkout's hub: its servers, its database, its web server and its worker."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.secrets = keep.load_secrets(folder)
        self._choose_what_is_open()
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self.urls: DatabaseUrls | None = None

    def _choose_what_is_open(self) -> None:
        """Give this checkout's own values to variables that nobody set."""
        own = {
            "SECRET_KEY": self.secrets.secret_key,
            "JWT_PRIVATE_KEY": self.secrets.jwt_private_key,
            "DATA_DIR": str(self.folder / "data"),
        }
        choose(**{name: value for name, value in own.items() if not is_set(name)})

    def start_servers(self, supervisor: Supervisor) -> None:
        """Start what nobody gave us: Postgres unless DATABASE_URL is set, Redis unless REDIS_URL is."""
        if is_set("DATABASE_URL") and is_set("REDIS_URL"):
            return
        folder = places.servers_folder(self.folder)
        supervisor.hold(places.Lock(folder / "lock"))  # a copied checkout may remember the same place
        user = server_user(folder)
        ports = keep.load_ports(self.folder)
        if not is_set("REDIS_URL"):
            self.redis = Redis(folder, user)
            supervisor.serve(self.redis, ports.redis)
        if not is_set("DATABASE_URL"):
            self.postgres = Postgres(folder, user)
            supervisor.serve(self.postgres, ports.postgres)
        keep.save_ports(
            self.folder,
            keep.Ports(
                postgres=self.postgres.port if self.postgres else ports.postgres,
                redis=self.redis.port if self.redis else ports.redis,
            ),
        )

    def prepare_database(self) -> None:
        """Roles, then migrations as their owner."""
        self.urls = self._database_urls()
        self._manage("migrate", "--no-input", "--verbosity=0", DATABASE_OWNER_URL=self.urls.owner)
        if hub_environment() == "production":  # elsewhere static files are served from where they lie
            self._manage("collectstatic", "--no-input", "--verbosity=0")

    def _manage(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        child = process.start(arguments[0], command, environment=self._environment(**environment), folder=PROJECT_ROOT)
        try:
            code = child.process.wait()
        finally:
            child.stop(patience=5)
        if code != 0:
            raise process.StartFailed(f"manage.py {arguments[0]} failed; the reason stands above.")

    def start_parts(self, supervisor: Supervisor) -> None:
        """Start web and worker as hub_app, and return when the hub says that it is ready."""
        supervisor.watch("web", self._start_web, WEB_STOP_SECONDS)
        supervisor.watch("worker", self._start_worker, WORKER_STOP_SECONDS)
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready(self.port):
            if time.monotonic() > deadline:
                raise process.StartFailed(f"/health/ready did not say so within {READY_SECONDS} s.")
            supervisor.check(restart=False)
            time.sleep(0.1)

    def _database_urls(self) -> DatabaseUrls:
        if self.postgres is not None:
            return self._bootstrap(self.postgres.url())
        given = get_env_value("DATABASE_URL")
        if role_of(given) != APP:
            return self._bootstrap(given)
        if not is_set("DATABASE_OWNER_URL"):
            raise BootstrapRefused(
                "DATABASE_URL is hub_app's, which may not migrate: set DATABASE_OWNER_URL too, or give the URL of "
                "a role that may make roles as DATABASE_URL."
            )
        return DatabaseUrls(app=given, owner=get_env_value("DATABASE_OWNER_URL"))

    def _bootstrap(self, admin_url: str) -> DatabaseUrls:
        return bootstrap(admin_url, owner_password=self.secrets.owner_password, app_password=self.secrets.app_password)

    def _start_web(self) -> process.Child:
        counts = empty_folder(self.folder / "metrics")
        environment = self._environment(PROMETHEUS_MULTIPROC_DIR=str(counts))
        return process.start("web", web_command("127.0.0.1"), environment=environment, folder=PROJECT_ROOT)

    def _start_worker(self) -> process.Child:
        command = [sys.executable, "manage.py", "worker"]
        return process.start("worker", command, environment=self._environment(), folder=PROJECT_ROOT)

    def _environment(self, **more: str) -> dict[str, str]:
        """What a part may know. The owner's and the administrator's credentials are not for web and worker."""
        assert self.urls is not None
        hidden = dict.fromkeys(("DATABASE_OWNER_URL", "DATABASE_ADMIN_URL"))
        chosen = {"DATABASE_URL": self.urls.app, "PYTHONUNBUFFERED": "1"}
        if self.redis is not None:
            chosen["REDIS_URL"] = self.redis.url()
        return child_environment(**(hidden | chosen | more))


def wait_for_port(port: int, *, unclean: bool) -> None:
    """Return when `port` is ours to take; PortTaken when it is another's. After a crash we give ourselves time."""
    deadline = time.monotonic() + (UNCLEAN_PORT_SECONDS if unclean else 0)
    while not _is_free(port):
        if time.monotonic() >= deadline:
            raise PortTaken(
                f"Port {port} is taken by another program. Choose another one: make run PORT={_next_free(port)}"
            )
        time.sleep(0.2)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise PortTaken(f"Port {port} may not be used: numbers below 1024 are root's.") from error
        except OSError:
            return False
        return True


def _next_free(port: int) -> int:
    return next(candidate for candidate in range(port + 1, 65536) if _is_free(candidate))
