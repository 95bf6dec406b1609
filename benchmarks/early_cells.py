"""The hub as it is, but that vectors are sorted into cells when there are few, and anew at every tidying.

`benchmarks.early_cells:application` is its web process, `python -m benchmarks.early_cells worker` its worker. The
budget of a search is larger than all cells together, so its answers stay exact.
"""

import sys

from django.core.management import execute_from_command_line

from config.asgi import application

__all__ = ["EXACT_ROWS", "application"]

from apps.knowledge.search import cells, finder  # once Django is set up

EXACT_ROWS = 60
cells.EXACT_ROWS = finder.EXACT_ROWS = EXACT_ROWS
cells._GROWN = 0

if __name__ == "__main__":
    execute_from_command_line(["manage.py", *sys.argv[1:]])
