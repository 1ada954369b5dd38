# Everything is built inside the checkout (.venv, .venvs, .cache) and nothing is touched outside it. Works with GNU make 3.81 (macOS) and with or without uv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

# python3 where it is new enough, else the newest one on PATH.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { echo $$p; break; }; done)
endif

CACHE := $(CURDIR)/.cache
# A home of our own: libraries that keep caches or settings in the home directory keep them here, and the user's cannot change a result.
# No library of others reports its use from here.
IN_CACHE := HOME="$(CACHE)/home" XDG_CACHE_HOME="$(CACHE)/xdg" XDG_CONFIG_HOME="$(CACHE)/home/.config" XDG_DATA_HOME="$(CACHE)/home/.local/share" \
	DO_NOT_TRACK=true SCARF_NO_ANALYTICS=true DAFT_ANALYTICS_ENABLED=0 NO_MKDOCS_2_WARNING=1 \
	MPLCONFIGDIR="$(CACHE)/matplotlib" IPYTHONDIR="$(CACHE)/ipython" MYPY_CACHE_DIR="$(CACHE)/mypy" RUFF_CACHE_DIR="$(CACHE)/ruff"
RUN := $(IN_CACHE) .venv/bin/python
PYTEST := $(RUN) -m pytest --basetemp=.cache/pytest -o cache_dir=.cache/pytest-cache

# Tests to run and further options: make test TESTS=tests/wire ARGS="-x -k wire"; make matrix SESSIONS=lowest
TESTS ?= tests
ARGS ?=
WORKERS ?= 2

# Without bytecode every process of a test compiles the package and rewrites the assertions again.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

define bootstrap
@if [ -z "$(PYTHON)" ]; then echo "hubmix needs Python 3.10 or newer and found none on PATH. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; fi
@mkdir -p .cache/home
@NO_UV="$(NO_UV)" "$(PYTHON)" tools/bootstrap.py $(1)
endef

.PHONY: help demo test test-slow check lint types record record-live live bench peers losses notebooks docs matrix clean

help: ## Show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## Show the main job in both frameworks, without a key or with one
	$(call bootstrap,demo --venv .venvs/demo)
	@$(IN_CACHE) .venvs/demo/bin/python -m hubmix demo

test: ## Run the test suite (no key, no network)
	$(call bootstrap,test)
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS) $(TESTS)

test-slow: ## Run what `make test` leaves out: whole corpora, matrices, benchmarks
	$(call bootstrap,test)
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m slow $(ARGS) $(TESTS)

check: lint types test ## Lint, formatting, types and the test suite

lint: ## Lint, formatting, the arrows between the rooms, English
	$(call bootstrap,dev)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(IN_CACHE) .venv/bin/lint-imports --no-cache --no-logo
	@$(RUN) tools/check_house.py
	@$(RUN) tools/check_english.py

types: ## mypy --strict on the three packages
	$(call bootstrap,test dev)
	@$(RUN) -m mypy --strict

record: ## Record the cassettes of the embedded hub anew
	$(call bootstrap,test)
	@$(PYTEST) --record-mode=all $(ARGS) tests/embedded_cassettes

record-live: ## Record the cassettes of a real hub anew (needs a key, costs a little)
	$(call bootstrap,test)
	@$(PYTEST) --record-mode=all $(ARGS) tests/live

live: ## Run the short suite against a real hub (needs a key, costs a little)
	$(call bootstrap,test)
	@$(PYTEST) --live $(ARGS) tests/live

bench: ## Measure against the peers and print the table
	$(call bootstrap,bench --venv .venvs/bench)
	@$(IN_CACHE) .venvs/bench/bin/python -m benchmarks $(ARGS)

peers: ## Ask the servers of tests/cases through the plain clients too, and say who did worse
	$(call bootstrap,peers --venv .venvs/peers)
	@$(IN_CACHE) .venvs/peers/bin/python -m benchmarks.peers $(ARGS)

losses: ## Play the gateway recordings to the plain clients and ours, and count what comes out whole
	$(call bootstrap,peers --venv .venvs/peers)
	@$(IN_CACHE) .venvs/peers/bin/python -m benchmarks.losses $(ARGS)

notebooks: ## Execute every notebook against the embedded hub (ARGS=--write keeps the outputs)
	$(call bootstrap,test)
	@$(RUN) tools/run_notebooks.py $(ARGS)

docs: ## Build the documentation into site/, warnings are errors
	$(call bootstrap,docs --venv .venvs/docs)
	@$(IN_CACHE) .venvs/docs/bin/python -m mkdocs build --strict $(ARGS)

matrix: ## Run the tests on openai 2.x and 3.x, on aiohttp, and on the oldest and newest packages allowed
	$(call bootstrap,dev)
	@$(RUN) -m nox $(addprefix -s ,$(SESSIONS)) $(if $(ARGS),-- $(ARGS))

clean: ## Remove everything that was built
	rm -rf .venv .venvs .cache .benchmarks .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist site *.egg-info
	find hubmix langchain_hubmix llamaindex_hubmix tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
