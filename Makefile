# Two commands are all the set-up there is: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint bench clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

demo: $(STAMP)  ## Recognise the action in a real video with the model that ships in the package
	$(BIN)/python scripts/demo.py

test: $(STAMP)  ## Static checks, then the whole test suite
	$(MAKE) --no-print-directory lint
	sh scripts/offline.sh $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)  ## Style, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos

bench: $(STAMP)  ## One table: each figure as a ratio against a baseline in the same run
	$(BIN)/python -m benchmarks

clean:  ## Remove the environment and what the demo wrote
	rm -rf $(VENV) demo-output

# The stamp depends on the metadata, so an edited dependency reinstalls. pip 23 knows no --group: upgrade it first.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lrcn needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@echo "==> creating $(VENV) (torch is large: a few minutes on a first install)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --progress-bar on --editable ".[all]" --group test --group lint
	@touch $@
