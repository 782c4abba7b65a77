# Everything that one types here; `make help` lists it. A fresh machine needs make and Python 3.11 or newer.

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell \
	$(python) -c 'import sys; sys.version_info >= (3, 11) and print("$(python)")' 2>/dev/null)) no-python)
BIN := .venv/bin
CODE := kernel_service whatsapp_gateway kernel_client kernelctl serving emulators local_run deploy protos/generate.py benchmarks checks tests
LOCKS := requirements.txt requirements-dev.txt requirements-traces.txt requirements-chart.txt requirements-supply.txt requirements-build.txt
# One lock for every system and every Python that the project runs on.
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--python-version 3.11
# A package without a wheel is built with locked build tools, too: an isolated build would fetch the newest ones.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation

# One more than CI has cores, since many tests wait for processes and times.
WORKERS ?= 3

# Unit tests on emulated vendors, sockets, processes or a database.
WITH_SERVICES := composio connections models serving storage tools turns

# Otherwise each process that a test starts would compile the whole project again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-fast crash bench lint fmt hooks proto docs dist lock sbom audit pin up down

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/runtime ## Set up and run both services on SQLite; emulators replace vendors without a key in .env
	@$(BIN)/python -m local_run

test: .venv/development ## Run every test; ARGS go to pytest, as in ARGS="-k outbox"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: .venv/development ## Run what takes a moment: unit tests without services, in under 20 s of CPU
	$(BIN)/python -m pytest -m "not slow" $(WITH_SERVICES:%=--ignore tests/unit/%) tests/unit $(ARGS)

crash: .venv/development ## Kill, freeze and restart the services 240 times under 10,000 messages: SQLite, then 3 nodes on PostgreSQL (over an hour)
	$(BIN)/python -m tests.crash --database sqlite $(ARGS)
	$(BIN)/python -m tests.crash --database postgresql --nodes 3 $(ARGS)

bench: .venv/development ## Measure speed and cost, about 12 minutes; ARGS="--postgres" or "--short"
	$(BIN)/python -m benchmarks.run $(ARGS)

lint: .venv/development ## Check style, language, types, import arrows and the protos' rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m checks.language
	$(BIN)/mypy --num-workers 2 $(CODE)
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/released.binpb

fmt: .venv/development ## Format the code, and apply the automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: .venv/development ## Check each commit before it is made, with pre-commit
	$(BIN)/pre-commit install

proto: .venv/development ## Generate protos/gen from the protos
	$(BIN)/python protos/generate.py

docs: .venv/development ## Write the generated pages, and build the documents into build/site
	$(BIN)/python -m checks.import_graph
	$(BIN)/python -m checks.reference
	$(BIN)/python -m tests.integration.message_trace
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/site
	@echo "Read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8000, then open http://127.0.0.1:8000/"

dist: .venv/runtime ## Build the sdist and the wheel into dist/, the same bytes for the same commit
	@$(BIN)/python -m deploy.dist

lock: .venv/supply ## Choose the newest allowed versions for the requirements*.txt, with the hashes of all their files
	$(LOCK) --upgrade --output-file requirements.txt pyproject.toml
	$(LOCK) --upgrade --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(LOCK) --upgrade --no-deps --group chart --output-file requirements-chart.txt
	$(LOCK) --upgrade --extra traces --constraint requirements.txt --output-file requirements-traces.txt pyproject.toml
	$(LOCK) --upgrade --group supply --output-file requirements-supply.txt
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
		| $(LOCK) --upgrade --output-file requirements-build.txt -

sbom: .venv/supply ## List what the services consist of, as CycloneDX: build/sbom.json
	@mkdir -p build
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json requirements.txt

audit: .venv/supply ## Look up known vulnerabilities of all that the locks name; it needs the package index
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off $(LOCKS:%=-r %) $(ARGS) \
		|| { echo "Not clean, or not looked up: the lines above say which. pypi.org is asked, or with ARGS='-s osv' api.osv.dev." >&2; \
			exit 1; }

pin: ## Name the base images by their digests of today; it needs Docker's buildx and the registry
	@deploy/pin.sh

up: ## Build and start everything in containers on PostgreSQL; the demo if .env holds no key
	@deploy/compose.sh up

down: ## End the containers; what they stored is kept
	@deploy/compose.sh down

# The environment follows the locks: a changed lock is newer than the marker. Files without a hash there are refused.
.venv/runtime: requirements.txt requirements-build.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "First start, or new requirements: pip installs the packages into .venv. This takes a minute or two."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements-build.txt
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-deps --editable .
	@touch $@

.venv/development: requirements-dev.txt requirements-chart.txt .venv/runtime
	@echo "pip installs what tests and checks need into .venv, as pytest, PostgreSQL and buf. This takes a minute or two."
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements-chart.txt
	@touch $@

.venv/supply: requirements-supply.txt .venv/runtime
	@echo "pip installs the tools for locks, the list of components and the audit into .venv. This takes a minute."
	@$(INSTALL) --require-hashes -r requirements-supply.txt
	@touch $@
