# make demo: install, dehaze a clip, leave a picture and a video to look at.   make test: install, run all tests.
# make quick: the tests to run after each change.   make docs: the documentation with its API reference, in site/.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick lint docs clean

demo: .venv/core
	$(BIN)/streamdehaze demo

test: .venv/dev
	$(BIN)/python -m pytest

quick: .venv/dev
	$(BIN)/python -m pytest -m quick

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs
	$(BIN)/zensical build --clean --strict

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

.venv/core: .venv/pip setup.cfg
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

.venv/docs: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv demo site
