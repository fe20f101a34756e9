# make demo   install into .venv, measure the mini world, draw the plots
# make test   install into .venv, run the tests
# make check  lint, types and tests

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= results/demo

.PHONY: demo test lint types check mini clean
.DELETE_ON_ERROR:

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[onnx,dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/icm-bench run --method rdc --task coco --out $(OUT)
	$(BIN)/icm-bench table --out $(OUT)
	$(BIN)/icm-bench plot --out $(OUT)

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

# The committed tables and plots of results/mini, from nothing.
mini: $(STAMP)
	$(BIN)/python results/make.py

clean:
	rm -rf $(VENV) build dist *.egg-info
