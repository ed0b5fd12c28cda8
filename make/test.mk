##@ Tests
# K=<expression> and ARGS=… reach pytest; each target has a cache of its own, so that `ARGS=--lf` works.
PYTEST = -m pytest -q -o cache_dir=.cache/pytest/$@ $(if $(K),-k '$(K)') $(ARGS)
DEV_PYTEST = .envs/dev/bin/python $(PYTEST)
IN_ANSIBLE = PATH=$(CURDIR)/.envs/ansible/bin:$$PATH
LANES = .envs/stack/bin/python -m tests.support.lanes

.PHONY: check test test-rest verify
check: stack-env ## Lint of what changed, unit tests, the roles' interfaces (1 minute)
	@$(LANES) check

# Tests with the mark `verify` are too long for a quarter of an hour: VERIFY=1 runs them too, VERIFY=only nothing else.
test: stack-env ## All that a change must pass, side by side; seconds by target at its end [VERIFY=1] (15 minutes)
	@$(LANES) test

test-rest: stack-env ## Of what `make test` leaves out, as much as CI has the time for (10 minutes)
	@$(LANES) rest

verify: stack-env ## The whole matrix: every Airflow, every Debian, every case; keeps what has passed (3 hours)
	@VERIFY=1 $(LANES) verify

.PHONY: test-board test-unit test-cloud test-yarn test-terraform test-security test-bootstrap test-specs test-roles test-machines test-local
# GitHub's own schema, which an npm package carries.
SCHEMA := .envs/schema-of-github
test-board: stack-env ## make board against GitHub's schema (npm brings it)
	@$(ENVS) dev
	@if command -v npm > /dev/null && ! cmp -s tests/board/schema/package-lock.json $(SCHEMA)/package-lock.json; then \
	  mkdir -p $(SCHEMA) && cp tests/board/schema/package*.json $(SCHEMA) && \
	  { npm ci --prefix $(SCHEMA) --ignore-scripts --no-audit --no-fund > /dev/null || rm $(SCHEMA)/package-lock.json; }; fi
	@$(DEV_PYTEST) tests/board

test-unit: stack-env ## The operator's tool, the simulator, the DAGs' logic, the arrows between rooms
	@$(ENVS) dev
	@$(DEV_PYTEST) tests/unit tests/lint

test-cloud: stack-env ## The cloud API, by the real SDK
	@$(ENVS) dev spark-image-2.2
	@$(JAVA) FRAUD_SPARK_PYTHON=$(CURDIR)/.envs/spark-image-2.2/bin/python \
	  $(DEV_PYTEST) tests/local_cloud

test-yarn: stack-env ## Clusters on a real YARN: sizes, limits, lost hosts, growth, one whole cycle
	@$(ENVS) dev spark-image-2.2 mlflow
	@$(JAVA) $(DEV_PYTEST) tests/yarn

test-terraform: stack-env ## terraform/: format, validity, its own tests, and that these can fail
	@$(ENVS) dev terraform-lint
	@$(DEV_PYTEST) tests/terraform

test-security: stack-env ## A probe for each published MLflow advisory, and what each account may not do
	@$(ENVS) dev mlflow && if $(ENVS) --has spark-image-2.1-test; then $(ENVS) spark-image-2.1-test; fi
	@$(DEV_PYTEST) tests/security

test-bootstrap: stack-env ## The way into the cloud and out: real Terraform and Ansible, killed at each step
	@$(ENVS) dev && if $(ENVS) --has ansible; then $(ENVS) ansible; fi
	@$(JAVA) $(DEV_PYTEST) tests/bootstrap

test-specs: python ## The roles' interfaces
	@$(ENVS) ansible
	@$(IN_ANSIBLE) python $(PYTEST) tests/roles/test_specs.py

test-roles: machine-packages python ## The roles' interfaces, and machines with systemd (root)
	@$(ENVS) ansible mlflow
	@$(IN_ANSIBLE) python $(PYTEST) tests/roles

test-machines: machine-packages stack-env ## Two bare machines to MLflow's stack, a fault, a restore; cloud-init (root)
	@$(ENVS) ansible mlflow
	@$(IN_ANSIBLE) python $(PYTEST) -rP tests/machines/test_stack.py tests/machines/test_cloud_init.py tests/machines/test_kept_data.py

test-local: machine-packages stack-env ## make bootstrap TARGET=local, a retrain, destroy; seconds of each step (root)
	@$(ENVS) dev ansible airflow spark-image-2.2
	@$(JAVA) $(DEV_PYTEST) -rP tests/local

# What boots machines on this host, and makes our environments; installed if it is missing and may be (root, Debian).
MACHINE_PACKAGES := python3-venv systemd-container mmdebstrap nftables nmap openssh-client iproute2 pebble
.PHONY: machine-packages
machine-packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then dpkg -s $(MACHINE_PACKAGES) > /dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(MACHINE_PACKAGES) > /dev/null; }; fi

.PHONY: test-airflow test-airflow-3.1 test-airflow-2.11 test-airflow-3-newest
test-airflow: test-airflow-3.1 test-airflow-2.11 test-airflow-3-newest ## The DAGs and the provider's operators, on 3 Airflows

test-airflow-3.1: AIRFLOW := airflow-test
test-airflow-2.11: AIRFLOW := airflow-2.11-test
test-airflow-3-newest: AIRFLOW := airflow-3-newest-test
test-airflow-3.1 test-airflow-2.11 test-airflow-3-newest: stack-env
	@$(ENVS) $(AIRFLOW)
	@FRAUD_STACK_PYTHON=$(CURDIR)/.envs/stack/bin/python .envs/$(AIRFLOW)/bin/python $(PYTEST) -W ignore tests/dags

.PHONY: test-spark test-spark-2.1 test-spark-2.2 test-spark-jobs
test-spark: test-spark-2.1 test-spark-2.2 ## The Spark application, on both Dataproc images

# Image 2.1 has the oldest Spark and Python, and no browser; on 2.2 test-system trains, scores and registers besides.
# The report's pages are drawn on 2.2 alone, unless all is verified.
test-spark-jobs: ## On image 2.2 the jobs, the report's pages and the bench's worlds, with VERIFY=1 everything
	@$(MAKE) test-spark-2.2 $(if $(VERIFY),,SPARK_TESTS='tests/spark/test_jobs.py tests/spark/test_report.py tests/bench')

test-spark-2.1 test-spark-2.2: test-spark-%: stack-env
	@if $(ENVS) --has spark-image-$*-test; then \
	  $(ENVS) spark-image-$*-test mlflow && $(JAVA) FRAUD_MLFLOW_PYTHON=$(CURDIR)/.envs/mlflow/bin/python \
	    .envs/spark-image-$*-test/bin/python $(PYTEST) $(or $(SPARK_TESTS),tests/spark $(if $(filter 2.2,$*),tests/bench,$(if $(VERIFY),,--ignore=tests/spark/test_report.py))); \
	else echo "skipped: tests on image $* need the Python that requirements/environments.toml names (pyenv install)"; fi

.PHONY: test-faults test-system
test-faults: stack-env ## Three cases of the drill: a killed worker, a killed endpoint, a job that hangs
	@$(ENVS) dev
	@$(DEV_PYTEST) -m reduced tests/drill

test-system: stack-env ## The running system: a weekly cycle, its pages in a browser; VERIFY=1: another week, red runs
	@$(ENVS) dev
	@$(DEV_PYTEST) -x tests/stack
