# What can I do here? `make` lists it. Needs make and Python >= 3.11; uv is used if it is there,
# else installed into .envs/uv. Nothing outside of this directory is touched but uv's cache.

# The functions' interpreter where it is installed, so that the tests run on what is deployed.
PYTHON ?= $(shell python3.13 -c '' 2>/dev/null && echo python3.13 || echo python3)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Tools that cannot share the project's environment have one each: requirements/NAME.txt -> .envs/NAME
ENVS := .envs

# What infra/terraform deploys, by the extras in it.
BUNDLES := base submit api cloud-run aci modal otel

UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(ENVS)/uv/bin/uv)
UV_READY := $(filter $(ENVS)/%,$(UV))

export UV_PROJECT_ENVIRONMENT := $(VENV)
# The interpreter is the one that PYTHON names: none is downloaded behind the user's back.
export UV_PYTHON_DOWNLOADS := never
# An activated environment is somebody else's.
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PRECIOUS: $(ENVS)/%/.synced
.PHONY: help demo cli test check fmt lock bench audit bundles docs clean

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.synced-demo ## See pools, priorities and limits at work in a minute, on this machine
	@$(BIN)/push-dispatch demo $(ARGS)

cli: $(VENV)/.synced-demo ## Install the command line into .venv, for docs/guides/deploy.md

test: $(VENV)/.synced-dev ## Run the quick tests; ARGS='-k name -x' goes to pytest
	$(BIN)/pytest -n 2 -m "not slow" $(ARGS)

check: $(VENV)/.synced-dev ## Lint, check format, types, the direction of imports and the lock
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(UV) lock --check

fmt: $(VENV)/.synced-dev ## Format, and fix what the linter can fix
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

lock: | $(UV_READY) ## Resolve the dependencies anew; ARGS=--upgrade takes the newest
	$(UV) lock $(ARGS)
	@for wanted in requirements/*.in; do \
	  [ -e "$$wanted" ] || continue; \
	  echo "$(UV) pip compile $$wanted"; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 $(ARGS) \
	    "$$wanted" --output-file "$${wanted%.in}.txt" || exit 1; \
	done

bench: $(VENV)/.synced-dev ## Measure latency, throughput and cost; ARGS goes to the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

audit: $(VENV)/.synced-dev ## Search osv.dev for known vulnerabilities of what uv.lock names; needs the network
	mkdir -p build
	$(UV) export --quiet --frozen --no-emit-project --all-extras --no-dev > build/audited.txt
	$(UV) tool run pip-audit==2.10.1 --requirement build/audited.txt --disable-pip --vulnerability-service osv $(ARGS)

bundles: $(BUNDLES:%=bundle-%) ## Build the functions as zip files, for infra/terraform

docs: env-docs ## Build the documentation site into build/site; any warning fails
	NO_MKDOCS_2_WARNING=1 $(ENVS)/docs/bin/mkdocs build --quiet --strict

clean: ## Remove caches and builds; the environments (.venv, .envs) stay
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf .aws-sam build dist
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './$(ENVS)/*' -prune -exec rm -rf {} +

# The tests' environment is exact. The demo's takes what is there: it never removes what the tests
# need, and has nothing to do after `make test`.
$(VENV)/.synced-dev: pyproject.toml uv.lock | $(BIN)/python
	$(UV) sync --quiet --frozen --all-extras
	@touch $@ $(VENV)/.synced-demo

$(VENV)/.synced-demo: pyproject.toml uv.lock | $(BIN)/python
	@$(UV) sync --quiet --frozen --inexact --no-default-groups --extra cli --extra local
	@touch $@

# `make env-NAME` builds .envs/NAME from requirements/NAME.txt, which `make lock` makes of NAME.in.
env-%: $(ENVS)/%/.synced ;

$(ENVS)/%/.synced: requirements/%.txt | $(UV_READY)
	@$(require_python)
	$(UV) venv --quiet --clear --python "$(PYTHON)" $(ENVS)/$*
	$(UV) pip sync --quiet --python $(ENVS)/$*/bin/python $<
	@touch $@

# `sam build` asks for build-NAME: what the function NAME needs, for Lambda on arm64, in ARTIFACTS_DIR.
# Python 3.13 is on Amazon Linux 2023 there, whose glibc is 2.34: wheels for 2.28 fit.
# With LAMBDA_TARGET='--python PATH' for that interpreter instead: emulators execute functions themselves.
# Byte code is made by LAMBDA_PYTHON, or by the interpreter of that version that uv finds.
LAMBDA_TARGET ?= --python-version 3.13 --python-platform aarch64-manylinux_2_28
LAMBDA_PYTHON ?=
# What runs in Lambda is what uv.lock says, checked by its hashes.
comma := ,
extras = $(patsubst %,--extra %,$(subst $(comma), ,$(patsubst [%],%,$(1))))
build-SubmitFunction: EXTRAS := [submit]
build-ApiFunction: EXTRAS := [api,submit]
build-PrefectFunction: EXTRAS := [submit]
build-PushCloudRunFunction: EXTRAS := [cloud-run]
build-PushAciFunction: EXTRAS := [aci]
build-PushModalFunction: EXTRAS := [modal]
build-TraceFunction: EXTRAS := [otel]
build-%Function: | $(UV_READY)
	$(UV) export --quiet --frozen --no-emit-project --no-default-groups $(call extras,$(EXTRAS)) \
	  --output-file "$(ARTIFACTS_DIR)/requirements.txt" >/dev/null
	$(UV) pip install --quiet --target "$(ARTIFACTS_DIR)" $(LAMBDA_TARGET) \
	  --only-binary :all: --require-hashes -r "$(ARTIFACTS_DIR)/requirements.txt"
	$(UV) pip install --quiet --target "$(ARTIFACTS_DIR)" $(LAMBDA_TARGET) --no-deps .
	rm -f "$(ARTIFACTS_DIR)/requirements.txt"
	rm -rf "$(ARTIFACTS_DIR)/bin"
	@"$(PYTHON)" infra/bytecode.py "$(ARTIFACTS_DIR)" --uv $(UV) --compiler "$(LAMBDA_PYTHON)" $(LAMBDA_TARGET)

# The same as zip files for Terraform, one for each set of extras.
BUNDLES_DIR ?= build/bundles
bundle-base: BUILDS := DispatchFunction
bundle-submit: BUILDS := SubmitFunction
bundle-api: BUILDS := ApiFunction
bundle-cloud-run: BUILDS := PushCloudRunFunction
bundle-aci: BUILDS := PushAciFunction
bundle-modal: BUILDS := PushModalFunction
bundle-otel: BUILDS := TraceFunction
bundle-%:
	@rm -rf "$(BUNDLES_DIR)/$*" && mkdir -p "$(BUNDLES_DIR)/$*"
	$(MAKE) --no-print-directory build-$(BUILDS) ARTIFACTS_DIR="$(abspath $(BUNDLES_DIR))/$*"
	@"$(PYTHON)" infra/bundle.py "$(BUNDLES_DIR)/$*" "$(BUNDLES_DIR)/$*.zip"
	@rm -rf "$(BUNDLES_DIR)/$*"

$(BIN)/python: | $(UV_READY)
	@$(require_python)
	@$(UV) venv --quiet --clear --python "$(PYTHON)" $(VENV)

$(ENVS)/uv/bin/uv:
	@$(require_python)
	@"$(PYTHON)" -m venv --clear $(ENVS)/uv || { \
	  echo "$(PYTHON) cannot make virtual environments: install uv, or Python's venv module" >&2; \
	  echo "(Debian and Ubuntu: apt-get install python3-venv), and run make again." >&2; \
	  exit 1; }
	@$(ENVS)/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'

define require_python
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "Python 3.11 or newer is needed; '$(PYTHON)' is" \
    "$$("$(PYTHON)" --version 2>/dev/null || echo not there)." >&2; \
  echo "Name another one: make PYTHON=/path/to/python3.12 ..." >&2; \
  exit 1; }
endef
