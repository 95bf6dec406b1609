"""Postgres and Redis of our own: real, private, and theirs again after a restart."""

import os
import signal
import stat
import subprocess
import sys

import psutil
import psycopg
import pytest
import redis

from shared.embedded import places
from shared.embedded.bootstrap import connect, with_role
from shared.embedded.postgres import Postgres, _works_in
from tests.embedded.waiting import eventually


def test_postgres_is_new_enough_and_has_pgvector(servers):
    with connect(servers.urls.app) as connection:
        version, vector = connection.execute(
            "SELECT current_setting('server_version_num')::int, extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()

    assert version >= 180000
    assert [int(part) for part in vector.split(".")] >= [0, 8, 4]


def test_letters_of_every_language_are_folded(servers):
    with connect(servers.urls.app) as connection:
        row = connection.execute("SELECT lower('ÄÉЖ'), to_tsvector('simple', 'ÜBER')::text").fetchone()

    assert row == ("äéж", "'über':1")


@pytest.mark.parametrize("password", ["", "guess", "hub_app"])
def test_another_user_of_the_machine_does_not_get_into_postgres(servers, password):
    for role in ("hub_app", "hub_owner", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            connect(with_role(servers.urls.app, role, password))


@pytest.mark.parametrize("password", [None, "guess"])
def test_another_user_of_the_machine_does_not_get_into_redis(servers, password):
    with (
        redis.Redis(host="127.0.0.1", port=servers.redis.port, password=password) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_servers_listen_on_the_loopback_address_alone(servers):
    for server in (servers.postgres, servers.redis):
        addresses = {
            connection.laddr.ip
            for connection in psutil.Process(server.child.process.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        }

        assert addresses == {"127.0.0.1"}


def test_servers_do_not_run_as_root(servers):
    for server in (servers.postgres, servers.redis):
        assert psutil.Process(server.child.process.pid).uids().real != 0


def test_no_password_can_be_read_in_the_list_of_processes(servers):
    for server in (servers.postgres, servers.redis):
        process = psutil.Process(server.child.process.pid)
        seen = " ".join([*process.cmdline(), *process.environ().values()])
        password = server.url().partition("@")[0].rpartition(":")[2]

        assert password not in seen


def test_no_file_of_the_servers_can_be_read_by_others(servers):
    folder = servers.postgres.folder

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.is_dir(), path


def test_data_port_and_password_survive_a_restart(servers):
    with connect(servers.urls.owner) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")

    servers.postgres.stop()
    servers.postgres.start()

    with connect(servers.urls.owner) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")


def test_postgres_comes_back_after_it_was_killed(servers):
    servers.postgres.child.process.send_signal(signal.SIGKILL)
    servers.postgres.child.process.wait()
    leftovers = [child for child in psutil.process_iter(["cwd"]) if child.info["cwd"] == str(servers.postgres.data)]
    psutil.wait_procs(leftovers, timeout=20)

    servers.postgres.start()

    with connect(servers.urls.app) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_number_that_now_belongs_to_another_process_does_not_keep_postgres_from_starting(servers):
    servers.postgres.stop()
    pid_file = servers.postgres.data / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{servers.postgres.data}\n")
    if servers.postgres.user:
        servers.postgres.user.own(pid_file)

    servers.postgres.start()

    assert servers.postgres.answers()
    assert not _works_in(os.getpid(), servers.postgres.data)


def test_a_postgres_that_an_earlier_launcher_left_behind_is_stopped_first(servers):
    left_over = servers.postgres.child.process.pid

    second = Postgres(servers.postgres.folder, servers.postgres.user, careless=True)
    second.start(servers.postgres.port)

    assert second.child.process.pid != left_over
    assert eventually(lambda: not servers.postgres.child.running)
    servers.postgres.child = second.child


def test_redis_forgets_and_starts_again_on_its_port(servers):
    with redis.Redis.from_url(servers.redis.url()) as client:
        client.set("a", "1")
    url = servers.redis.url()

    servers.redis.stop()
    assert not servers.redis.answers()
    servers.redis.start()

    assert servers.redis.url() == url
    with redis.Redis.from_url(url) as client:
        assert client.get("a") is None


def test_a_taken_port_is_given_up_for_a_free_one():
    taken = places.free_port(None)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import socket,time; s=socket.create_server(('127.0.0.1',{taken})); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        try:
            assert places.free_port(taken) != taken
        finally:
            holder.kill()
    assert places.free_port(taken) == taken


def test_a_failed_start_shows_the_end_of_the_log(tmp_path, servers):
    from shared.embedded.process import StartFailed

    broken = Postgres(servers.postgres.folder, servers.postgres.user)
    broken.data = servers.postgres.folder / "nothing"
    broken.data.mkdir()
    broken.log = servers.postgres.folder / "broken.log"

    with pytest.raises(StartFailed, match=r"Postgres ended with code 2(.|\n)*broken\.log"):
        broken.start()
