"""A process beside a hub that looks at creators' search indexes while they change, each time in one snapshot.

Runs with the hub's own role, under the policies. Reads an object of JSON a line, `Look`, and answers each with one,
`Looked`. `Looks` is the other end of it.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.sheets import Asked
from shared.config.env_constants import PROJECT_ROOT


@dataclass(frozen=True, slots=True)
class Look:
    """What to look at. `tidy`: have the creator's index tidied afterwards, unless somebody is at it."""

    creator: str
    questions: Sequence[Asked] = ()
    tidy: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What is wrong, and what was looked at: passages and, if vectors were looked up by them, cells."""

    wrong: list[str] = field(default_factory=list)
    passages: int = 0
    cells: bool = False
    tidied: bool = False


class Looks:
    """The process, for as long as the context lasts."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.exact_looks"]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=self.environment, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # which closes its input, and so ends it

    def look(self, look: Look) -> Looked:
        """Have it look. Raises `RuntimeError` when it has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asdict(look)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that looks at indexes has ended: {self.process.wait()}")
        return Looked(**json.loads(line))


def main() -> None:
    from benchmarks import early_cells  # noqa: F401  # sets Django up
    from benchmarks.exact_snapshots import look

    for line in sys.stdin:
        said = json.loads(line)
        questions = [Asked(**{**one, **_tuples(one)}) for one in said.pop("questions")]
        print(json.dumps(asdict(look(Look(**said, questions=questions)))), flush=True)


def _tuples(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) for name, value in asked.items() if isinstance(value, list)}


if __name__ == "__main__":
    main()
