# The front door. `make test` and `make demo` need a CPython >= 3.11 with its headers, a C compiler
# and make; everything else they install into .venv themselves.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN     = $(VENV)/bin
PY      = $(BIN)/python
ON_PATH = PATH="$(abspath $(BIN)):$$PATH"

# Rebuild when the list of what is built changes. Changed sources need no rule: the editable
# install compiles what is out of date when it is imported.
MESON_FILES = meson.build meson.options src/ringmill/meson.build

# debug_checks: asserts in C and Cython and bounds checks stay on in development. One build folder
# per environment: two that share one break each other without a word.
DEV_SETUP = -Cbuild-dir=build/$(patsubst .%,%,$(notdir $(VENV))) \
  -Csetup-args=-Dbuildtype=debugoptimized -Csetup-args=-Ddebug_checks=true

# Files of these kinds that people write: what .gitattributes marks as generated is not linted.
by_hand = $(shell git ls-files --cached --others --exclude-standard -- $(1) | \
  git check-attr --stdin linguist-generated | sed -n 's/: linguist-generated: unspecified$$//p')
C_FILES = $(call by_hand,'*.c' '*.h')
CYTHON_FILES = $(call by_hand,'*.pyx' '*.pxd')

help:
	@echo "make build     compile into $(VENV), with asserts, for development"
	@echo "make demo      serve this repository's files on both kernels and compare every byte"
	@echo "make test      linters, type checker and the test suite (ARGS='-k name')"
	@echo "make lint      linters and type checker alone"
	@echo "make test-all  the suite on every CPython >= 3.11 found"
	@echo "make test-kernels  the suite with what older kernels lack masked out"
	@echo "make asan      the suite under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make soak      a million of everything, and nothing grows"
	@echo "make fuzz      random programs for long; KERNEL=sim|soft|linux for one kernel alone"
	@echo "make bench     side by side with the peers; takes a while"
	@echo "make gen       rewrite what is generated from ops/table/"
	@echo "make format    let clang-format and ruff mend what they can"
	@echo "make clean     remove the environments, builds and caches"

build: $(VENV)/.installed

# --group needs pip 25.1; the pip that comes with an older Python does not know it. A Python that
# was split from its ensurepip (Debian without python3-venv) lends its own pip instead.
$(VENV)/.made: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && \
	  $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(PY) install -q pip; }
	$(PY) -m pip install -q --upgrade "pip>=25.1"
	$(PY) -m pip install -q --group build --group test --group lint
	touch $@

# Without build isolation, since the rebuild on import needs the tools to be there later too; with
# them on PATH and CYTHON absolute, since ninja remembers the words it was given.
$(VENV)/.installed: $(VENV)/.made $(MESON_FILES) Makefile
	$(ON_PATH) CYTHON="$(abspath $(BIN))/cython" \
	  $(PY) -m pip install -q --no-build-isolation --no-deps $(DEV_SETUP) -e .
	touch $@

demo: build
	$(PY) -m ringmill demo $(ARGS)

test: build lint
	$(PY) -m pytest -q $(ARGS)

lint: $(VENV)/.made
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(ON_PATH) cython-lint $(CYTHON_FILES)
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/.made
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(C_FILES)

gen: $(VENV)/.made
	$(PY) src/ringmill/ops/generate.py

test-all:
	$(PYTHON) tools/test_all.py $(ARGS)

test-kernels: build
	$(PY) tools/test_kernels.py $(ARGS)

asan: $(VENV)/.made
	$(ON_PATH) $(PY) tools/asan.py $(ARGS)

soak: build
	$(PY) -m pytest -q -m soak $(ARGS)

fuzz: build
	$(PY) -m pytest -q -m fuzz tests/laws -k "test_fuzz and ($(or $(KERNEL),fuzz))" $(ARGS)

# bench makes an environment of its own, with the peers and a release build of ringmill: the
# asserts of this one would be measured too.
bench: $(VENV)/.made
	$(PY) -m bench $(ARGS)

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help build demo test lint format gen test-all test-kernels asan soak fuzz bench clean
.DEFAULT_GOAL := help
