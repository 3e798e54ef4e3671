# make train   trains on the built-in demo corpus and leaves an export
# make test    runs the tests
# make contribute SPEECHBRAIN=<checkout>   puts the recipe into SpeechBrain
# make fuzz    looks for input that breaks the readers of files, SECONDS each
# make docs    builds the pages in build/docs
# make clean   removes .venv and what was built; results stays
# make dist    builds the wheel and the source archive, and checks them
# Each makes .venv and installs what is needed on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-slow fuzz contribute dist docs lint format clean

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

# Two files of tests at a time, each with one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
test: $(VENV)/installed
	$(PYTEST) $(ARGS)

test-slow: $(VENV)/installed
	$(PYTEST) -m slow $(ARGS)

# Stops at what it finds, and leaves the input in build/fuzz.
SECONDS ?= 600
TARGETS ?= decoding tables gallery config
fuzz: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable ".[fuzz]"
	mkdir -p build/fuzz
	for target in $(TARGETS); do \
	  $(BIN)/python tests/fuzz/run.py $$target $(SECONDS) \
	    -artifact_prefix=build/fuzz/$$target- || exit 1; \
	done

# The recipe, as SpeechBrain would merge it, into a checkout of its sources.
contribute: $(VENV)/installed
	@test -n "$(SPEECHBRAIN)" || \
	  { echo "name a checkout: make contribute SPEECHBRAIN=<folder>"; exit 2; }
	$(BIN)/python contribute/contribute.py "$(SPEECHBRAIN)"

docs: $(VENV)/installed
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs

dist: $(VENV)/installed
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict hparams

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Not results: models and galleries are there.
clean:
	rm -rf $(VENV) build dist *.egg-info
