# make demo | make test | make check | make fuzz | make docs | make procgen | make test-procgen | make clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROCGEN := .venv-procgen

.PHONY: demo test check fuzz docs procgen test-procgen clean
demo: $(VENV)/installed
	$(BIN)/goalmaze demo

test check: $(VENV)/installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/gate

# What the gate does in small: command lines and files, most of them wrong. Other numbers: make fuzz LINES=100 SEED=7.
LINES ?= 1000
FUZZED_FILES ?= 10000
SEED ?= 0
fuzz: $(VENV)/installed-dev
	PYTHONPATH=tests $(BIN)/python tests/fuzzing.py --lines $(LINES) --files $(FUZZED_FILES) --seed $(SEED)

docs: $(VENV)/installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/build-docs

procgen: $(PROCGEN)/installed

test-procgen: $(PROCGEN)/installed
	PATH="$(CURDIR)/$(PROCGEN)/bin:$$PATH" scripts/gate-procgen

$(PROCGEN)/installed: pyproject.toml constraints-procgen.txt
	$(PYTHON) -m venv $(PROCGEN)
	$(PROCGEN)/bin/python -m pip install --quiet --upgrade pip
	$(PROCGEN)/bin/python -m pip install --quiet --constraint constraints-procgen.txt --editable '.[dev,procgen]'
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) $(PROCGEN) build docs/*/generated *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find envs -name __pycache__ -prune -exec rm -rf {} +
