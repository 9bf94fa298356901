# The few commands a person types. `make` alone lists them. Written for GNU make 3.81, which macOS has.
#
# Everything is installed into .venv, with pip, so that the pip settings of this machine (a mirror, a
# proxy) are honoured. The file .venv/installed is written last: after it, nothing is installed again
# until pyproject.toml or requirements.txt changes. The tests' packages come along from the start: they
# add a few seconds to more than a minute.

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
INTEL := .venv-intel
INTEL_PY := $(INTEL)/bin/python

# The notebooks run cell by cell (nbval), two files at a time, in the order that conftest.py gives. The
# Chinese ones have the same code, which `make check` proves, so they need no second run.
PYTEST := -m pytest -rs --durations 20 -n 2 --dist loadfile --no-loadscope-reorder \
	--nbval-lax --nbval-current-env tests notebooks --ignore notebooks/zh

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run test chat lab notebooks check data bench test-intel-pins clean FORCE

help: ## list the commands
	@echo "From a line to GPT. The commands:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 | \2/p' Makefile | \
		awk -F '|' '{ printf "%-24s%s\n", $$1, $$2 }'
	@echo "Another Python: make run PYTHON=python3.12 (it counts when .venv is created)."

run: $(INSTALLED) ## install what is missing, then train the small GPT-2 on the tales, from nothing
	$(PY) -m utils.small_gpt2

test: $(INSTALLED) ## install what is missing, then run every test and every notebook
	$(PY) $(PYTEST)

chat: $(INSTALLED) ## train what is missing, then serve the chat page; PRESET=FOLDER, MODEL=smollm2 or gpt2, DOCS=FOLDER
	$(PY) -m utils.serving $(if $(PRESET),--preset "$(PRESET)") $(if $(MODEL),--model "$(MODEL)") \
		$(if $(DOCS),--docs "$(DOCS)")

lab: $(INSTALLED) ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

notebooks: $(INSTALLED) ## rebuild the notebooks whose lesson has changed
	$(PY) -m tools.notebooks build

check: $(INSTALLED) ## style, types, notebooks in step, links, locks, workflows; needs no TensorFlow
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m tools.notebooks check
	$(PY) -m tools.readme check
	$(PY) -m tools.links
	$(PY) -m tools.locks --check
	$(PY) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/zizmor --offline --quiet .github/workflows

data: $(INSTALLED) ## download everything optional, for a workshop without network; DATA=NAME: only that
	$(PY) -m utils.data.downloads $(or $(DATA),--all)

# With NANOGPT=path/to/checkout and SHAKESPEARE=file, measure beside nanoGPT instead; TORCH_PYTHON=
# names the Python to run it with, if that is not the one of the checkout.
bench: $(INSTALLED) ## measure starting and each lesson, beside the seconds it may take
	$(if $(NANOGPT),$(PY) -m benchmarks.nanogpt $(NANOGPT) $(SHAKESPEARE) $(if $(TORCH_PYTHON),--python $(TORCH_PYTHON)),$(PY) benchmarks/startup.py)

test-intel-pins: $(INTEL)/installed ## (Linux) every test with the versions that an Intel Mac gets
	$(INTEL_PY) $(PYTEST)

clean: ## remove the environments and what the lessons wrote; data and checkpoints stay
	rm -rf $(VENV) $(INTEL) outputs notebooks/outputs logs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Kept: datasets/cache (downloads) and checkpoints (your models). Delete them yourself."

# ---- what the commands above stand on ------------------------------------------------------------

# Prints one sentence and stops, unless it finds a Python that can run the lessons.
define find_python
found=; \
said="$(or $(PYTHON),Python 3) does not run here: install Python 3.11, then try again."; \
for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3); do \
	if answer=$$("$$python" -I utils/python_version.py 2>/dev/null); then found=$$python; break; fi; \
	said=$${answer:-$$said}; \
done; \
if [ -z "$$found" ]; then echo "$$said"; exit 1; fi
endef

# Leaves a .venv with a Python that fits and a pip that works. After an interrupted install, pip takes
# a half-copied package for installed. Such a package has no INSTALLER file yet: it is forgotten here.
define prepare_venv
[ -d $(VENV) ] && find $(VENV)/lib -name '*.dist-info' -prune ! -exec test -e '{}/INSTALLER' \; \
	-exec rm -rf '{}' +; \
if ! $(PY) -I utils/python_version.py >/dev/null 2>&1 || \
	! { $(PY) -m pip --version || { $(PY) -m ensurepip && $(PY) -m pip --version; }; } >/dev/null 2>&1; \
	then \
	$(find_python); \
	echo "Creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV); \
fi
endef

$(INSTALLED): pyproject.toml requirements.txt
	@$(prepare_venv)
	@echo "Installing into $(VENV): minutes the first time, seconds after that."
	$(PY) -m pip install --disable-pip-version-check --constraint requirements.txt --editable ".[dev]"
	@echo "$(CURDIR)" > $@

# The environment knows this folder by its full path: install again when the folder was moved.
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
$(INSTALLED): FORCE
endif

# An Intel Mac's pins on Linux. They need Python 3.11; .venv lends its own when it has it.
$(INTEL)/installed: pyproject.toml requirements.txt $(INSTALLED)
	@echo "Installing an Intel Mac's versions into $(INTEL)."
	@for python in $(PY) python3.11 none; do \
		if [ $$python = none ]; then echo "$@ needs Python 3.11."; exit 1; fi; \
		$$python -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" 2>/dev/null && break; \
	done; $$python -m venv --clear $(INTEL)
	$(PY) -m tools.locks --as darwin-x86_64 > $(INTEL)/pins.txt
	$(INTEL_PY) -m pip install --disable-pip-version-check --no-deps --requirement $(INTEL)/pins.txt
	$(INTEL_PY) -m pip install --disable-pip-version-check --no-deps --editable .
	@touch $@
