# `make help` lists the targets: the text after `##`.

BIN := .venv/bin
INSTALLED := .venv/installed
BENCH_INSTALLED := .venv/bench-installed
# Where `make bench-...` writes its results.
RESULTS ?= benchmarks/results

# Data of the local stack.
up down status demo: export HANAX_DATA_DIR ?= .hanax

.PHONY: help
help: ## Show this text
	@echo "HANA-X Vector. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- run -------------------------------------------------------------------------------------

.PHONY: setup up down status demo
setup: $(INSTALLED) ## Create .venv and install everything, at the versions of constraints.txt

up: setup ## Start the local stack in the background; its data is kept in HANAX_DATA_DIR (.hanax)
	@$(BIN)/hana-x-vector up --detach

down: setup ## Stop the local stack
	@$(BIN)/hana-x-vector down

status: setup ## Say what of the local stack is running
	@$(BIN)/hana-x-vector status

demo: setup ## Show the service at work
	@$(BIN)/hana-x-vector demo

# torch first and alone: see constraints.txt. The last step compiles the engine's kernels once.
$(INSTALLED): pyproject.toml sdk/pyproject.toml constraints.txt
	@scripts/make_venv.sh
	@echo "installing torch"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	@echo "installing hana-x-vector and what it needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./sdk -e '.[all,dev]' -c constraints.txt
	@echo "compiling the engine's kernels"
	@$(BIN)/python -m hanax.engine.kernels
	@touch $@

# --- work on it ------------------------------------------------------------------------------

CHECKS := check-format check-lint check-types check-rooms check-generated
# The modules scripts/gen_*.py: each writes its files, or says which are stale.
GENERATED := protos crds chart_goldens graphql sdk openapi

.PHONY: test e2e check $(CHECKS) fmt gen
test: setup ## Run the tests: no cluster, no GPU, no download
	@scripts/install_program.sh redis-server redis-server
	@$(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder

e2e: setup ## Run the end-to-end scenario on a real cluster (docs/kubernetes.md)
	@HANAX_E2E=1 $(BIN)/python -m pytest -v tests/e2e

check: setup ## Check format, style, types, who imports whom, and that generated files are current
	@$(MAKE) --no-print-directory --keep-going $(CHECKS)

$(CHECKS): setup

check-format:
	@$(BIN)/ruff format --check

check-lint:
	@$(BIN)/ruff check

check-types:
	@$(BIN)/mypy

check-rooms:
	@$(BIN)/lint-imports --no-logo

check-generated:
	@for name in $(GENERATED); do $(BIN)/python -m scripts.gen_$$name --check || exit 1; done

fmt: setup ## Format the code and fix what can be fixed alone
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

gen: setup ## Write the generated files: stubs of the protos, crds and their reference page, the chart's goldens, the client, OpenAPI, GraphQL's schema
	@for name in $(GENERATED); do $(BIN)/python -m scripts.gen_$$name || exit 1; done

# --- measure ---------------------------------------------------------------------------------

.PHONY: bench-service bench-index bench-filter bench-cache bench-collections bench-embedder bench-batch bench-protocols
bench-service: setup ## Measure the whole service; writes RESULTS/service.json (benchmarks/results)
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.service

bench-cache: setup ## Measure the gateway's cache, balancing and failover; writes RESULTS/cache.json
	@scripts/install_program.sh redis-server redis-server
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.cache

bench-collections: setup ## Measure many small collections on one index-shard; writes RESULTS/collections.json
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.collections

bench-embedder: setup ## Measure the embedder beside plain sentence-transformers; writes RESULTS/embedder.json
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.embedder

bench-batch: setup ## Measure batch jobs and the metadata database; writes RESULTS/batch.json
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.batch

bench-protocols: $(BENCH_INSTALLED) ## Measure REST, gRPC and GraphQL beside a chroma server; writes RESULTS/protocols.json
	@scripts/install_program.sh wrk wrk
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.protocols

bench-index: $(BENCH_INSTALLED) ## Measure the vector indexes beside other libraries; writes RESULTS/index.json and .png
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.index

bench-filter: $(BENCH_INSTALLED) ## Measure filtered search beside other databases; writes RESULTS/filter.json and .png
	@RESULTS=$(RESULTS) $(BIN)/python -m benchmarks.filter

$(BENCH_INSTALLED): $(INSTALLED)
	@echo "installing the libraries to compare with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./sdk -e '.[bench]' -c constraints.txt
	@touch $@

# --- tidy ------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove .venv, caches and builds; data in .hanax stays
	@rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
