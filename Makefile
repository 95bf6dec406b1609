# The hub's commands. `make` alone lists them. Each makes what it needs first: see bin/environment.

PORT ?= 8000
FILES ?=
QUERY ?=
TESTS ?=
WORKERS ?= 2
PYTEST ?=
ROUNDS ?= 5
SECONDS ?= 600
CREATORS ?= 1000
KILLS ?= 30
DOCUMENTS ?= 200
PASSAGES ?= 200000
COPIES ?= 50000
QUESTIONS ?= 300
MINUTES ?= 20
DATA ?=
TYPOS ?=
AGAIN ?=

PY := .venv/bin/python
export PORT QUERY DATA AGAIN

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format bench peers load chaos search-trial pipeline eval sockets rls-cost search-bench lock env-example ci clean

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

bench:  ## The hub against four other stacks, on the same rows: docs/performance.md (ROUNDS=5; needs wrk)
	@bin/environment bench
	@$(PY) -m benchmarks.bench --rounds $(ROUNDS)

peers:  ## Whether those other stacks still answer as the hub does, byte for byte
	@bin/environment bench
	@$(PY) -m benchmarks.bench --compare

load:  ## A thousand creators under mixed load: nothing foreign, no 5xx, nothing grows (SECONDS=600, CREATORS=1000)
	@bin/environment dev
	@$(PY) -m benchmarks.soak --seconds $(SECONDS) --creators $(CREATORS)

chaos:  ## Workers killed, Postgres stopped at once, the disk full: nothing is lost or twice (KILLS=30, DOCUMENTS=200)
	@bin/environment dev
	@$(PY) -m benchmarks.chaos --kills $(KILLS) --documents $(DOCUMENTS)

search-trial:  ## Searches against an exact BM25 while documents come, go and change: nothing is off (MINUTES=20)
	@bin/environment dev
	@$(PY) -m benchmarks.search_trial --minutes $(MINUTES)

pipeline:  ## Documents of 50 creators through the worker: how fast, and whether the small ones wait (DOCUMENTS=200)
	@bin/environment bench
	@$(PY) -m benchmarks.pipeline --documents $(DOCUMENTS)

eval:  ## How well the running hub finds what people judged relevant (DATA=folder in the BEIR layout, TYPOS=1, AGAIN=file)
	@bin/environment run
	@exec $(PY) -m benchmarks.evaluate $(if $(TYPOS),--typos $(TYPOS)) $(if $(AGAIN),--again "$$AGAIN") "$$DATA"

sockets:  ## A thousand open sockets: memory of each, and how soon an event is everywhere
	@bin/environment dev
	@$(PY) -m benchmarks.sockets

rls-cost:  ## What row-level security costs at 10 million documents (10 GB of disk, ten minutes)
	@bin/environment dev
	@$(PY) -m benchmarks.rls_cost

search-bench:  ## Search among 200,000 passages and beside a thousand creators (CREATORS, PASSAGES, COPIES, QUESTIONS; 10 GB)
	@bin/environment dev
	@$(PY) -m benchmarks.search_scale --creators $(CREATORS) --passages $(PASSAGES) --copies $(COPIES) --questions $(QUESTIONS)

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
