# Each target does its own set-up: a .venv with the pinned requirements, then the job.
PYTHON ?= python3
# Processes that share the tests; tests/conftest.py says what stays together.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: app test check lint format bench browser clean

app: $(READY)  ## start the page on http://127.0.0.1:7860
	$(BIN)/python app.py

test: $(READY) browser  ## every test, the browser ones included
	$(PYTEST)

check: lint  ## lint, types and the fast tests, for daily work
	$(PYTEST) -m "not slow and not browser"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) browser  ## measure what the README quotes
	HF_HUB_OFFLINE=1 $(BIN)/python -m tests.benchmarks

$(READY): requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $(READY)

browser:  ## Chromium for the browser tests, installed where apt is there
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| (command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] && S= || S=sudo; $$S apt-get update -qq && $$S apt-get install -y -qq chromium; }) \
	|| (echo "Chromium is needed for the browser tests: install it and run make test again." && exit 1)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
