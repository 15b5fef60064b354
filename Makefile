# HashGym. `make demo` and `make test` need Python 3.11 or newer; they set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := 2.13.0
# Where pip itself has no CPU build of torch, it is on PyTorch's own index.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
# Two processes take tests from each other; each has its cache of compiled kernels and one thread for torch.
PYTEST := $(BIN)/python -m pytest
SHARED := -n 2 --dist worksteal

.PHONY: demo test check lint quick types docs bench drill lock test-lowest audit clean

demo: $(READY)
	$(BIN)/hashgym demo

test: $(READY)
	$(PYTEST) $(SHARED) --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(PYTEST) $(SHARED) -m interpreted --cov --cov-append --cov-report=term --cov-fail-under=85

# Linter, types and tests at once, since each alone leaves a core idle.
check: $(READY)
	$(MAKE) --jobs=3 --output-sync=target --no-print-directory lint types quick

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

quick: $(READY)
	$(PYTEST) -q $(SHARED) -m "not slow" --maxfail=1

types: $(READY)
	mkdir -p .pkg && ln -sfn .. .pkg/hashgym
	$(BIN)/mypy

docs: $(READY)
	mkdir -p .pkg && ln -sfn .. .pkg/hashgym
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/hashgym bench

# Commands killed at random moments: what they leave is whole or absent. Some twenty minutes, so outside CI.
drill: $(READY)
	$(BIN)/python -m tools.drill

# Resolves pyproject.toml anew in an empty environment; needs the network.
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	$(call install_torch,.lock-venv/bin,$(TORCH))
	.lock-venv/bin/pip install -q -e '.[dev]'
	.lock-venv/bin/pip freeze --exclude-editable --exclude hashgym | sed 's/+cpu$$//' > requirements.lock
	rm -rf .lock-venv

# The fast tests with the lowest versions that pyproject.toml allows, which may warn of each other; needs the network.
test-lowest:
	rm -rf .lowest-venv && $(PYTHON) -m venv .lowest-venv
	$(PYTHON) -m tools.lower_bounds > .lowest-venv/constraints.txt
	$(call install_torch,.lowest-venv/bin,$(shell $(PYTHON) -m tools.lower_bounds torch))
	.lowest-venv/bin/pip install -q -c .lowest-venv/constraints.txt -e '.[dev]'
	.lowest-venv/bin/python -m pytest $(SHARED) -m "not slow" -W ignore::DeprecationWarning

# Known vulnerabilities of the pinned versions; needs the network.
audit:
	rm -rf .audit-venv && $(PYTHON) -m venv .audit-venv
	.audit-venv/bin/pip install -q pip-audit
	.audit-venv/bin/pip-audit --no-deps --disable-pip -r requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("HashGym needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(call install_torch,$(BIN),$(TORCH))
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	touch $@

define install_torch
	$(1)/pip install -q torch==$(2)+cpu || $(1)/pip install -q torch==$(2) --index-url $(TORCH_CPU_INDEX)
endef

clean:
	rm -rf $(VENV) .lock-venv .lowest-venv .audit-venv .pkg outputs build mlruns *.egg-info
