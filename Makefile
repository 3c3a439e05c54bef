# `make help` lists the targets. All of them work in .venv, which they make on first use.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PLAY = .venv-play
TRAINED = $(or $(IN),$(patsubst %/,%,$(dir $(shell ls -t logs/*/*.pth 2>/dev/null | head -n 1))))
CONFIG = digits
RUN := demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: help setup demo play record grade report scorecard test test-slow test-machines coverage lint format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' Makefile

setup: $(VENV)/installed  ## make .venv and install requirements.txt

demo: $(VENV)/installed  ## train on digits, score them, make a page: under 3 minutes (CONFIG=mnist_cpu: MNIST)
	$(BIN)/python code/train.py configs/$(CONFIG).yaml --output $(RUN) --ckpt-freq 15
	$(BIN)/python code/evaluate.py logs/$(CONFIG)_$(RUN)/model_final.pth
	@echo "open in a browser: logs/$(CONFIG)_$(RUN)/index.html"

play: $(PLAY)/installed  ## play with the newest run, or IN=logs/RUN, in a browser
	@test -n "$(TRAINED)" || { echo "there is no trained model in logs/ yet: make demo comes first"; exit 2; }
	$(PLAY)/bin/python code/play.py $(TRAINED)

record: $(VENV)/installed  ## time to quality, three seeds: a row for benchmarks/RECORDS.md (CONFIG=mnist_cpu)
	$(BIN)/python benchmarks/record.py configs/$(CONFIG).yaml

grade: $(VENV)/installed  ## grade the reference itself, as a try: IN=FOLDER grades a folder of zips
	$(BIN)/python autograder/grade.py $(or $(IN),.) --out grades

scorecard: $(VENV)/installed-dev  ## measure the grader on all its scenarios, or SHARE=0.1 of them
	$(BIN)/python instructor/scorecard.py --share $(or $(SHARE),1) --json scorecard.json

# Tests are many and small: several at a time, each on one core.
test test-slow coverage: export OMP_NUM_THREADS = 1
IN_PARALLEL = -n auto --maxprocesses 4 --dist worksteal

test: $(VENV)/installed-dev  ## run the everyday tests
	$(BIN)/python -m pytest -m "not slow" $(IN_PARALLEL)

test-slow: $(VENV)/installed-dev  ## run the slow proofs
	$(BIN)/python -m pytest -m slow $(IN_PARALLEL)

test-machines: $(VENV)/installed-dev  ## the everyday tests on simulated machines: ONLY="avx2 user" some
	$(BIN)/python tests/machines.py $(if $(ONLY),--only $(ONLY)) $(if $(TURN),--turn $(TURN))

coverage: $(VENV)/installed-dev  ## which lines the everyday tests leave out: the least covered files
	$(BIN)/python -m pytest -m "not slow" $(IN_PARALLEL) --cov --cov-report=html
	@$(BIN)/coverage report --sort=cover | sed -n '1,30p;$$p'

lint: $(VENV)/installed-dev  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

report: $(VENV)/installed-report  ## turn writeup/report.md into writeup/report.pdf
	$(BIN)/python writeup/make_report.py

clean:  ## remove .venv and caches; keeps data, logs and pretrained
	rm -rf $(VENV) $(PLAY) .venv-machines .pytest_cache .ruff_cache .mypy_cache .coverage coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed $(wildcard requirements/*.txt)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/dev.txt
	@touch $@

$(VENV)/installed-report: $(VENV)/installed requirements/report.txt
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/report.txt
	@touch $@

# Gradio wants an older pillow than requirements.txt: an environment of its own, which sees .venv
PATHS = import sysconfig; print(sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sep="\n")
$(PLAY)/installed: $(VENV)/installed requirements/play.txt
	$(BIN)/python -m venv $(PLAY)
	$(BIN)/python -c '$(PATHS)' > "$$($(PLAY)/bin/python -c '$(PATHS)' | head -n 1)/kit.pth"
	$(PLAY)/bin/python -m pip install --disable-pip-version-check -r requirements/play.txt
	@touch $@
