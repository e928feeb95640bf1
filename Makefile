# Two commands matter: `make run` and `make test`. Each sets everything up first, and nothing needs
# to be activated: every tool is called by its path in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Any Python from 3.11 on; name one with `make PYTHON=python3.12 ...`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1; then echo $$p; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
# The stamp's name holds what the environment depends on, so a new lock or a moved checkout makes a
# new environment, and nothing else does.
STAMP := $(VENV)/.made-$(shell { cat requirements.lock pyproject.toml package-lock.json; pwd; } | cksum | cut -d' ' -f1)

# Likewise the pages' scripts and styles, by their sources.
SOURCES := voila_templates/crowdsky
BUNDLE := $(VENV)/.built-$(shell { cat package-lock.json; \
	find $(SOURCES) -path $(SOURCES)/static -prune -o -type f -print | LC_ALL=C sort \
	| xargs cat; } 2>/dev/null | cksum | cut -d' ' -f1)

OUT ?= night
ARGS ?=
JOBS ?= 2
TESTS ?=

.PHONY: help setup browser run test lint types contracts tests bench picture pictures lock clean

help: ## show this
	@echo "make run            the platform with a simulated night: uploaded, stacked, downloaded"
	@echo "make run ARGS=...   the same with more arguments for \`crowdsky up\`: --once, --ready-file"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | grep -vE '^run:' \
		| sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' \
		| while IFS=$$'\t' read -r name text; do printf 'make %-14s %s\n' "$$name" "$$text"; done

setup: $(STAMP) $(BUNDLE) ## make .venv in this folder, and the pages' scripts

$(STAMP): requirements.lock pyproject.toml package-lock.json
	@test -n "$(PYTHON)" || { echo "CrowdSky needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	@if ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
		echo "making $(VENV) with $$($(PYTHON) --version)"; \
		rm -rf $(VENV); $(PYTHON) -m venv $(VENV); fi
	@rm -f $(VENV)/.made-*
	@echo "installing the locked packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent
	@$(BIN)/python -m compileall -q crowdsky
	@$(BIN)/crowdsky catalogue index
	@touch $@

$(BUNDLE): $(STAMP)
	@rm -f $(VENV)/.built-*
	@echo "building the pages' scripts"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm run build --silent
	@touch $@

# Debian's, because browsers that a package downloads from elsewhere are not for every network.
browser: ## get Chromium for the tests of the pages, where apt-get can
	@if command -v chromium chromium-browser google-chrome >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
		echo "installing chromium"; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install -y --no-install-recommends chromium >/dev/null; } \
		|| echo "no Chromium could be installed: the tests of the pages in a browser are skipped" >&2; \
	else \
		echo "no Chromium here: the tests of the pages in a browser are skipped;" \
			"install it (apt-get install chromium) to run them" >&2; \
	fi

run: setup ## the main job: everything started, a night sent, stacked and fetched; Ctrl-C stops it
	@$(BIN)/crowdsky up --demo --home "$(abspath $(OUT))" $(ARGS)

test: setup lint types contracts tests ## lint, types, import contracts and every test

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

tests: setup browser
	$(BIN)/pytest -q -n $(JOBS) --dist loadgroup $(TESTS)

bench: setup ## print how fast and how good, beside the peers that are installed
	$(BIN)/python -m tests.benchmarks.run

picture: setup ## draw the picture of the README from a simulated night
	$(BIN)/crowdsky demo --output "$(OUT)/picture" --jobs $(JOBS)
	$(BIN)/python scripts/make_picture.py "$(OUT)/picture/stacks" docs/images/stack.webp

pictures: setup browser ## draw the pictures of the pages in docs/images from a running platform
	$(BIN)/python scripts/make_pictures.py

lock: setup ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra platform --group dev --universal --python-version 3.11 \
		--upgrade --quiet --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove what the make targets made, .venv included
	rm -rf $(VENV) node_modules $(SOURCES)/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		build dist night night-users *.egg-info
	find crowdsky tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
