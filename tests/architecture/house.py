"""The source of the hub, read as syntax trees: what the tests of its architecture look at."""

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "knowledge", "hub")
# Where requests enter an app.
DOORS = ("api", "golden_api", "models_api", "pages", "consumers", "tasks", "admin", "urls", "forms")
SERVING = ("apps", "shared", "config")


@cache
def sources(*folders: str) -> tuple[Path, ...]:
    """Python files below some folders, without migrations, as paths from the root."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(path.relative_to(ROOT) for path in found if "migrations" not in path.parts))


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse((ROOT / path).read_text())


def broken(rule: Callable[[Path], Iterable[str]], paths: Iterable[Path], *, allowed: Iterable[str] = ()) -> list[str]:
    """Where a rule is broken: `path: what`. Files with a reason of their own are left out."""
    exempt = set(allowed)
    unknown = exempt - {str(path) for path in sources(*SERVING)}
    assert not unknown, f"exempt, but gone: {unknown}"
    return [f"{path}: {what}" for path in paths if str(path) not in exempt for what in rule(path)]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, inside functions too: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the last part of the name that is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield node.func.id, node


def app_of(path: Path) -> str:
    """The app that a file belongs to."""
    return path.parts[1]


def layer_of(path: Path) -> str:
    """The layer of an app's file: the name of its module or package, such as `api` or `services`."""
    return path.parts[2].removesuffix(".py")


def layer(*names: str) -> list[Path]:
    """The files of some layers, of all apps."""
    return [path for path in sources("apps") if len(path.parts) > 2 and layer_of(path) in names]
