# Every target sets itself up: python3, make and git are all it takes.
PYTHON ?= python3
BIN := .venv/bin
# Some of the tests that run where TensorFlow is not installed.
WITHOUT_TENSORFLOW := tests/without_tensorflow_test.py $(addprefix tests/data/, \
  numpy_batches_test.py windows_test.py augmentation_test.py random_draws_test.py) \
  $(addprefix tests/detection/, evaluator_test.py detecting_test.py \
  region_batches_test.py average_precision_test.py)

# These need a GPU, and Apache Beam.
OTHER_BENCHMARKS := benchmarks/accelerator.py benchmarks/batch.py

# Two processes. Tests of a file share what they prepare, so each file stays in one.
PARALLEL := -n 2 --dist loadfile

# Tests on JAX build the same nets in many processes. What XLA compiled for one serves all.
test-slow test-backends: export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.make/compiled
test-slow test-backends: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0

.PHONY: demo demo-detection notebook web test test-oldest test-slow test-batch test-backends test-web lint docs package bench clean

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

# One stamp per extra: re-installed when the metadata changes.
.make/%: setup.cfg pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@mkdir -p .make && touch $@

# What the page needs besides Python. Debian's packages; elsewhere, install them yourself.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
INSTALL = $(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --no-install-recommends

.make/npm:
	command -v npm >/dev/null || { $(INSTALL) nodejs npm; }
	@mkdir -p .make && touch $@

.make/chromium:
	command -v chromium >/dev/null || { $(INSTALL) chromium fonts-dejavu-core; }
	@mkdir -p .make && touch $@

applications/browser/node_modules: applications/browser/package-lock.json | .make/npm
	cd applications/browser && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Trains the quickstart, evaluates it, draws its report and exports it.
demo: .make/train .make/serving
	$(BIN)/python -m training.train --config=training/recipes/quickstart.py \
	  --workdir=runs/quickstart
	$(BIN)/python -m applications.serving.export --workdir=runs/quickstart \
	  --output=runs/served/prelu
	@echo "Figures of the run: runs/quickstart/report/; its tables beside them"
	@echo "Test it as the paper does: $(BIN)/python -m training.evaluate" \
	  "--workdir=runs/quickstart --protocol=center,ten_view,dense --scales=54"
	@echo "Serve it: applications/serving/README.md"
	@echo "Fine-tune it on your images: applications/finetune/README.md"

# Trains a detector on the built-in scenes, evaluates it and draws its detections.
demo-detection: .make/train .make/detection
	$(BIN)/python -m training.train --config=training/recipes/detect_scenes.py \
	  --workdir=runs/detection
	@echo "Its detections: runs/detection/report/detections.png"

# Runs the notebook from top to bottom, as CI does.
notebook: .make/notebook
	cd applications/finetune && ../../$(BIN)/python -m jupyter execute finetune.ipynb

# Builds and serves the page that shows a net at work.
web: .make/train .make/onnx applications/browser/node_modules
	$(BIN)/python -m applications.browser.serve

test: .make/dev
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not web"

# The long ones, and those that start processes: workers, kills, evaluations.
test-slow: .make/dev .make/jax
	$(BIN)/python -m pytest -n 2 -m slow

# The oldest versions that setup.cfg allows: the tests of the parts that use the packages
# besides Keras and TensorFlow.
USING_OTHERS := $(addprefix tests/, data training export serving analysis tables_test.py \
  number_checks_test.py finetuning callbacks/logs_test.py \
  $(addprefix evaluation/, evaluate_test.py image_batches_test.py) \
  $(addprefix detection/, plots_test.py region_proposals_test.py resizing_test.py))
test-oldest: .make/oldest-environment
	.venv-oldest/bin/python -m pytest $(PARALLEL) -m "not slow and not web" $(USING_OTHERS)

.make/oldest-environment: setup.cfg pyproject.toml tests/oldest_versions.py
	$(PYTHON) -m venv .venv-oldest
	@mkdir -p .make
	$(PYTHON) tests/oldest_versions.py > .make/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .make/oldest.txt \
	  --editable ".[dev,detection]"
	@touch $@

# applications/batch. Beam limits the versions of other packages, such as pillow<13, so it
# has an environment of its own.
test-batch: .make/batch-environment
	.venv-batch/bin/python -m pytest -n 2 tests/batch

.make/batch-environment: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-batch
	.venv-batch/bin/python -m pip install --quiet --editable ".[train,batch]" pytest pytest-xdist
	@mkdir -p .make && touch $@

# `make test-slow` trains on JAX, and on PyTorch where it is installed, in new processes.
OTHER_BACKENDS := "not tensorflow_only and not slow and not web"

# JAX always, with TensorFlow installed and without; PyTorch where it is installed.
test-backends: .make/dev .make/jax .make/without-tensorflow
	KERAS_BACKEND=jax $(JAX_BIN)/python -m pytest -m "not slow" $(WITHOUT_TENSORFLOW)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARALLEL) -m $(OTHER_BACKENDS)
	@if $(BIN)/python -c "import torch" 2>/dev/null; then \
	  KERAS_BACKEND=torch $(BIN)/python -m pytest $(PARALLEL) -m $(OTHER_BACKENDS); \
	else echo "PyTorch is not installed: its backend was not tested."; fi

# An environment without TensorFlow, made as docs/installation.md says.
JAX_BIN := .venv-jax/bin
.make/without-tensorflow: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-jax
	$(JAX_BIN)/python -m pip install --quiet 'jax>=0.10' 'keras>=3.15,<3.17' 'pillow>=11.2.1'
	$(JAX_BIN)/python -m pip install --quiet --no-deps --editable .
	$(JAX_BIN)/python -m pip install --quiet 'pytest>=8.0'
	@mkdir -p .make && touch $@

# The page in Chromium. The screens are in runs/web/.
test-web: .make/dev .make/web .make/chromium applications/browser/node_modules
	$(BIN)/python -m pytest -m web tests/browser

lint: .make/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p keras_prelu
	$(BIN)/python tests/check_prose.py

docs: .make/docs
	$(BIN)/zensical build --strict --clean
	@! grep -rlE '<(script|link)[^>]* (src|href)="?https?:' site --include=*.html || \
	  { echo "error: these pages load files from elsewhere"; exit 1; }

package: .make/dev
	$(BIN)/python tests/check_wheel.py

bench: .make/dev .make/web .make/chromium applications/browser/node_modules
	for script in $(filter-out $(OTHER_BENCHMARKS),$(wildcard benchmarks/[!_]*.py)); do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-jax .venv-batch .venv-oldest .make build dist site *.egg-info applications/browser/node_modules
