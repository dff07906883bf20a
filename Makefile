# make demo    install, dehaze a clip, leave a picture and a video to look at
# make test    install everything, run all tests;  make quick  the tests to run after each change
# make wheel   the package for an index, checked;  make sbom   the bill of what comes with it (CycloneDX);
# make image   a container for cameras, tried out (DOCKER="podman" for another program)
# make lint    style and types;                    make docs   the documentation with its API reference, in site/
#
# Without an NVIDIA GPU, make demo installs no PyTorch: OpenVINO runs the bundled checkpoints. TORCH=1 brings it, in the
# build that fits this machine; TORCH=cpu or TORCH=cuda chooses one.
PYTHON ?= python3
DOCKER ?= docker
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install

GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
TORCH ?= $(GPU)
BUILD := $(or $(filter cpu cuda,$(TORCH)),$(if $(GPU),cuda,$(if $(filter Linux,$(shell uname -s)),cpu,cuda)))
CPU_WHEELS := https://download.pytorch.org/whl/cpu

.PHONY: demo test quick lint docs wheel sbom image clean

demo: $(if $(TORCH)$(wildcard .venv/core),.venv/core,.venv/light)
	$(BIN)/streamdehaze demo

# A process for each core, a file in one process: servers and encoders leave cores idle that other tests can use.
test: .venv/dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

quick: .venv/dev
	$(BIN)/python -m pytest -m quick

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs
	$(BIN)/zensical build --clean --strict

wheel: .venv/release
	rm -rf build dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/wheel.py

sbom: wheel
	rm -rf .venv/light-only
	$(PYTHON) -m venv .venv/light-only
	.venv/light-only/bin/python -m pip --disable-pip-version-check install --requirement requirements/light-live.txt
	.venv/light-only/bin/python -m pip --disable-pip-version-check install --no-index --find-links dist --pre --no-deps streamdehaze
	.venv/light-only/bin/python .ci/root.py > .venv/light-only/pyproject.toml
	$(BIN)/cyclonedx-py environment .venv/light-only --pyproject .venv/light-only/pyproject.toml --mc-type application \
	    --output-reproducible --output-file dist/sbom.cdx.json
	rm -rf .venv/light-only

image:
	$(DOCKER) build --file examples/live/Dockerfile --tag streamdehaze .
	$(DOCKER) run --rm streamdehaze doctor

.venv/pip:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	touch $@

.venv/light: .venv/pip requirements/light.txt setup.cfg
	@echo "Packages without PyTorch: 0.27 GB to download, 0.8 GB on disk (TORCH=1 brings it: 0.2 and 0.7 GB more)"
	$(PIP) --no-compile --requirement requirements/light.txt
	$(PIP) --no-deps --editable .
	touch $@

# Both from one place: torchvision of the Python package index does not load with PyTorch's CPU build.
.venv/torch: .venv/pip
ifeq ($(BUILD),cpu)
	@echo "PyTorch's CPU build: 0.2 GB to download, 0.7 GB on disk (TORCH=cuda takes the one with CUDA)"
	PIP_EXTRA_INDEX_URL=$(CPU_WHEELS) $(PIP) --index-url $(CPU_WHEELS) --no-deps --retries 0 --timeout 15 torch torchvision || \
	    echo "It cannot be had here. What follows is the build with CUDA: 2.5 GB to download, 5.3 GB on disk"
else
	@echo "PyTorch: on Linux with CUDA, 2.5 GB to download, 5.3 GB on disk (TORCH=cpu: 0.2 and 0.7 GB)"
endif
	touch $@

.venv/core: .venv/torch setup.cfg
	@echo "The other packages: 0.2 GB to download, 0.7 GB on disk"
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/core
	@echo "Extras and tools for tests: 0.3 GB to download, 1.1 GB on disk"
	$(PIP) --editable '.[dev]'
	touch $@

.venv/release: .venv/pip
	$(PIP) build twine cyclonedx-bom
	touch $@

.venv/docs: .venv/core
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv build demo dist site
