"""The tests of the kernel are themselves tested: each break is noticed by the tests that are named for it."""

import json
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection

from shared.config.env_constants import child_environment, get_env_value
from tests.tenancy.mutants import MUTANTS


def _in_own_database(name: str) -> str:
    return urlunsplit(urlsplit(get_env_value(name))._replace(path=f"/{_base()}"))


def _base() -> str:
    return f"{connection.settings_dict['NAME'].removeprefix('test_')}_mutants"


@pytest.fixture
def outcomes(db, tmp_path):
    """How each named test ended, by run: the control is the first."""
    environment = child_environment(
        DATABASE_URL=_in_own_database("DATABASE_URL"),
        DATABASE_OWNER_URL=_in_own_database("DATABASE_OWNER_URL"),
        PYTEST_XDIST_WORKER=None,
        PYTEST_ADDOPTS=None,
        COVERAGE_PROCESS_START=None,  # what a broken kernel covers counts for nothing
        COVERAGE_PROCESS_CONFIG=None,
    )
    command = [sys.executable, "-m", "tests.tenancy.mutant_runner", str(tmp_path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    finally:
        maintenance = urlunsplit(urlsplit(get_env_value("DATABASE_OWNER_URL"))._replace(path="/postgres"))
        with psycopg.connect(maintenance, autocommit=True) as owner:
            owner.execute(f'DROP DATABASE IF EXISTS "test_{_base()}" WITH (FORCE)')
    read = {}
    for number, name in enumerate(["control", *MUTANTS]):
        file = tmp_path / f"{number}.json"
        assert file.exists(), f"{name} did not run:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        read[name] = json.loads(file.read_text())
    return read


@pytest.mark.mutant
def test_the_control_passes_and_every_mutant_is_noticed_by_each_test_named_for_it(outcomes):
    control = outcomes.pop("control")
    named = {name for mutant in MUTANTS.values() for name in mutant.noticed_by}
    assert {name: control.get(name, "not run") for name in named} == dict.fromkeys(named, "passed")

    missed = [
        f"{mutant}: {name} {outcomes[mutant].get(name, 'was not run')}"
        for mutant, broken in MUTANTS.items()
        for name in broken.noticed_by
        if outcomes[mutant].get(name) != "failed"
    ]
    assert missed == []
