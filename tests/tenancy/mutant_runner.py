"""Runs the control and every mutant, in one child of the tests: everything is imported once, then forked for each.

`python -m tests.tenancy.mutant_runner FOLDER` leaves one JSON file for each run in FOLDER.
"""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.tenancy.backend.base import Creation
from tests.tenancy.mutants import MUTANTS, path_of

QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:xdist"]


def main(folder: Path) -> None:
    """The control first: it makes the database that the others use."""
    everything = sorted({name for mutant in MUTANTS.values() for name in mutant.noticed_by})
    files = sorted({path_of(name).partition("::")[0] for name in everything})
    plugin = ["-p", "tests.tenancy.mutants", "--outcomes", str(folder / "preload.json")]
    pytest.main([*QUIET, "--collect-only", "-qq", *plugin, *files])
    _run(folder, 0, "", everything, ["--create-db"])
    for number, (name, mutant) in enumerate(MUTANTS.items(), start=1):
        _run(folder, number, name, list(mutant.noticed_by), [])


def _run(folder: Path, number: int, mutant: str, names: list[str], options: list[str]) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    code = 70
    if mutant:
        Creation.create_test_db = _use_what_is_there  # type: ignore[method-assign]
    try:
        told = ["-p", "tests.tenancy.mutants", "--mutant", mutant, "--outcomes", str(folder / f"{number}.json")]
        code = pytest.main([*QUIET, "--reuse-db", *options, *told, *map(path_of, names)])
    finally:
        os._exit(code)


def _use_what_is_there(creation: Creation, *args: Any, **kwargs: Any) -> str:
    """The control's database, without looking for migrations each time."""
    name = creation._get_test_db_name()
    creation.connection.close()
    creation.connection.settings_dict["NAME"] = name
    return name


if __name__ == "__main__":
    main(Path(sys.argv[1]))
