"""Servers for a test run: those that the environment names, else containers, else our own in a temporary folder."""

import atexit
import contextlib
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from shared.config.env_constants import choose, get_env_value, is_set
from shared.embedded import places, users
from shared.embedded.bootstrap import APP, DatabaseUrls, bootstrap, role_of
from shared.embedded.postgres import Postgres
from shared.embedded.redis_server import Redis

POSTGRES_IMAGE = "pgvector/pgvector:pg18"
REDIS_IMAGE = "redis:8-alpine"
# An engine that takes longer to say that it is there would slow every start of the tests.
ENGINE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Servers:
    """A Postgres and a Redis of one's own: to be stopped, killed and started again at will."""

    postgres: Postgres
    redis: Redis
    urls: DatabaseUrls


def provide_servers() -> None:
    """Set DATABASE_URL (as hub_app), DATABASE_OWNER_URL and REDIS_URL for this process and its children.

    To be called before Django's settings are read, once for all xdist workers, from the main thread. What it starts
    ends with this process.
    """
    if is_set("DATABASE_URL") and is_set("REDIS_URL"):
        _use_database(_given_database())
        return
    engine = _docker_engine()
    if not is_set("DATABASE_URL"):
        _use_database((engine and _postgres_container()) or _embedded_database())
    else:
        _use_database(_given_database())
    if not is_set("REDIS_URL"):
        choose(REDIS_URL=(engine and _redis_container()) or _embedded_redis())


@contextlib.contextmanager
def temporary_servers(*, redis: bool = True, careless: bool = True) -> Iterator[Servers]:
    """Embedded servers with their roles, gone afterwards, data and all. For tests that break servers on purpose.

    A careless Postgres is fast, and forgets what it had said yes to when it is killed.
    """
    user = users.system_user() if places.running_as_root() else None
    folder = places.temporary_folder(user)
    servers = Postgres(folder, user, careless=careless), Redis(folder, user)
    try:
        servers[0].start()
        if redis:
            servers[1].start()
        yield Servers(*servers, urls=bootstrap(servers[0].url(), **_passwords()))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _use_database(urls: DatabaseUrls) -> None:
    choose(DATABASE_URL=urls.app, DATABASE_OWNER_URL=urls.owner)


def _given_database() -> DatabaseUrls:
    """What DATABASE_URL names: hub_app with an owner beside it as they are; an administrator makes the roles."""
    url = get_env_value("DATABASE_URL")
    if role_of(url) != APP:
        return bootstrap(url, **_passwords())
    if not is_set("DATABASE_OWNER_URL"):
        raise SystemExit(
            "DATABASE_URL is hub_app's, and the tests make a database of their own: set DATABASE_OWNER_URL too, "
            "or give an administrator's URL as DATABASE_URL."
        )
    return DatabaseUrls(app=url, owner=get_env_value("DATABASE_OWNER_URL"))


def _passwords() -> dict[str, str]:
    return {"owner_password": secrets.token_hex(16), "app_password": secrets.token_hex(16)}


def _embedded_database() -> DatabaseUrls:
    servers = _until_exit(temporary_servers(redis=False))
    return servers.urls


def _embedded_redis() -> str:
    user = users.system_user() if places.running_as_root() else None
    folder = places.temporary_folder(user)
    server = Redis(folder, user)
    _at_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
    _at_exit(server.stop)
    server.start()
    return server.url()


def _docker_engine() -> bool:
    try:
        import docker  # type: ignore[import-untyped]

        client = docker.from_env(timeout=ENGINE_SECONDS)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:  # no package, no socket, no permission, no answer: all mean that there is none
        return False


def _postgres_container() -> DatabaseUrls | None:
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(POSTGRES_IMAGE, username="postgres", password=secrets.token_hex(16), driver=None)
    if not _started(container, POSTGRES_IMAGE):
        return None
    return bootstrap(container.get_connection_url(), **_passwords())


def _redis_container() -> str | None:
    from testcontainers.community.redis import RedisContainer

    password = secrets.token_hex(16)
    container = RedisContainer(REDIS_IMAGE, password=password)
    if not _started(container, REDIS_IMAGE):
        return None
    return f"redis://:{password}@{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


def _started(container: Any, image: str) -> bool:
    try:
        container.start()
    except Exception as error:  # an engine without the image and without a way to fetch it
        print(f"Docker answers, but {image} does not start ({error}): using the embedded server.", file=sys.stderr)
        return False
    _at_exit(container.stop)
    return True


def _until_exit[T](context: contextlib.AbstractContextManager[T]) -> T:
    value = context.__enter__()
    _at_exit(lambda: context.__exit__(None, None, None))
    return value


def _at_exit(stop: Callable[[], object]) -> None:
    """Stop with this process, and also when it is asked to end, which by itself runs no exit handlers."""
    atexit.register(stop)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
