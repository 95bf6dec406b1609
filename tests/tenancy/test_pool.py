"""Two creators share one connection, and a PgBouncer in transaction mode: nobody gets the other's creator or rows."""

import asyncio
import getpass
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from shared.embedded import places, users
from shared.tenancy import run
from shared.tenancy.policies import SETTING
from shared.tenancy.run import ThreadHop
from tests.tenancy.requests_of_two import Traffic
from tests.tenancy.test_fuzz import Fuzzer
from tests.tenancy.tools import connect, pool_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]


def expect_only_own_rows(traffic: Traffic) -> None:
    """Run the traffic and compare what was written with what is there."""

    async def main() -> tuple[set[str], set[str]]:
        await traffic.run()
        await asyncio.sleep(0.2)  # what was running when its client left
        return await traffic.names(traffic.alice), await traffic.names(traffic.mallory)

    alices, mallorys = asyncio.run(main())
    assert traffic.wrong == []
    assert traffic.killed >= 30
    assert len(traffic.written) >= 200
    assert all(name.startswith("alice") for name in alices)
    assert all(name.startswith("mallory") for name in mallorys)
    assert set(traffic.written) <= alices | mallorys
    assert (alices | mallorys) - set(traffic.written) <= set(traffic.cancelled)


@pytest.mark.parametrize("size", [1, 3])
def test_200_interleaved_requests_of_two_creators_on_a_small_pool(two, size):
    with pool_of(size):
        run.use_hop(ThreadHop(8, queue=300, patience=30))
        expect_only_own_rows(Traffic(two.alice, two.mallory))
        for _ in range(size + 1):
            with connection.pool.connection() as held:
                assert (held.execute(f"SELECT current_setting('{SETTING}', true)").fetchone()[0] or "") == ""


@dataclass(frozen=True)
class Bouncer:
    """A PgBouncer in transaction mode with two servers for everybody."""

    port: int


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _write_configuration(folder: Path, port: int) -> Path:
    told = connection.settings_dict
    (folder / "users").write_text(f'"{told["USER"]}" "{told["PASSWORD"]}"\n')
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"""[databases]
* = host={told["HOST"]} port={told["PORT"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = {folder}/pgbouncer.log
"""
    )
    return file


@pytest.fixture
def bouncer(two) -> Iterator[Bouncer]:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: isolation behind it was NOT tested (apt-get install pgbouncer)")
    user = users.system_user() if places.running_as_root() else None  # PgBouncer refuses root, too
    folder, port = places.temporary_folder(user), _free_port()
    _write_configuration(folder, port)
    for file in folder.iterdir():
        if user:
            user.own(file)
    as_user = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    process = subprocess.Popen([program, "-q", str(folder / "pgbouncer.ini")], cwd=folder, **as_user)
    try:
        _wait_for(port, process, folder)
        yield Bouncer(port)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen, folder: Path) -> None:
    for _ in range(100):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    log = folder / "pgbouncer.log"
    pytest.fail(f"PgBouncer did not start as {getpass.getuser()}: {log.read_text() if log.exists() else 'no log'}")


@pytest.mark.pgbouncer
def test_200_interleaved_requests_through_pgbouncer(two, bouncer):
    with pool_of(6, HOST="127.0.0.1", PORT=str(bouncer.port)):
        run.use_hop(ThreadHop(8, queue=300, patience=30))
        expect_only_own_rows(Traffic(two.alice, two.mallory))
        assert settings_of_the_servers(bouncer) == {""}


@pytest.mark.pgbouncer
def test_fuzzed_statements_through_pgbouncer(two, bouncer):
    creators = [two.alice.creator_id, two.mallory.creator_id]
    with pool_of(6, HOST="127.0.0.1", PORT=str(bouncer.port)):
        threads = [Fuzzer(seed, creators, 150) for seed in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert [thread.wrong for thread in threads if thread.wrong] == []
        assert sum(thread.checked for thread in threads) >= 1500
        assert settings_of_the_servers(bouncer) == {""}


@pytest.mark.pgbouncer
def test_it_really_is_transaction_mode_that_would_mix_up_sessions(two, bouncer):
    """The control: a session-level SET does reach strangers there, so the tests above would see one."""
    with connect(host="127.0.0.1", port=bouncer.port, autocommit=True, prepare_threshold=None) as careless:
        careless.execute(f"SET {SETTING} = '{two.alice.creator_id}'")
    assert str(two.alice.creator_id) in settings_of_the_servers(bouncer)


def settings_of_the_servers(bouncer: Bouncer) -> set[str]:
    """The creator that each of PgBouncer's servers would lend to the next client."""
    found: dict[int, str] = {}

    def ask() -> None:
        address = {"host": "127.0.0.1", "port": bouncer.port, "prepare_threshold": None}
        with connect(**address) as session, session.transaction():
            row = session.execute(
                f"SELECT pg_backend_pid(), current_setting('{SETTING}', true), pg_sleep(0.05)"
            ).fetchone()
            found[row[0]] = row[1] or ""

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) >= 1, psycopg.__version__
    return set(found.values())
