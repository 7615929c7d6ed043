# make demo   install into .venv and classify some real photographs
# make test   install into .venv and run lint, types and tests
# make docs   build the documentation site in build/docs
# make fuzz   feed 700 damaged files to every command (SEED=0); some ten minutes on two cores
PYTHON ?= python3
VENV   ?= .venv
SEED   ?= 0
BIN    := $(VENV)/bin

.PHONY: install demo format lint types unit test readme docs fuzz clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: install
	@$(BIN)/python examples/demo.py

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

unit: install
	$(BIN)/pytest -n 2 --ignore tests/distributed/test_engine.py
	$(BIN)/pytest tests/distributed/test_engine.py

readme: install
	$(BIN)/python tools/readme.py

docs: install
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

fuzz: install
	$(BIN)/python -m tools.fuzz --seed $(SEED)

test: lint types unit

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
