# make demo   the whole way once, from a synthetic DICOM archive to an audited model
# make test   lint, formatting, types, import rule and tests
# Both make the environment in .venv first; once it is there, they need no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/raydino demo --out demo

test: lint
	$(BIN)/python -m pytest -n 2 -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Torch comes first and alone: an unpinned torch would be a CUDA build of several gigabytes.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip check
	touch $@

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
