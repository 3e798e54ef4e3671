# make train   trains on the built-in demo corpus and leaves an export
# make test    runs the tests
# Both make .venv and install what is needed on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-slow lint format clean

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and \
	'Python 3.10 or newer is needed, found %s: make PYTHON=<newer python>' \
	% sys.version.split()[0])"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable ".[dev]"
	touch $@

# MINUTES bounds the training; ARGS changes other settings, for example
# ARGS="--seed=7 --output_folder=results/7".
MINUTES ?= 6
train: $(VENV)/installed
	$(BIN)/python train.py hparams/siamese.yaml --max_minutes=$(MINUTES) $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict hparams

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info results
