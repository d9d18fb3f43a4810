# Every target does its own set-up (tools/bootstrap.py); PYTHON chooses the interpreter: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test matrix bench bench-hosts lint lock clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

setup:  ## install what is missing: libgdal, a virtual environment in .venv, the package
	@$(PYTHON) tools/bootstrap.py

demo: setup  ## run the demo job on the embedded AWS (ARGS="--workers 4 --input SCENE.tif")
	@$(BIN)/rios-awsbatch demo $(ARGS)

test: setup  ## run the tests (ARGS="-k demo")
	@$(BIN)/python -m pytest $(ARGS)

matrix: setup  ## run tests/matrix with a worker that has another numpy (all pairs: tox -e matrix)
	@$(BIN)/python tools/matrix.py --short .tox/matrix-short $(ARGS)

bench: setup  ## count requests and bytes per block, measure times
	@$(BIN)/python bench/run.py $(ARGS)

bench-hosts: setup  ## compare with RIOS's own code (ARGS="--rios14 FOLDER --rios2 FOLDER")
	@$(BIN)/python bench/hosts.py $(ARGS)

lint: setup  ## check style, types and the order of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: ARGS = --upgrade
lock: setup  ## move requirements.lock to the newest versions (ARGS="" only adds what is missing)
	@$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.10 --generate-hashes \
		--no-annotate --custom-compile-command "make lock" --extra local --group dev \
		--output-file requirements.lock $(ARGS) pyproject.toml

clean:  ## remove all that the other targets made, the environment too
	@rm -rf .venv .tox build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache
	@rm -rf .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
