import ast
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = Path("shared/config/env_constants.py")

# Who may touch the environment besides the registry, and why.
ALLOWED: dict[Path, str] = {
    REGISTRY: "the registry itself",
    Path("tests/servers.py"): "chooses the servers before anything else is imported",
    Path("tests/architecture/test_environment.py"): "names what it looks for",
}
FOLDERS = ("apps", "benchmarks", "bin", "config", "shared", "tests")
FORBIDDEN = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def python_files() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in [*found, *ROOT.glob("*.py")])


def readings(source: str) -> list[int]:
    """Lines that reach for the environment through `os`, under whatever name it was imported."""
    tree = ast.parse(source)
    modules = {"os", "posix"}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.asname for name in node.names if name.name in {"os", "posix"} and name.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "posix"}:
            lines += [node.lineno for name in node.names if name.name in FORBIDDEN]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN:
            value = node.value
            if isinstance(value, ast.Name) and value.id in modules:
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            words = {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
            lines += [node.lineno] if words & FORBIDDEN else []
        elif isinstance(node, ast.ImportFrom) and node.module in {"environ", "decouple", "dotenv"}:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", python_files(), ids=str)
def test_only_the_registry_reads_the_environment(path):
    if path in ALLOWED:
        return

    assert readings((ROOT / path).read_text()) == [], "use get_env_value or child_environment"


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['X']",
        "import os\nos.getenv('X')",
        "import os as system\nsystem.environ.get('X')",
        "from os import environ",
        "from os import getenv as read",
        "import os\ngetattr(os, 'environ')",
        "from dotenv import load_dotenv",
    ],
)
def test_the_search_finds_each_way_of_reading(source):
    assert readings(source)


def test_the_search_passes_what_is_harmless():
    assert readings("import os\nos.cpu_count()\nrequest.environ\nmonkeypatch.setenv('X', 'y')") == []


def test_the_allow_list_names_files_that_exist():
    assert [path for path in ALLOWED if not (ROOT / path).is_file()] == []
    assert os.sep == "/"
