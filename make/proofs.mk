##@ Long proofs: part by part; what has passed is kept until its inputs change (FRESH=1 begins anew)
FRESHLY = $(if $(FRESH),--fresh)
LONG_PROOFS = $(IN_ANSIBLE) python -m tests.machines.long_proofs

.PHONY: drill drill-machines molecule bench
drill: stack-env ## Every fault and kill -9 against the live scheduler, then a backfill; makes docs/drill.md [K=…] (an hour)
	@$(ENVS) dev
	@for part in 1/2 2/2; do \
	  $(DEV_PYTEST) -s -p tests.support.proof --keep .proofs/drill.jsonl $(FRESHLY) --part=$$part tests/drill & \
	  parts="$$parts $$!"; done; for part in $$parts; do wait $$part || failed=1; done; \
	  .envs/dev/bin/python -m tests.drill.page .proofs/drill.jsonl docs/drill.md && test -z "$$failed"

molecule: machine-packages stack-env ## Every Molecule scenario on Debian 12 and 13, or SCENARIO=alone (root; 40 minutes)
	@$(ENVS) ansible mlflow
	@$(LONG_PROOFS) molecule $(FRESHLY) $(if $(SCENARIO),--only $(SCENARIO))

drill-machines: machine-packages stack-env ## Faults, restores, rotation, upgrade on machines [STACK_DEBIAN=12] [K=…] (root; 40 minutes)
	@$(ENVS) ansible mlflow
	@$(LONG_PROOFS) drill $(FRESHLY) $(if $(STACK_DEBIAN),--debian '$(STACK_DEBIAN)') $(if $(K),--only '$(K)')

bench: stack-env ## [FULL=1] [LAKE=<the handbook's data>] [ONLY="features age"] [WORLDS=200]: measure, into bench/RESULTS.md (20 minutes)
	@.envs/stack/bin/python -m bench $(FRESHLY) $(if $(FULL),--full) $(if $(LAKE),--lake '$(LAKE)') --only '$(ONLY)' \
	  --image $(SPARK_IMAGE) $(if $(MEMORY),--memory $(MEMORY)) $(if $(WORLDS),--worlds '$(WORLDS)')
