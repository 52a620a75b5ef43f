# The front door. `make test` and `make demo` need a CPython >= 3.11 with its headers, a C compiler
# and this file; everything else they install into .venv themselves.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN     = $(VENV)/bin
PY      = $(BIN)/python

# Rebuild when the list of what is built changes. Changed sources need no rule: the editable
# install compiles what is out of date when it is imported.
MESON_FILES = meson.build meson.options src/ringmill/meson.build

# debug_checks: asserts in C and Cython and bounds checks stay on in development.
DEV_SETUP = -Csetup-args=-Dbuildtype=debugoptimized -Csetup-args=-Ddebug_checks=true

build: $(VENV)/.installed

# --group needs pip 25.1; the pip that comes with an older Python does not know it.
$(VENV)/.made: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --upgrade "pip>=25.1"
	$(PY) -m pip install -q --group build --group test --group lint
	touch $@

# Without build isolation, since the rebuild on import needs the tools to be there later too; with
# them on PATH and CYTHON absolute, since ninja remembers the words it was given.
$(VENV)/.installed: $(VENV)/.made $(MESON_FILES)
	PATH="$(abspath $(BIN)):$$PATH" CYTHON="$(abspath $(BIN))/cython" \
	  $(PY) -m pip install -q --no-build-isolation --no-deps $(DEV_SETUP) -e .
	touch $@

test: build
	$(PY) -m pytest -q $(ARGS) tests

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: build test clean
