# Every entrance of the project; `make help` lists them. A chapter a file, in make/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Bytecode is kept, out of the tree: uv compiles nothing, and MLflow or Airflow compile for seconds at each start.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.envs/bytecode

PYTHON ?= python3
SPARK_IMAGE = $(or $(IMAGE),2.2)
ENVS := $(PYTHON) -m stack.common.envs
STACK := .envs/stack/bin/python -m stack
JAVA = JAVA_HOME=$$(.envs/stack/bin/python -m stack.common.java)

include make/local.mk make/running.mk make/cloud.mk make/spark.mk make/test.mk make/proofs.mk make/work.mk make/variables.mk

.PHONY: help python stack-env
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables of make demo:  WEEKS=2  FRAUD_LAKE=<folder or s3://…>  STATE=.demo  PORT=19000  IMAGE=2.1|2.2\n'
	@printf '                         CUSTOMERS=5000  SEED=0  SCHEDULE="*/15 * * * *"  APPROVAL=48  RULE=week  PYTHON=python3.12  FORCE=1\n'
	@printf '                         RUN_BUDGET=50  MONTH_BUDGET=1500 (roubles at list prices; above them no run starts)\n'
	@printf 'Variables of the tests:  K=<expression>  ARGS="--lf -x"  go to pytest;  FRESH=1  forgets what a proof has kept\n'

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing); Python 3.11 or newer is needed." \
	    "Install one and name it: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }

stack-env: python
	@$(ENVS) stack
