##@ Long proofs: part by part; what has passed is kept until its inputs change
.PHONY: drill drill-machines molecule bench
drill: stack-env ## Every fault and kill -9 against the live scheduler, then a backfill; makes docs/drill.md (an hour)
	@$(ENVS) dev
	@results=$$(mktemp) && for part in 1/2 2/2; do \
	  DRILL_RESULTS=$$results $(DEV_PYTEST) -s --part=$$part tests/drill & parts="$$parts $$!"; done && \
	  for part in $$parts; do wait $$part || failed=1; done && \
	  test -z "$$failed" && .envs/dev/bin/python tests/drill/table.py $$results docs/drill.md && echo docs/drill.md

MOLECULE = $(IN_ANSIBLE) molecule
molecule: stack-env machine-packages ## Every Molecule scenario on Debian 12 and 13, or SCENARIO=alone (root; 40 minutes)
	@$(ENVS) ansible mlflow
	@for scenario in $(or $(SCENARIO),baseline alone stack); do $(MOLECULE) test -s $$scenario || exit 1; done
	@$(if $(SCENARIO),,STACK_DEBIAN=13 $(MOLECULE) test -s stack)

drill-machines: stack-env machine-packages ## Faults, restores, rotation and upgrade on real machines [STACK_DEBIAN=13] (root; 40 minutes)
	@$(ENVS) ansible mlflow
	@$(MOLECULE) destroy -s stack
	@$(MOLECULE) converge -s stack
	@MACHINES_LAB=molecule-stack $(IN_ANSIBLE) python $(PYTEST) -v -s tests/machines/drill
	@$(MOLECULE) destroy -s stack

bench: stack-env ## [FULL=1] [LAKE=<the handbook's data>] [ONLY="features age"]: measure, into bench/RESULTS.md
	@.envs/stack/bin/python -m bench $(if $(FULL),--full) $(if $(LAKE),--lake '$(LAKE)') --only '$(ONLY)' --image $(IMAGE) \
	  $(if $(MEMORY),--memory $(MEMORY))
