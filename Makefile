# Everything that one types here; `make help` lists it. A fresh machine needs make and Python 3.11 or newer.

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell \
	$(python) -c 'import sys; sys.version_info >= (3, 11) and print("$(python)")' 2>/dev/null)) no-python)
BIN := .venv/bin
CODE := kernel_service whatsapp_gateway serving emulators deploy protos/generate.py benchmarks tests
COMPILE := --quiet --strip-extras --allow-unsafe --no-annotate --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --no-emit-options

.DEFAULT_GOAL := help
.PHONY: help run test crash bench lint fmt proto lock up down

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/runtime ## Set up and run both services on SQLite; emulators stand in for vendors without a key in .env
	@$(BIN)/python -m deploy.run

test: .venv/development ## Run every test; ARGS go to pytest, as in ARGS="-k outbox"
	$(BIN)/python -m pytest -n 2 $(ARGS)

crash: .venv/development ## Kill, freeze and restart the services 240 times under 10,000 messages, both databases (over an hour)
	$(BIN)/python -m tests.crash --database sqlite $(ARGS)
	$(BIN)/python -m tests.crash --database postgresql $(ARGS)

bench: .venv/development ## Measure speed and cost, about eight minutes; ARGS="--postgres" for PostgreSQL
	$(BIN)/python -m benchmarks.run $(ARGS)

lint: .venv/development ## Check style, types, import arrows and the protos' rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/released.binpb

fmt: .venv/development ## Format the code, and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: .venv/development ## Generate protos/gen anew from the protos
	$(BIN)/python protos/generate.py

lock: .venv/development ## Choose the newest allowed versions for requirements.txt and requirements-dev.txt
	$(BIN)/pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --upgrade $(COMPILE) --output-file requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --upgrade $(COMPILE) --extra dev \
		--constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

up: ## Build and start everything in containers on PostgreSQL; the demo if .env holds no key
	@deploy/compose.sh up

down: ## End the containers; what they stored is kept
	@deploy/compose.sh down

# What is installed follows the locks: the marker is older than a changed lock.
.venv/runtime: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/development: requirements-dev.txt .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
