##@ Work on it
.PHONY: lint lint-python lint-yaml lint-shell lint-ansible lint-terraform lint-changed
lint: stack-env ## ruff, mypy, yamllint, shellcheck, ansible-lint, terraform fmt, checkov, the arrows between rooms
	@$(LANES) lint

TYPED := stack local_cloud simulator dags spark_app/fraud_retraining
lint-python: stack-env
	@$(ENVS) dev
	@.envs/dev/bin/ruff format --check . && .envs/dev/bin/ruff check .
	@.envs/dev/bin/mypy $(TYPED)
	@$(DEV_PYTEST) tests/lint

lint-yaml: stack-env
	@$(ENVS) dev
	@.envs/dev/bin/yamllint --strict .

lint-shell: stack-env
	@$(ENVS) dev
	@.envs/dev/bin/shellcheck .ci/run $$(git grep -lE '^#!/bin/(ba)?sh' -- roles)

lint-ansible: python
	@$(ENVS) ansible
	@$(IN_ANSIBLE) ansible-lint
	@.envs/ansible/bin/python ansible/role_readme.py --check

lint-terraform: python
	@if command -v terraform > /dev/null; then terraform fmt -check -recursive terraform; \
	  else echo "skipped: terraform fmt -check needs terraform, which is not on PATH"; fi
	@$(ENVS) terraform-lint
	@.envs/terraform-lint/bin/checkov --directory terraform --framework terraform --skip-download --compact --quiet

# What differs from the branch `main` of the origin, or from the last commit, and what git does not track yet.
CHANGED = git diff --name-only --diff-filter=d $$(git merge-base HEAD origin/main 2> /dev/null || echo HEAD); \
  git ls-files --others --exclude-standard
lint-changed: stack-env
	@$(ENVS) dev
	@changed=$$($(CHANGED)); python=$$(grep -E '\.py$$' <<< "$$changed"); yaml=$$(grep -E '\.ya?ml$$' <<< "$$changed"); \
	  if [ "$$python" ]; then .envs/dev/bin/ruff format --check $$python && .envs/dev/bin/ruff check $$python \
	    && .envs/dev/bin/mypy $(TYPED) || exit 1; fi; \
	  if [ "$$yaml" ]; then .envs/dev/bin/yamllint --strict $$yaml; fi

.PHONY: board
board: stack-env ## A project of GitHub in line with BOARD=docs/board.yml: says what would change, and with APPLY=1 does it
	@$(STACK) board $(if $(BOARD),--file '$(BOARD)') $(if $(APPLY),--apply)

.PHONY: lock role-readmes screenshots
lock: python ## Compile requirements/*.in into hash-locked *.txt [NAMES="mlflow dev"] [UPGRADE=1]
	@$(ENVS) --lock $(NAMES) $(if $(UPGRADE),--upgrade)

role-readmes: python ## Make roles/*/README.md anew from their argument_specs
	@$(ENVS) ansible
	@.envs/ansible/bin/python ansible/role_readme.py

screenshots: stack-env ## Make docs/img anew from a real run (needs Debian's chromium)
	@$(ENVS) dev mlflow spark-image-2.2-test
	@SCREENSHOTS=$(CURDIR)/docs/img FRAUD_MLFLOW_PYTHON=$(CURDIR)/.envs/mlflow/bin/python $(JAVA) \
	  .envs/spark-image-2.2-test/bin/python $(PYTEST) tests/spark/test_training.py -k viewer
	@SCREENSHOTS=$(CURDIR)/docs/img VERIFY=1 $(DEV_PYTEST) -x tests/stack/test_second_cycle.py::test_the_card_is_whole \
	  tests/stack/test_two_weeks.py tests/stack/test_browser.py
