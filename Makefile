# What a newcomer and a machine type. Each target does one thing and sets up what it needs first.

.PHONY: help demo test check bench lock clean setup setup-dev
.DEFAULT_GOAL := help

BIN := .venv/bin
# Folders that hold Python, as far as they are there.
PYTHON_TREES := $(wildcard archiver tests bench)

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: setup ## the whole job against a local stand-in of Seller Central; leaves it in ./demo to try things on
	@$(BIN)/archiver demo

test: check ## every test, those with a real browser too
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: setup-dev ## style, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PYTHON_TREES)
	$(BIN)/lint-imports

bench: setup-dev ## what capturing and searching cost, as ratios
	@for bench in $(wildcard bench/capture* bench/search*); do $(BIN)/python $$bench || exit; done

lock: ## write requirements*.txt anew from pyproject.toml; make lock UPGRADE=--upgrade takes the newest versions
	@command -v uv >/dev/null || { echo "make lock needs uv: run \`pip install uv\`."; exit 2; }
	uv pip compile $(LOCK) $(UPGRADE) --group build pyproject.toml -o requirements.txt
	uv pip compile $(LOCK) $(UPGRADE) --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

# Universal: one file for every platform. No index and no links: where packages come from is each machine's own matter.
LOCK := --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

clean: ## remove what was made here, the demo too
	rm -rf .venv demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find archiver tests $(wildcard bench) -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up looks at once whether all is there and says nothing then; the shell script is the place to read.
setup:
	@tools/setup.sh

setup-dev:
	@tools/setup.sh --dev
