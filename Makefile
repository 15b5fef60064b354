# The commands of HashGym. `make demo` and `make test` need nothing but Python 3.11 or newer; they set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := 2.13.0
# Where pip itself has no CPU build of torch, it is on PyTorch's own index.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: demo test check types bench lock clean

demo: $(READY)
	$(BIN)/hashgym demo

test: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -m interpreted --cov --cov-append --cov-report=term --cov-fail-under=85

check: $(READY) types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -m "not slow" -x

types: $(READY)
	mkdir -p .pkg && ln -sfn .. .pkg/hashgym
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/hashgym bench

# Resolves pyproject.toml anew in an empty environment; needs the network.
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	$(call install_torch,.lock-venv/bin)
	.lock-venv/bin/pip install -q -e '.[dev]'
	.lock-venv/bin/pip freeze --exclude-editable --exclude hashgym | sed 's/+cpu$$//' > requirements.lock
	rm -rf .lock-venv

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("HashGym needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(call install_torch,$(BIN))
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	touch $@

define install_torch
	$(1)/pip install -q torch==$(TORCH)+cpu || $(1)/pip install -q torch==$(TORCH) --index-url $(TORCH_CPU_INDEX)
endef

clean:
	rm -rf $(VENV) .pkg outputs build mlruns *.egg-info
