# Every target sets up what it needs: a clean checkout, Python 3.11 or newer and make are enough.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# What hack/envtest pins: the real control plane, and the real PD.
BINARIES := etcd kube-apiserver kube-controller-manager kubectl pd-server

.DEFAULT_GOAL := help
.PHONY: help demo test test-real check format run crds manifests schemas bench bench-operator envtest-binaries clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[aws,azure]' --group dev
	@touch $@

demo: $(STAMP) ## Create, scale, roll and delete a TiKV cluster on an embedded API server
	$(BIN)/tikv-operator demo

test: $(STAMP) ## Run the whole fast test suite
	$(BIN)/python -m pytest --numprocesses auto

test-real: $(STAMP) envtest-binaries ## Run what needs a cluster on the real kube-apiserver, and the operator with the real PD
	$(BIN)/python -m pytest --cluster=real --numprocesses auto tests/conformance tests/real examples

check: $(STAMP) ## Format and lint checks, strict types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy examples
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

run: $(STAMP) ## Run the operator against the current kubeconfig
	$(BIN)/tikv-operator run

crds: $(STAMP) ## Print the CustomResourceDefinitions
	@$(BIN)/tikv-operator crds

manifests: $(STAMP) ## Write config/crd and the generated built-in kinds anew
	$(BIN)/tikv-operator crds --output config/crd
	$(BIN)/python hack/generate_k8s.py

schemas: $(STAMP) envtest-binaries ## Read the schemas of built-in types anew from the real kube-apiserver, then `make manifests`
	$(BIN)/python hack/generate_schemas.py

bench: $(STAMP) ## Measure the runtime beside Go's controller-runtime (see bench/README.md)
	$(BIN)/python bench/run.py $(BENCH)

bench-operator: $(STAMP) ## Measure the operator as TiDB Operator was measured (see bench/README.md)
	$(BIN)/python bench/operator_run.py $(BENCH)

envtest-binaries: ## Build the real control plane and PD, once, into the user's cache folder; Go is needed
	@hack/envtest/build.sh $(BINARIES)

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
