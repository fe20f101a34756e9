# make demo   install into .venv, measure the mini world, draw the plots
# make test   install into .venv, run the tests
# make check  lint, types and tests

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= results/demo

.PHONY: demo test lint types check mini real clean
.DELETE_ON_ERROR:

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[onnx,dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/icm-bench run --method rdc --task coco --out $(OUT)
	$(BIN)/icm-bench plot --out $(OUT)

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

METHODS := --method jpeg --method 'vvc(preset="fast")' --method hyperprior --method rdc
TASKS := --task imagenet --task coco --task cityscapes

# The committed tables and plots of results/mini.
mini: $(STAMP)
	$(BIN)/icm-bench run $(METHODS) $(TASKS) --out results/mini
	$(call written,results/mini)

# The same on real pictures: make real REAL=FOLDER, laid out as CONTRIBUTING.md says.
real: $(STAMP)
	$(BIN)/icm-bench run $(METHODS) --task coco --data $(REAL)/coco --out results/real \
	    --net "onnx:$(REAL)/weights/yolox_nano.onnx"
	$(BIN)/icm-bench run $(METHODS) --task cityscapes --data $(REAL)/cityscapes --out results/real \
	    --net "onnx:$(REAL)/weights/deeplab_edgetpu_slim_cityscapes_f32.onnx"
	$(BIN)/icm-bench run $(METHODS) --task imagenet --data $(REAL)/imagenet/train_sample --out results/real \
	    --net torchvision:squeezenet1_1 --weights $(REAL)/weights/squeezenet1_1_torchvision.pth
	$(BIN)/icm-bench run $(METHODS) --task images --data $(REAL)/kodak --out results/real
	$(call written,results/real)

define written
	$(BIN)/icm-bench table --out $(1) --anchor hyperprior --format markdown > $(1)/table.md
	$(BIN)/icm-bench table --out $(1) --format csv > $(1)/rows.csv
	$(BIN)/icm-bench plot --out $(1)
endef

clean:
	rm -rf $(VENV) build dist *.egg-info
