# make demo         install into .venv and classify some real photographs
# make test         install into .venv and run lint, types and tests
# make quick        run the tests that need no model, in one to two minutes
# make docs         build the documentation site in build/docs
# make fuzz         feed 700 damaged files to every command (SEED=0), and try many more examples of the properties
# make dist         build the wheel and the source archive in dist/
# make test-lowest  run the tests with the lowest versions that pyproject.toml allows, and with the oldest and the
#                   newest Python. UV_TORCH_BACKEND=cpu saves a few GB where PyTorch's own index can be reached.
PYTHON ?= python3
VENV   ?= .venv
SEED   ?= 0
BIN    := $(VENV)/bin
TESTS  ?= tests
# What is below the models in the order of the layers, and so imports no torch.
NO_MODEL := scoring labels inputs storage images test_text.py test_delimited.py test_redaction.py test_terminal.py

.PHONY: install demo format lint types unit quick test readme docs fuzz dist test-lowest constraints clean

install: $(VENV)/.installed

# pip compiles what it installs, but not a checkout.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m compileall -q src
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
	$(BIN)/python tools/wording.py
	$(BIN)/python tools/lengths.py

types: install
	$(BIN)/mypy

# Two workers begin at the two ends of the suite, and the one that is done first takes from the other: so each fixture
# of a module is made once, and no long test is the last. Ray is a crowd of processes by itself.
unit: install
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/distributed/test_engine.py
	$(BIN)/pytest tests/distributed/test_engine.py

quick: install
	$(BIN)/pytest -n 2 --dist worksteal $(NO_MODEL:%=tests/%)

readme: install
	$(BIN)/python tools/readme.py

docs: install
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

fuzz: install
	$(BIN)/python -m tools.fuzz --seed $(SEED)
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -n 2 --dist worksteal $(NO_MODEL:%=tests/%)

test: lint types unit

dist: install
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

constraints: install
	$(BIN)/python tools/constraints.py > constraints.new
	mv constraints.new constraints.txt

$(BIN)/uv: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# $(call tested_with,PYTHON,RESOLUTION): the tests in an environment that is made for them, outside .venv
define tested_with
	$(BIN)/uv venv --quiet --clear --python $(1) .matrix/$(1)-$(2)
	$(BIN)/uv pip install --quiet --python .matrix/$(1)-$(2)/bin/python --resolution $(2) -e ".[dev]"
	.matrix/$(1)-$(2)/bin/python -m pytest $(TESTS)

endef

test-lowest: $(BIN)/uv
	$(call tested_with,3.10,lowest-direct)
	$(call tested_with,3.10,highest)
	$(call tested_with,3.13,highest)

clean:
	rm -rf $(VENV) .matrix dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
