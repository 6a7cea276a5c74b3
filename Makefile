# Two commands are all the set-up there is: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# CI installs what the lock says: CONSTRAINTS=requirements-ci.lock. Others get what pyproject.toml allows.
CONSTRAINTS ?=

.PHONY: demo test lint bench docs release lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

demo: $(STAMP)  ## Recognise the action in a real video with the model that ships in the package
	$(BIN)/python scripts/demo.py

# One thread a worker: two teams of two threads on two cores wait for each other most of the time
test: $(STAMP)  ## Static checks, then the whole test suite
	$(MAKE) --no-print-directory lint
	$(if $(filter true,$(CI)),sh scripts/browser_for_ci.sh)
	OMP_NUM_THREADS=1 sh scripts/offline.sh $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)  ## Style, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos

bench: $(STAMP)  ## One table: each figure as a ratio against a baseline in the same run
	$(BIN)/python -m benchmarks

docs: $(STAMP)  ## Build these pages as a site that works from a folder: site/index.html
	$(BIN)/mkdocs build --strict

release: $(STAMP)  ## Wheel, source archive and bill of materials in dist/, checked in a clean environment
	$(BIN)/python -m pip install --quiet --constraint requirements-ci.lock --group release
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python scripts/check_release.py dist

# What was installed from a path or an address has no version that others could install: it is left out
lock: $(STAMP)  ## Write the versions installed here to requirements-ci.lock, which CI and `make release` install
	$(BIN)/python -m pip freeze --local --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' > requirements-ci.lock.new
	mv requirements-ci.lock.new requirements-ci.lock

clean:  ## Remove the environment and what the demo, releases and docs wrote
	rm -rf $(VENV) demo-output dist site

# The stamp depends on the metadata, so an edited dependency reinstalls. pip 23 knows no --group: upgrade it first.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lrcn needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@echo "==> creating $(VENV) (torch is large: a few minutes on a first install)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --progress-bar on --editable ".[all]" --group test --group lint --group docs $(addprefix --constraint ,$(CONSTRAINTS))
	@touch $@
