# Everything runs in .venv; nothing else is needed than python3 (3.11 or newer) with its venv module, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
READY := $(VENV)/.ready

.PHONY: help setup kernel-deps demo test test-loaders check lint format clean bench bench-loading bench-syncing bench-smoke bench-peers bench-photos

help:
	@echo "make demo     convert the embedded demo, verify it, read it back"
	@echo "make kernel-deps    install what builds the native kernel (Debian, as root); optional"
	@echo "make test     lint, types, layers, and the whole test suite"
	@echo "make test-loaders  read an output with Megatron-Energon and DALI (several GB)"
	@echo "make check    format check, lint, types, layers, unit tests (< 90 s)"
	@echo "make format   format the code"
	@echo "make bench    run all benchmarks that can run here (half an hour or more)"
	@echo "make bench-loading  CPU time to a training batch, beside other loaders"
	@echo "make bench-syncing  CPU time and requests of sync, beside s5cmd, rclone and aws"
	@echo "make bench-smoke    every benchmark once, as small as it goes"
	@echo "make bench-peers    install the heavy peers into .venv-peers (several GB)"
	@echo "make bench-photos   fetch larger photos for the benchmarks (Debian only)"

setup: $(READY)

# The native kernel is built with the package if a C compiler and libjpeg-turbo are installed; without
# them the package is pure Python, and the tests leave the native kernel out.
KERNEL := $(wildcard wdsremux/transforms/kernel/*.[ch]) wdsremux/transforms/kernel/CMakeLists.txt
HAS_KERNEL_DEPS := printf '\#include <stdio.h>\n\#include <jpeglib.h>\n' | cc -E - >/dev/null 2>&1

kernel-deps:
	@if $(HAS_KERNEL_DEPS); then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq gcc libc6-dev libjpeg62-turbo-dev; \
	else \
		echo "no C compiler or no headers of libjpeg-turbo: the native kernel is not built"; \
	fi

# What a user needs; the rest comes with the first test or benchmark.
$(RUNTIME): pyproject.toml $(KERNEL)
	@echo "Setting up $(VENV) (only the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@echo "Installing wdsremux and what it needs to run ..."
	@$(BIN)/python -m pip install --editable .
	@touch $@

$(READY): pyproject.toml $(KERNEL)
	@$(MAKE) --no-print-directory $(RUNTIME)
	@echo "Installing what the tests need: linters, type checker, storage servers, PyTorch ..."
	@$(BIN)/python -m pip install --quiet --editable . --group dev --group torch
	@touch $@

demo: $(RUNTIME)
	@$(BIN)/python tools/demo.py

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal tests

test-loaders: $(READY)
	$(PYTHON) -m venv .venv-loaders
	.venv-loaders/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-loaders/bin/python -m pip install --quiet --group loaders .
	rm -rf out/loaders
	$(BIN)/wdsremux convert demo: out/loaders --step resize=96x96 --max-shard-samples 50 --index all --progress none
	.venv-loaders/bin/python tools/check_loaders.py out/loaders

check: lint
	$(BIN)/python -m pytest -q -n auto tests/unit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCH := out/bench
PHOTOS = $(wildcard $(BENCH)/photos)
ROUNDS ?= 5

bench: $(READY)
	$(BIN)/python tools/bench/make_corpus.py --out $(BENCH)/corpus $(if $(PHOTOS),--photos $(PHOTOS))
	$(BIN)/python tools/bench/run.py --corpus $(BENCH)/corpus --out $(BENCH)/results.json --rounds $(ROUNDS)
	$(BIN)/python tools/bench/report.py $(BENCH)/results.json --chart $(BENCH)/chart.png

bench-smoke: $(READY)
	$(BIN)/python tools/bench/make_corpus.py --out $(BENCH)/smoke/corpus --images 24 --only inet,hires
	$(BIN)/python tools/bench/run.py --smoke --corpus $(BENCH)/smoke/corpus --out $(BENCH)/smoke/results.json
	$(BIN)/python tools/bench/report.py $(BENCH)/smoke/results.json --chart $(BENCH)/smoke/chart.png

bench-loading: $(READY)
	$(BIN)/python tools/bench/make_corpus.py --out $(BENCH)/corpus --images 1500 --only inet $(if $(PHOTOS),--photos $(PHOTOS))
	$(BIN)/python tools/bench/loading.py --corpus $(BENCH)/corpus --out $(BENCH)/loading.json --rounds $(ROUNDS)

bench-syncing: $(READY)
	$(PYTHON) -m venv .venv-copying
	.venv-copying/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-copying/bin/python -m pip install --quiet --group copying
	mkdir -p $(BENCH)
	$(BIN)/python tools/bench/syncing.py --out $(BENCH)/syncing.json --rounds $(ROUNDS)

bench-peers:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-peers/bin/python -m pip install --quiet --group peers

# Free photographs of high resolution; the small ones come with the package.
WALLPAPERS := mate-backgrounds gnome-backgrounds plasma-workspace-wallpapers lomiri-wallpapers-16.04 lomiri-wallpapers-20.04

bench-photos:
	mkdir -p $(BENCH)/debs $(BENCH)/photos
	cd $(BENCH)/debs && apt-get download $(WALLPAPERS)
	for deb in $(BENCH)/debs/*.deb; do dpkg -x "$$deb" $(BENCH)/debs/unpacked || exit 1; done
	find $(BENCH)/debs/unpacked -type f \( -name '*.jpg' -o -name '*.jpeg' -o -name '*.png' -o -name '*.webp' \) -size +100k -exec cp {} $(BENCH)/photos/ \;
	cp wdsremux/sources/photos/*.jpg $(BENCH)/photos/

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venv-peers .venv-copying .venv-loaders out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
