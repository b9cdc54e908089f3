# Every target sets up .venv from the locked, hashed requirements by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OPTIONAL := $(VENV)/.optional
OUT ?= demo-output
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: help demo test test-slow lint check bench bench-features-full bench-featuretools bench-national beijing sme lock clean system-deps

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ -/'

$(READY): requirements.lock pyproject.toml hatch_build.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)  ## synthetic city of 20,000 enterprises through the whole loop, result in $(OUT)
	$(if $(filter demo-output,$(OUT)),rm -rf demo-output)
	$(BIN)/credit-tier demo $(OUT)

$(OPTIONAL): requirements-optional.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-optional.lock
	@touch $(OPTIONAL)

test: $(READY) $(OPTIONAL)  ## all tests but the long suites
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY) $(OPTIONAL)  ## the long suites
	$(BIN)/python -m pytest -m slow

lint: $(READY)  ## format, lint, types, import layers, content
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/credit-tier content lint
	$(BIN)/credit-tier content lint --content examples/beijing
	$(BIN)/credit-tier content lint --content examples/sme_invoices

check: lint test  ## everything CI runs

bench: $(READY) $(OPTIONAL)  ## benchmarks: sizes, medians and ratios
	$(BIN)/python -m benchmarks

bench-features-full: $(READY)  ## features at 0.3, 1 and 3 million enterprises (10 to 30 million events), half an hour and 16 GB
	$(BIN)/python -m benchmarks.features --enterprises 300000 1000000 3000000

# featuretools needs an older pandas than ours: an environment of its own.
FEATURETOOLS := .venv-featuretools
$(FEATURETOOLS)/.ready: benchmarks/featuretools.lock
	$(PYTHON) -m venv $(FEATURETOOLS)
	$(FEATURETOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/featuretools.lock
	@touch $(FEATURETOOLS)/.ready

bench-national: $(READY)  ## features of 50 million enterprises, out of core (20 GB of disk)
	$(BIN)/python -m benchmarks.national

bench-featuretools: $(READY) $(FEATURETOOLS)/.ready  ## features against featuretools with cutoff times, on samples
	$(BIN)/python -m benchmarks.features --enterprises 2000 5000 10000 --dates 1 --featuretools $(FEATURETOOLS)/bin/python

DATA ?= ../shared/data/cn_beijing_inspections
BEIJING_OUT ?= beijing-output
beijing: $(READY)  ## the real Beijing inspections, DATA=folder
	$(if $(filter beijing-output,$(BEIJING_OUT)),rm -rf beijing-output)
	BIN=$(BIN) DATA=$(DATA) OUT=$(BEIJING_OUT) sh examples/beijing/run.sh

SME_DATA ?= ../shared/data/cn_sme_2020c
SME_OUT ?= sme-output
sme: $(READY)  ## default of small enterprises from their invoices, SME_DATA=folder
	$(if $(filter sme-output,$(SME_OUT)),rm -rf sme-output)
	BIN=$(BIN) DATA=$(SME_DATA) OUT=$(SME_OUT) sh examples/sme_invoices/run.sh

lock:  ## resolve the locks anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra serve --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock
	printf 'ortools>=9.15\npyspark>=4.0\noptbinning>=1.0\ninterpret-core>=0.7\nshap>=0.50\n' | uv pip compile - -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements-optional.lock

MISSING = $(shell command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || echo postgresql; \
	PATH=$$PATH:/usr/sbin; command -v mariadbd >/dev/null || echo mariadb-server; command -v java >/dev/null || echo openjdk-17-jre-headless; \
	command -v chromium >/dev/null || echo chromium; fc-list :lang=zh 2>/dev/null | grep -q . || echo fonts-wqy-microhei)
system-deps:  ## Debian packages that some tests use: PostgreSQL and MariaDB servers, Java 17, Chromium and a Chinese font (as root)
	$(if $(strip $(MISSING)),apt-get update && apt-get install -y --no-install-recommends $(MISSING),@true)

clean:
	rm -rf $(VENV) $(FEATURETOOLS) $(OUT) build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
