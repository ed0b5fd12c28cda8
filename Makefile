# Every entrance of the project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PYTHONDONTWRITEBYTECODE := 1

PYTHON ?= python3
STATE ?= .demo
IMAGE ?= 2.2
ENVS := $(PYTHON) stack/envs.py
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
