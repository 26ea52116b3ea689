# The menu. Each line that a person may choose has its words behind two hashes; the work is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test nova lessons check unit lint bench corpus fuzz docs container vagrant run engines stop doctor clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is missing, migrate a live system, show the proof
	@scripts/demo.sh

test: ## install what is missing, run every test on the real engines
	@scripts/test.sh

nova: ## publish to a real Glance, start on a real Nova; not in `make test`
	@scripts/test.sh tests/nova

lessons: ## every lesson of the lab, played on the real engines; not in `make test`
	@scripts/test.sh tests/lessons

check: ## lint, types, import arrows, unit tests: no root, no engines
	@scripts/check.sh

unit: ## the unit tests only
	@scripts/install.sh && .venv/bin/pytest tests/unit -q

lint: ## ruff, mypy, import-linter only
	@scripts/check.sh --lint-only

bench: ## speed and memory, as ratios of one run; half an hour
	@scripts/bench.sh

corpus: ## every live system by every route, a dated table into docs/corpus.md; CASES="web12-docker ..." runs some
	@scripts/corpus.sh $(CASES)

docs: ## the documentation, into build/site; warnings are errors
	@scripts/install.sh && NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

fuzz: ## a long campaign of requests, archives and deeds that nobody meant well (FORGELET_FUZZ=50: so many times the usual)
	@scripts/install.sh && FORGELET_FUZZ=$${FORGELET_FUZZ:-50} .venv/bin/pytest -q -n 2 tests/unit/emulator/test_fuzz_api.py tests/unit/emulator/test_fuzz_xml.py tests/unit/emulator/test_fuzz_archives.py tests/unit/emulator/test_snapshots.py

container: ## the image of packaging/Dockerfile, without any registry, and a look at whether it serves
	@scripts/container.sh

run: ## start the engines, and the service in the foreground
	@scripts/run.sh

engines: ## start dockerd and libvirtd where they are not running
	@scripts/install.sh && scripts/engines.sh start

stop: ## stop the engines that were started here
	@scripts/engines.sh stop

doctor: ## what this machine lacks, and the commands that bring it
	@scripts/install.sh && .venv/bin/forgelet doctor

vagrant: ## what can be seen of vagrant/ without a machine: Vagrant takes it, and its script provisions a clean Debian root
	@scripts/vagrant.sh

clean: ## take away what the project made on this machine and in this clone
	@scripts/clean.sh
