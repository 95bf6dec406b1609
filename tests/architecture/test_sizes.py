"""A file over 400 lines or a function over 40 wants splitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.house import ROOT, SERVING, broken, sources, tree

FILE_LINES, FUNCTION_LINES = 400, 40


def long_file(path: Path) -> Iterator[str]:
    lines = len((ROOT / path).read_text().splitlines())
    if lines > FILE_LINES:
        yield f"{lines} lines"


def long_function(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def test_no_file_is_too_long():
    assert broken(long_file, sources(*SERVING, "benchmarks", "tests")) == []


def test_no_function_is_too_long():
    assert broken(long_function, sources(*SERVING)) == []


def test_templates_and_styles_are_short_as_well():
    files = [
        path.relative_to(ROOT)
        for folder in ("templates", "shared/static/hub")
        for kind in ("*.html", "*.css", "*.js")
        for path in (ROOT / folder).rglob(kind)
    ]
    assert broken(long_file, files) == []
