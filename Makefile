# The hub's commands. `make` alone lists them. Each makes what it needs first: see bin/environment.

PORT ?= 8000
FILES ?=
TESTS ?=
WORKERS ?= 2

PY := .venv/bin/python
export PORT

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format lock ci bench env clean

help:  ## Lists the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run:  ## The whole hub in the foreground: database, Redis, web and worker (PORT=8000). Ctrl-C stops it
	@bin/environment run
	@exec $(PY) -m shared.embedded.run --stop-with-parent

demo:  ## With the hub running: registers, uploads, waits, searches (FILES="a.pdf b.docx", else its own)
	@bin/environment run
	@exec $(PY) -m shared.embedded.demo $(FILES)

test:  ## Everything, with coverage; no Docker and no service needed (TESTS="tests/embedded -k name", WORKERS=2)
	@bin/environment dev
	@exec $(PY) -m pytest -n $(WORKERS) $(if $(TESTS),$(TESTS),--cov --cov-report=term)

lint:  ## Style, types and migrations
	@bin/environment dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format:  ## Puts the code in the house's format
	@bin/environment dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock:  ## Writes requirements/*.lock from pyproject.toml (UPGRADE=1 takes newer versions)
	@bin/environment dev
	@bin/lock $(if $(UPGRADE),--upgrade)

ci:  ## What continuous integration runs
	@bash .ci/run

clean:  ## Forgets the environment and this checkout's data (stop the hub first)
	@$(PY) -m shared.embedded.forget 2>/dev/null || true
	rm -rf .venv .hub .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov
