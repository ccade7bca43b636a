# Every target sets up what it needs: a virtual environment in .venv with the pinned packages of pyproject.toml.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Rules run in the environment that calls Snakemake; one thread a job unless the rule asks for more.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: demo test lint docs synthetic-demo install clean
.DEFAULT_GOAL := demo

demo: install            ## the workflow on the four demo videos: dataset and overlays below results/
	@mkdir -p results && echo "four demo videos to results/; full log: results/demo.log"
	@$(RUN) snakemake --cores all --logger handroll -- all overlays screen 2> results/demo.log || { tail -n 20 results/demo.log; exit 1; }
	@echo "dataset: results/dataset/README.md; overlays: results/report/synthetic; verdicts: results/screening/gallery.html"

test: lint               ## lint and every test
	$(RUN) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 10

lint: install            ## ruff, snakefmt and Snakemake's own lint
	$(RUN) ruff check . && $(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow/rules
	$(RUN) snakemake --lint

docs: install            ## reference pages from the code, then the site below site/; broken links are errors
	$(RUN) python -m handroll.config.reference .
	$(RUN) python -m handroll.dataset.schema_docs docs/dataset.md
	$(RUN) python -m handroll.screening.reason_docs docs/troubleshooting.md
	$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

synthetic-demo: install  ## render the four demo videos and their truth again
	$(RUN) python -m handroll.simulator.video --demo resources/demo

install: $(VENV)/installed

# mediapipe asks for the OpenCV build with windows, which needs system libraries; the headless build of the same version
# takes its place file by file.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	$(BIN)/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps opencv-contrib-python-headless==4.11.0.86
	touch $@

clean:                   ## results and the site, not the environment
	rm -rf results .snakemake site
