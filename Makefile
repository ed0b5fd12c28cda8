# Every entrance of the project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PYTHONDONTWRITEBYTECODE := 1

PYTHON ?= python3
STATE ?= .demo
IMAGE ?= 2.2
ENVS := $(PYTHON) -m stack.common.envs
STACK := .envs/stack/bin/python -m stack
FLAGS := --state '$(STATE)'
DEMO := $(FLAGS) --image $(IMAGE) $(if $(WEEKS),--weeks $(WEEKS)) $(if $(PORT),--port $(PORT)) \
  $(if $(FRAUD_LAKE),--lake '$(FRAUD_LAKE)') $(if $(FRAUD_LAKE_ENDPOINT),--lake-endpoint '$(FRAUD_LAKE_ENDPOINT)') \
  $(if $(CUSTOMERS),--customers $(CUSTOMERS)) $(if $(SEED),--seed $(SEED)) \
  $(if $(SCHEDULE),--schedule '$(SCHEDULE)') $(if $(FORCE),--force)

##@ One machine
.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables of make demo: WEEKS=2  FRAUD_LAKE=<folder or s3://…>  STATE=.demo  PORT=19000  IMAGE=2.1|2.2\n'
	@printf '                        CUSTOMERS=5000  SEED=0  SCHEDULE="*/15 * * * *"  PYTHON=python3.12  FORCE=1\n'

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing); Python 3.11 or newer is needed." \
	    "Install one and name it: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }

.PHONY: stack-env
stack-env: python
	@$(ENVS) stack

.PHONY: demo
demo: stack-env ## The whole system on this machine, until WEEKS retraining cycles are done
	@$(STACK) demo $(DEMO)

.PHONY: demo-stop
demo-stop: stack-env ## Stop it; everything is kept
	@$(STACK) stop $(FLAGS)

.PHONY: demo-clean
demo-clean: stack-env ## Stop it and remove all its state
	@$(STACK) clean $(FLAGS)

.PHONY: status
status: stack-env ## What runs, which clusters are alive and what they cost
	@$(STACK) status $(FLAGS)

.PHONY: doctor
doctor: stack-env ## Check this machine
	@$(STACK) doctor $(FLAGS) --image $(IMAGE)

##@ The cloud
CLOUD ?= .cloud
IN_CLOUD := --state '$(CLOUD)'

.PHONY: bootstrap
bootstrap: stack-env ## The whole system in Yandex Cloud, or what has changed of it; docs/cloud.md
	@$(STACK) bootstrap $(IN_CLOUD) $(if $(YES),--yes) $(if $(FORCE),--force) $(if $(SCHEDULE),--schedule '$(SCHEDULE)')

.PHONY: destroy
destroy: stack-env ## Remove all of it, with its data, and say what is left
	@$(STACK) destroy $(IN_CLOUD) $(if $(YES),--yes)

.PHONY: cost
cost: stack-env ## What it costs per month and per retrain; needs no account
	@$(STACK) cost $(IN_CLOUD) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RUNS),--runs $(RUNS))

##@ The Spark application by itself
# One process on all cores; what Spark logs goes to standard error, so that the report is all of standard output.
SPARK = $(JAVA) PYTHONPATH=spark_app PYSPARK_PYTHON=$(CURDIR)/.envs/spark-image-$(IMAGE)/bin/python \
  PYSPARK_SUBMIT_ARGS='--master local[*] --driver-memory $(or $(MEMORY),4g) --conf spark.ui.enabled=false pyspark-shell' \
  .envs/spark-image-$(IMAGE)/bin/python

.PHONY: features
features: stack-env ## LAKE=<folder of raw files> OUT=<folder>: features of every transaction, as Parquet
	@: $(or $(LAKE),$(error LAKE=<folder of raw files> is missing)) $(or $(OUT),$(error OUT=<folder> is missing))
	@$(ENVS) spark-image-$(IMAGE)
	@$(SPARK) spark_app/features_job.py --lake '$(LAKE)' --out '$(OUT)'

.PHONY: evaluate
evaluate: stack-env ## LAKE=<folder> AS_OF=<YYYY-MM-DD> [OUT=report.json]: train and measure as a retrain on that day would
	@: $(or $(LAKE),$(error LAKE=<folder of raw files> is missing)) $(or $(AS_OF),$(error AS_OF=<YYYY-MM-DD> is missing))
	@$(ENVS) spark-image-$(IMAGE)
	@$(SPARK) spark_app/evaluate_job.py --lake '$(LAKE)' --as-of '$(AS_OF)' $(if $(OUT),--out '$(OUT)')

##@ Work on it
PYTEST := -m pytest -q -p no:cacheprovider
JAVA = JAVA_HOME=$$(.envs/stack/bin/python -c 'from stack.common.java import find_java; print(find_java())')

.PHONY: test
test: test-unit test-cloud test-airflow test-terraform test-roles test-machines test-security test-bootstrap test-spark test-cycle test-drill ## All tests; what needs something absent is skipped and says so

.PHONY: test-unit
test-unit: stack-env ## The operator's tool, the generator, the DAG's logic
	@$(ENVS) dev
	@.envs/dev/bin/python $(PYTEST) tests/unit

.PHONY: test-cloud
test-cloud: stack-env ## The cloud API, by the real SDK
	@$(ENVS) dev spark-image-2.2
	@$(JAVA) FRAUD_SPARK_PYTHON=$(CURDIR)/.envs/spark-image-2.2/bin/python \
	  .envs/dev/bin/python $(PYTEST) tests/local_cloud --ignore tests/local_cloud/test_airflow_operators.py

.PHONY: test-airflow
test-airflow: test-airflow-3.1 test-airflow-2.10 test-airflow-3-newest ## The DAGs and the provider's operators, on 3 Airflows

# A process for each endpoint: gRPC reads the authority it trusts once.
.PHONY: test-airflow-3.1 test-airflow-2.10 test-airflow-3-newest
test-airflow-3.1: AIRFLOW := airflow-test
test-airflow-2.10: AIRFLOW := airflow-2.10-test
test-airflow-3-newest: AIRFLOW := airflow-3-newest-test
test-airflow-3.1 test-airflow-2.10 test-airflow-3-newest: stack-env
	@$(ENVS) $(AIRFLOW)
	@for tests in tests/dags tests/local_cloud/test_airflow_operators.py; do \
	  FRAUD_STACK_PYTHON=$(CURDIR)/.envs/stack/bin/python \
	    .envs/$(AIRFLOW)/bin/python $(PYTEST) -W ignore $$tests || exit 1; done

.PHONY: test-terraform
test-terraform: stack-env ## terraform/: format, validity, its own tests, and that these can fail (about 90 s)
	@$(ENVS) dev terraform-lint
	@.envs/dev/bin/python $(PYTEST) tests/terraform

.PHONY: test-security
test-security: stack-env ## A probe for each published MLflow advisory, and what each account may not do (about 2 minutes)
	@$(ENVS) dev mlflow
	@.envs/dev/bin/python $(PYTEST) tests/security

.PHONY: test-bootstrap
test-bootstrap: stack-env ## The way into the cloud and out: real Terraform and Ansible, killed at each step (about 5 minutes)
	@$(ENVS) dev && if $(ENVS) --has ansible; then $(ENVS) ansible; fi
	@$(JAVA) .envs/dev/bin/python $(PYTEST) tests/bootstrap

# What boots machines on this host; installed where it is missing and may be (root, Debian).
MACHINE_PACKAGES := systemd-container mmdebstrap nftables nmap openssh-client iproute2 pebble
.PHONY: machine-packages
machine-packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then dpkg -s $(MACHINE_PACKAGES) > /dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(MACHINE_PACKAGES) > /dev/null; }; fi

.PHONY: test-roles
test-roles: python machine-packages ## The roles' interfaces, and machines with systemd (root; about 3 minutes)
	@$(ENVS) ansible
	@PATH=$(CURDIR)/.envs/ansible/bin:$$PATH python $(PYTEST) tests/roles

.PHONY: test-machines
test-machines: stack-env machine-packages ## Two bare machines to MLflow's stack, a fault, a restore (root; about 10 minutes)
	@$(ENVS) ansible mlflow
	@PATH=$(CURDIR)/.envs/ansible/bin:$$PATH python $(PYTEST) -rP tests/machines

MOLECULE = PATH=$(CURDIR)/.envs/ansible/bin:$$PATH molecule
.PHONY: molecule
molecule: stack-env machine-packages ## Every Molecule scenario on Debian 12 and 13, or SCENARIO=alone (root; about 40 minutes)
	@$(ENVS) ansible mlflow
	@for scenario in $(or $(SCENARIO),baseline alone stack); do $(MOLECULE) test -s $$scenario || exit 1; done
	@$(if $(SCENARIO),,STACK_DEBIAN=13 $(MOLECULE) test -s stack)

.PHONY: drill-machines
drill-machines: stack-env machine-packages ## Faults, restores, rotation and upgrade on real machines [STACK_DEBIAN=13] (root; about 40 minutes)
	@$(ENVS) ansible mlflow
	@$(MOLECULE) destroy -s stack
	@$(MOLECULE) converge -s stack
	@MACHINES_LAB=molecule-stack .envs/ansible/bin/python -m pytest -v -s -p no:cacheprovider -c pyproject.toml $(if $(ONLY),-k '$(ONLY)') \
	  tests/machines/drill
	@$(MOLECULE) destroy -s stack

.PHONY: role-readmes
role-readmes: python ## Make roles/*/README.md anew from their argument_specs
	@$(ENVS) ansible
	@.envs/ansible/bin/python ansible/role_readme.py

.PHONY: test-spark
test-spark: test-spark-2.2 test-spark-2.1 ## The Spark application, on both Dataproc images

.PHONY: test-spark-2.1 test-spark-2.2
test-spark-2.1 test-spark-2.2: test-spark-%: stack-env
	@if $(ENVS) --has spark-image-$*-test; then \
	  $(ENVS) spark-image-$*-test mlflow && $(JAVA) FRAUD_MLFLOW_PYTHON=$(CURDIR)/.envs/mlflow/bin/python \
	    .envs/spark-image-$*-test/bin/python $(PYTEST) tests/spark; \
	else echo "skipped: tests on image $* need the Python that requirements/spark-image-$*.in names (pyenv install)"; fi

.PHONY: test-cycle
test-cycle: stack-env ## Two weekly cycles and two red runs of the whole system (about 6 minutes)
	@$(ENVS) dev
	@.envs/dev/bin/python $(PYTEST) -x tests/stack

.PHONY: test-drill
test-drill: stack-env ## Three cases of the drill: a killed worker, a killed endpoint, a job that hangs (about 4 minutes)
	@$(ENVS) dev
	@.envs/dev/bin/python $(PYTEST) -s --reduced tests/drill

.PHONY: drill
drill: stack-env ## Every fault and kill -9 against the live scheduler, then a backfill; makes docs/drill.md (about an hour)
	@$(ENVS) dev
	@results=$$(mktemp) && for part in 1/2 2/2; do \
	  DRILL_RESULTS=$$results .envs/dev/bin/python $(PYTEST) -s --part=$$part tests/drill & parts="$$parts $$!"; done && \
	  for part in $$parts; do wait $$part || failed=1; done && \
	  test -z "$$failed" && .envs/dev/bin/python tests/drill/table.py $$results docs/drill.md && echo docs/drill.md

.PHONY: lint
lint: stack-env ## ruff, mypy, yamllint, shellcheck
	@$(ENVS) dev
	@.envs/dev/bin/ruff format --check . && .envs/dev/bin/ruff check .
	@.envs/dev/bin/mypy stack local_cloud simulator dags spark_app/fraud_retraining
	@.envs/dev/bin/yamllint --strict .
	@.envs/dev/bin/shellcheck .ci/run $$(grep -rlE '^#!/bin/(ba)?sh' roles/*/files)
	@$(ENVS) ansible
	@PATH=$(CURDIR)/.envs/ansible/bin:$$PATH ansible-lint
	@.envs/ansible/bin/python ansible/role_readme.py --check
	@if command -v terraform > /dev/null; then terraform fmt -check -recursive terraform; \
	  else echo "skipped: terraform fmt -check needs terraform, which is not on PATH"; fi
	@$(ENVS) terraform-lint
	@.envs/terraform-lint/bin/checkov --directory terraform --framework terraform --skip-download --compact --quiet

# An image is one Python on Linux, and its lock becomes the cluster's pip: properties: one version of each package.
.PHONY: lock
lock: python ## Compile requirements/*.in into hash-locked *.txt (add UPGRADE=1 for newer versions)
	@uv=$$($(PYTHON) -c "from stack.common.envs import find_uv; print(find_uv())") && cd requirements && for name in stack terraform-lint mlflow ansible airflow airflow-test airflow-2.10-test airflow-3-newest-test dev \
	    build uv spark-image-2.2 spark-image-2.2-test spark-image-2.1 spark-image-2.1-test; do \
	  case $$name in \
	    spark-image-2.1*) target='--python-version 3.8 --python-platform x86_64-unknown-linux-gnu';; \
	    spark-image-2.2*) target='--python-version 3.11 --python-platform x86_64-unknown-linux-gnu';; \
	    build) target='--python-version 3.8 --universal';; \
	    *) target='--python-version 3.11 --universal';; esac; \
	  $$uv pip compile -q --generate-hashes --no-header $(if $(UPGRADE),--upgrade) $$target $$name.in -o $$name.txt \
	    && echo "requirements/$$name.txt"; done

.PHONY: bench
bench: stack-env ## [FULL=1] [LAKE=<the handbook's data>] [ONLY="features age"]: measure, into bench/RESULTS.md
	@.envs/stack/bin/python -m bench $(if $(FULL),--full) $(if $(LAKE),--lake '$(LAKE)') --only '$(ONLY)' --image $(IMAGE) \
	  $(if $(MEMORY),--memory $(MEMORY))

.PHONY: screenshots
screenshots: stack-env ## Make docs/img anew from a real run (needs Debian's chromium)
	@$(ENVS) dev
	@SCREENSHOTS=$(CURDIR)/docs/img .envs/dev/bin/python $(PYTEST) -x tests/stack -k 'green or readable or form'
