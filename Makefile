# Everything runs in .venv; nothing else is needed than python3 (3.11 or newer) with its venv module, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test check lint format clean

help:
	@echo "make demo     convert the embedded demo, verify it, read it back"
	@echo "make test     lint, types, floors, and the whole test suite"
	@echo "make check    format check, lint, types, floors, unit tests (< 90 s)"
	@echo "make format   format the code"

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(READY)
	@$(BIN)/python tools/demo.py

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal tests

check: lint
	$(BIN)/python -m pytest -q -n auto tests/unit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
