# `make` lists the targets. The environments are rebuilt when their requirements change.

# The Python that the environments are made from, 3.10 or newer: make demo PYTHON=python3.12
PYTHON ?= python3
# What is measured, see benchmarks/__init__.py: make bench BENCH_ARGS="--data_dir glue_data --model DIR"
BENCH_ARGS ?=
# The interpreter that measures on a GPU, and what: make gpu GPU_PYTHON=python3 GPU_ARGS="--minutes 20"
GPU_PYTHON ?= .venv/bin/python
GPU_ARGS ?=
# Processes that the tests run in, and further arguments: make test WORKERS=0 PYTEST_ARGS="-k tokenizer"
WORKERS ?= 2
PYTEST_ARGS ?=

RUN := .venv/bin/python
DEV := .venv-dev/bin/python
SCRIPTS := $(wildcard *.sh) .ci/run

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all bench gpu gpu-record lint types clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## fine-tune a tiny BERT with ContraNorm on built-in data (about a minute, no network)
	$(RUN) run_glue_no_trainer.py --pos 7 --scale 0.005

test: .venv-dev/installed ## run the tests, but for the slow ones (a few minutes)
	OMP_NUM_THREADS=1 $(DEV) -m pytest -n $(WORKERS) -m "not slow" $(PYTEST_ARGS)

# Tests that share something expensive are a group (xdist_group), which one process runs.
test-slow: .venv-dev/installed ## run the slow tests (about ten minutes)
	OMP_NUM_THREADS=1 $(DEV) -m pytest -n $(WORKERS) --dist loadgroup --timeout 300 --durations 10 -m slow $(PYTEST_ARGS)

test-all: test-slow ## run the slow tests, and then the others
	@$(MAKE) --no-print-directory test

bench: .venv-dev/installed ## measure speed and memory beside the stock library (tables in output/bench; an hour or more)
	$(DEV) -m benchmarks $(BENCH_ARGS)

# Only the interpreter of this project's environment is made; any other one is taken as it is.
gpu gpu-record: $(if $(filter .venv/bin/python,$(GPU_PYTHON)),.venv/installed)

gpu: ## check and measure on an NVIDIA GPU (tables in output/gpu; nine minutes)
	$(GPU_PYTHON) -m benchmarks.gpu $(GPU_ARGS)

gpu-record: ## time complete fine-tunings on an NVIDIA GPU, as far as nine minutes go
	$(GPU_PYTHON) -m benchmarks.gpu --record $(GPU_ARGS)

lint: .venv-dev/installed ## check style and format of the Python files and the shell scripts
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	.venv-dev/bin/shellcheck $(SCRIPTS)

types: .venv-dev/installed ## check the types
	$(DEV) -m mypy

clean: ## delete the environments and caches; output/ and outlog/ stay
	rm -rf .venv .venv-dev .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.txt
	$(call make_environment,.venv,requirements.txt)

.venv-dev/installed: requirements.txt requirements-dev.txt
	$(call make_environment,.venv-dev,requirements-dev.txt)

# $(1): folder of the environment, $(2): requirements file. The stamp comes last, so an interrupted install starts again.
define make_environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	echo "Python 3.10 or newer is needed, and $(PYTHON) is not: name another one with make PYTHON=..." >&2; exit 1; }
$(PYTHON) -m venv --clear $(1)
$(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2)
@touch $(1)/installed
endef
