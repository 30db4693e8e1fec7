# Two commands are enough: `make run` and `make test`. `make help` lists the others.
# The folder may have spaces in its path; nothing but Python, make and a package index is needed.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Many small processes run here, and each would compile the sources anew, where the environment forbids keeping them.
export PYTHONDONTWRITEBYTECODE :=
PY := .venv/bin/python
# A test that waits for ever is a failure that tells where it waits, not a suite that never ends. Who asks one for more
# than that (EVENTS_PROOF) lets it: ARGS="-o faulthandler_timeout=0".
ENDING := -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
.PHONY: help run test check lint bench faults spark openapi insomnia lock clean

##@ On this machine
help: ## list what can be made
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything here and serve on http://localhost:7012 (PORT=, HOST=); Ctrl-C stops it
	@scripts/bootstrap run
	@exec $(PY) -m src.cli

test: ## run the test suite with coverage (htmlcov/index.html); ARGS= goes to pytest
	@scripts/bootstrap dev
	@exec $(PY) -m pytest -n 3 --dist loadgroup $(ENDING) --cov --cov-report=term --cov-report=html $(ARGS)

##@ For work on the code
check: ## all that CI checks besides the tests: format, lint, types, layers
	@scripts/bootstrap dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy --num-workers 2
	$(PY) .venv/bin/lint-imports

lint: ## format the code and mend what can be mended
	@scripts/bootstrap dev
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: ## measure, side by side with the alternatives; ARGS=--write renews docs/benchmarks.md
	@scripts/bootstrap dev
	$(PY) -m bench.http $(ARGS)

faults: ## kill, freeze and starve real processes, and look that nothing is lost (slow)
	@scripts/bootstrap dev
	@exec $(PY) -m pytest -o addopts="--strict-markers --strict-config -ra" tests/faults $(ARGS)

# pyspark leaves the sockets that answers come through to whoever collects garbage
spark: ## run the tests of queries on Spark, then the service on a cluster of processes (needs Java 17 or 21; slow)
	@scripts/bootstrap spark
	@TEST_CLUSTER_URL="local[2]" SPARK_CONF_DIR="$(CURDIR)/tests/engine/queries/spark" $(PY) -m pytest \
		-W "ignore:unclosed <socket:ResourceWarning" \
		tests/engine/queries tests/engine/operations tests/engine/formulas tests/engine/reports $(ARGS)
	@exec $(PY) -m pytest -o addopts="--strict-markers --strict-config -ra" tests/cluster $(ARGS)

openapi: ## write docs/openapi.json
	@scripts/bootstrap run
	@exec $(PY) -m scripts.openapi_document docs/openapi.json

insomnia: openapi ## write docs/insomnia_workspace.yaml from docs/openapi.json
	@scripts/bootstrap dev
	@exec $(PY) -m scripts.insomnia_workspace docs/openapi.json docs/insomnia_workspace.yaml

lock: ## pin requirements.txt and requirements-dev.txt with hashes, for the images
	@scripts/bootstrap dev
	@scripts/lock

clean: ## remove .venv, caches and reports; data (var/) stays
	rm -rf .venv htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

##@ Compose
include docker/compose.mk
