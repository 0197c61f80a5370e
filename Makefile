# make demo    label a recording with the shipped model (small install, no torch)
# make test    everything that CI checks: lint, format, types, tests
# make check   lint, format and types alone
# make docs    the documentation, in build/docs; warnings are errors
# make bench   how fast it is here, step by step
# make clean   remove caches and what was built; .venv stays

.PHONY: demo test check docs bench clean
.NOTPARALLEL:

# Empty files that say what is installed, remade when what they depend on changes.
RUNTIME := .venv/.installed
DEV := .venv/.installed-dev

demo: $(RUNTIME)
	.venv/bin/audiocnn label data/digits.flac --model digits --table
	.venv/bin/audiocnn label data/demo.flac --table

test: $(DEV)
	@status=0; scripts/check || status=1; scripts/test || status=1; exit $$status

check: $(DEV)
	scripts/check

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

bench: $(RUNTIME)
	.venv/bin/python scripts/bench

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(RUNTIME): pyproject.toml constraints.txt scripts/install
	scripts/install
	touch $@

$(DEV): pyproject.toml constraints.txt scripts/install
	scripts/install dev
	touch $@ $(RUNTIME)
