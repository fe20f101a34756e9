# make demo   install into .venv, measure the mini world, draw the plots
# make test   install into .venv, run the tests
# make check  lint, types and tests
# make docs   the documentation as HTML in docs/_build/html
# make gate   check the shipped checkpoints against results/baseline

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= results/demo

.PHONY: demo test lint types check docs results mini real baseline gate claims clean
.DELETE_ON_ERROR:

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[onnx,mmseg,timm,report,parquet,ray,docs,dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/icm-bench run --method rdc --task coco --data mini --out $(OUT)
	$(BIN)/icm-bench plot --out $(OUT)

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

docs: $(STAMP)
	$(BIN)/python docs/cli_page.py
	$(BIN)/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

METHODS := --method jpeg --method "vvc(preset='fast')" --method hyperprior --method "hyperprior(variable=True)" \
    --method rdc
TASKS := imagenet coco cityscapes
TASK_CODECS := $(foreach task,$(TASKS),--method "task-specific(task='$(task)')")
ON_MINI := $(foreach task,$(TASKS),--task $(task)) --data mini --out results/mini

# All that results/ holds: make results REAL=FOLDER.
results: mini real claims

# The committed tables, plots and report of results/mini: about 20 minutes on 2 cores.
mini: $(STAMP)
	$(BIN)/icm-bench run $(METHODS) $(ON_MINI)
	$(BIN)/icm-bench run $(TASK_CODECS) --rates 0,1,3,5 $(ON_MINI)
	$(call written,results/mini,--pictures 2 --max-mb 9)

# The same on real pictures: make real REAL=FOLDER, laid out as CONTRIBUTING.md says. About 30 minutes on 2 cores.
real: $(STAMP)
	$(call measured,coco,--data $(REAL)/coco --net "onnx:$(REAL)/weights/yolox_nano.onnx")
	$(call measured,cityscapes,--data $(REAL)/cityscapes \
	    --net "onnx:$(REAL)/weights/deeplab_edgetpu_slim_cityscapes_f32.onnx")
	$(call measured,imagenet,--data $(REAL)/imagenet/val227 --net torchvision:squeezenet1_1 \
	    --weights $(REAL)/weights/squeezenet1_1_torchvision.pth)
	$(call coded,images,--data $(REAL)/kodak)
	$(call written,results/real,--pictures 0)  # the pictures' licences do not let them be shown here
	sed -i 's#$(REAL)/##g' results/real/rows.csv  # where the data lie on one machine is of no use on another

# One task with its own task-specific codec beside the others.
define measured
	$(call coded,$(1),$(2))
	$(BIN)/icm-bench run --method "task-specific(task='$(1)')" --rates 0,2,4 --task $(1) $(2) --out results/real
endef

# Three trade-offs, and VVC from one step below its default QPs.
define coded
	$(BIN)/icm-bench run --method jpeg --method hyperprior --method "hyperprior(variable=True)" --task $(1) $(2) \
	    --out results/real
	$(BIN)/icm-bench run --method rdc --betas 0,0.5,1 --task $(1) $(2) --out results/real
	$(BIN)/icm-bench run --method "vvc(preset='fast')" --rates 32,37,42,47,52 --task $(1) $(2) --out results/real
endef

# What continuous integration compares the shipped checkpoints with; prints what changed.
baseline: $(STAMP)
	$(BIN)/icm-bench check --update --golden tests/golden

gate: $(STAMP)
	$(BIN)/icm-bench check --golden tests/golden

# The page of claims, from the stores that "make mini" and "make real" leave.
claims: $(STAMP)
	$(BIN)/icm-bench claims results/claims.toml -o results/README.md

define written
	$(BIN)/icm-bench table --out $(1) --anchor hyperprior --format markdown > $(1)/table.md
	$(BIN)/icm-bench table --out $(1) --format csv > $(1)/rows.csv
	$(BIN)/icm-bench plot --out $(1) --anchor hyperprior
	$(BIN)/icm-bench report --out $(1) --anchor hyperprior --title "icm-bench: $(1)" $(2)
endef

clean:
	rm -rf $(VENV) build dist *.egg-info
