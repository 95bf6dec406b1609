"""Where a test run gets its servers from."""

import subprocess
import sys

import pytest

from shared.config.env_constants import get_env_text
from shared.embedded import testing
from shared.embedded.bootstrap import connect, role_of


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing is given; what a test chooses is forgotten after it."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "")
    return monkeypatch


@pytest.fixture
def no_docker(monkeypatch):
    monkeypatch.setattr(testing, "_docker_engine", lambda: False)


def test_servers_that_are_given_are_used_as_they_are(environment):
    given = {
        "DATABASE_URL": "postgresql://hub_app:a@db.example/hub",
        "DATABASE_OWNER_URL": "postgresql://hub_owner:o@db.example/hub",
        "REDIS_URL": "redis://redis.example:6379/0",
    }
    for name, url in given.items():
        environment.setenv(name, url)

    testing.provide_servers()

    assert {name: get_env_text(name) for name in given} == given


def test_an_administrators_database_gets_the_roles(environment, servers):
    environment.setenv("DATABASE_URL", servers.postgres.url())
    environment.setenv("REDIS_URL", servers.redis.url())

    testing.provide_servers()

    for name, role in (("DATABASE_URL", "hub_app"), ("DATABASE_OWNER_URL", "hub_owner")):
        assert role_of(get_env_text(name)) == role
        connect(get_env_text(name)).close()


def test_hub_app_alone_cannot_make_a_test_database_and_the_run_says_so(environment):
    environment.setenv("DATABASE_URL", "postgresql://hub_app:secret@127.0.0.1/hub")
    environment.setenv("REDIS_URL", "redis://127.0.0.1")

    with pytest.raises(SystemExit, match="set DATABASE_OWNER_URL too") as refusal:
        testing.provide_servers()
    assert "secret" not in str(refusal.value)


def test_a_machine_with_nothing_gets_servers_that_end_with_the_run(gone):
    code = (
        "from shared.embedded import testing\n"
        "import os, psutil\n"
        "testing._docker_engine = lambda: False\n"
        "testing.provide_servers()\n"
        "import redis; redis.Redis.from_url(os.environ['REDIS_URL']).ping()\n"
        "from shared.embedded.bootstrap import connect; connect(os.environ['DATABASE_URL']).close()\n"
        "print(*(child.pid for child in psutil.Process().children()))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


class Container:
    """A container that starts, or does not."""

    def __init__(self, *arguments, **options):
        self.options = options

    def start(self):
        if self.fails:
            raise RuntimeError("no such image")

    def stop(self):
        pass

    def get_connection_url(self):
        return self.url

    def get_container_host_ip(self):
        return "127.0.0.1"

    def get_exposed_port(self, port):
        return 12345


@pytest.fixture
def docker(monkeypatch, servers):
    """A Docker engine, and containers whose server is ours."""
    pytest.importorskip("testcontainers.community.postgres")
    monkeypatch.setattr(testing, "_docker_engine", lambda: True)
    monkeypatch.setattr(testing, "_at_exit", lambda stop: None)
    monkeypatch.setattr("testcontainers.community.postgres.PostgresContainer", Container)
    monkeypatch.setattr("testcontainers.community.redis.RedisContainer", Container)
    monkeypatch.setattr(Container, "url", servers.postgres.url(), raising=False)
    monkeypatch.setattr(Container, "fails", False, raising=False)


def test_containers_are_used_where_an_engine_answers(docker):
    testing.provide_servers()

    assert role_of(get_env_text("DATABASE_URL")) == "hub_app"
    assert get_env_text("REDIS_URL").endswith("@127.0.0.1:12345/0")


def test_an_engine_without_the_images_is_done_without(docker, monkeypatch, capsys):
    monkeypatch.setattr(Container, "fails", True)
    monkeypatch.setattr(testing, "_embedded_database", lambda: testing.DatabaseUrls(app="postgresql://a", owner="o"))
    monkeypatch.setattr(testing, "_embedded_redis", lambda: "redis://embedded")

    testing.provide_servers()

    assert (get_env_text("DATABASE_URL"), get_env_text("REDIS_URL")) == ("postgresql://a", "redis://embedded")
    assert "Docker answers, but pgvector/pgvector:pg18 does not start (no such image)" in capsys.readouterr().err


@pytest.mark.docker
def test_real_containers_start(monkeypatch):
    if not testing._docker_engine():
        pytest.skip("no Docker engine answers")

    stops = []
    monkeypatch.setattr(testing, "_at_exit", stops.append)
    try:
        testing.provide_servers()
        connect(get_env_text("DATABASE_URL")).close()
    finally:
        for stop in stops:
            stop()
