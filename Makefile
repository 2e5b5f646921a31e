# Every command anyone types. `make help` lists them.
PYTHON ?= python3
PORT ?= 8000
STAGE ?= dev
BIN := .venv/bin

# A process per core, each with whole modules: what a module's tests share is built once.
WORKERS ?= auto
TESTS := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope --durations=15

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The stamp is newer than the lock exactly when the environment holds what the lock names.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tradepost needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once; about a minute)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: .venv/installed ## Install everything into .venv

.PHONY: run
run: .venv/installed ## Start the shop on http://localhost:8000 (PORT=8123 for another port)
	@$(BIN)/tradepost dev --port $(PORT)

.PHONY: test
test: .venv/installed ## Run all tests, on all cores (WORKERS=1 for one)
	@$(TESTS)

.PHONY: check
check: .venv/installed ## Format, lint, types, import rules and all tests: what CI runs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(TESTS)

.PHONY: format
format: .venv/installed ## Put the code in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: replay
replay: .venv/installed ## Play order history through the running shop: FILE=month.csv.gz (PORT=8000)
	@$(BIN)/tradepost replay "$(FILE)" --url http://localhost:$(PORT)

.PHONY: flash-sale
flash-sale: .venv/installed ## Let 200 buyers at once want 50 units in the running shop
	@$(BIN)/tradepost flash-sale --url http://localhost:$(PORT)

.PHONY: prove
prove: .venv/installed ## Explore faults and interleavings (SECONDS=900), or play one: PLAY=, PLAN=, SCHEDULE=, SEED=
	@$(BIN)/python -m tests.simulation.prove --seconds "$(or $(SECONDS),900)" --seed "$(or $(SEED),0)" \
	  --play "$(PLAY)" --plan "$(PLAN)" --schedule "$(SCHEDULE)"

.PHONY: schemas
schemas: .venv/installed ## Write events/schemas/ anew from the contracts
	@$(BIN)/tradepost schemas

.PHONY: release-events
release-events: .venv/installed ## Record in events/released.json what VERSION=1.4.0 publishes
	@$(BIN)/tradepost release-events "$(VERSION)"

.PHONY: package
package: .venv/installed ## Build templates and zips for STAGE=dev into build/, without credentials
	@$(BIN)/tradepost package --stage $(STAGE)

.PHONY: lock
lock: .venv/installed ## Resolve the dependencies anew into requirements.lock
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --all-extras pyproject.toml -o requirements.lock
