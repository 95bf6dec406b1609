# The hub's commands. `make` alone lists them. Each makes what it needs first: see bin/environment.

PORT ?= 8000
FILES ?=
QUERY ?=
TESTS ?=
WORKERS ?= 2
PYTEST ?=

PY := .venv/bin/python
export PORT QUERY

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format lock env-example ci clean

help:  ## Lists the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run:  ## The whole hub in the foreground: database, Redis, web and worker (PORT=8000). Ctrl-C stops it
	@bin/environment run
	@exec $(PY) -m shared.embedded.run --stop-with-parent

demo:  ## With the hub running: registers, uploads, waits, searches (FILES="a.pdf *.docx", QUERY="words", else its own)
	@bin/environment run
	@exec $(PY) -m shared.embedded.demo --query="$$QUERY" $(FILES)

test:  ## Everything, with coverage; no Docker and no service needed (TESTS="tests/embedded -k name", WORKERS=2)
	@bin/environment dev
	@exec $(PY) -m pytest -n $(WORKERS) --dist loadfile $(PYTEST) $(if $(TESTS),$(TESTS),--cov --cov-report=term)

lint:  ## Style, and types of shared/
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

env-example:  ## Writes .env.example from the registry of variables
	@bin/environment run
	@$(PY) -m shared.config.env_constants > .env.example

ci:  ## What continuous integration runs
	@bash .ci/run

clean:  ## Forgets the environment and what tools left behind; the hub's data stay in .hub
	rm -rf .venv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov
