# What each target takes on the command line. Anything else is refused: a mistyped variable would be lost without a word.
OF_TESTS := K ARGS VERIFY SPARK_TESTS STACK_DEBIAN FRAUD_LAKE_SAMPLE
TAKES_demo := STATE WEEKS PORT IMAGE FRAUD_LAKE FRAUD_LAKE_ENDPOINT CUSTOMERS SEED SCHEDULE ENGINE APPROVAL RULE FORCE RUN_BUDGET MONTH_BUDGET
TAKES_demo-stop := STATE
TAKES_demo-clean := STATE
TAKES_status := STATE CLOUD JSON TARGET
TAKES_logs := STATE CLOUD OF TARGET
TAKES_ui := STATE CLOUD TARGET
TAKES_ssh := CLOUD HOST TARGET
TAKES_upload := CLOUD TARGET FRAUD_LAKE FRAUD_LAKE_ENDPOINT CUSTOMERS SEED
TAKES_report := STATE CLOUD RUN TARGET
TAKES_history := STATE CLOUD TARGET
TAKES_rollback := STATE CLOUD TO WHY TARGET
TAKES_unbar := STATE CLOUD VERSION WHY TARGET
TAKES_doctor := STATE IMAGE
TAKES_bootstrap := CLOUD YES FORCE SCHEDULE MIRROR ONLY IMPORT TARGET ENGINE
TAKES_rotate := CLOUD YES FORCE TARGET
TAKES_pause := CLOUD YES TARGET
TAKES_resume := CLOUD TARGET
TAKES_backup := CLOUD TARGET CHECK
TAKES_restore := CLOUD TARGET BACKUP TIME CHECK YES
TAKES_upgrade := CLOUD TARGET CHECK
TAKES_destroy := CLOUD YES FORCE MIRROR TARGET
TAKES_cost := CLOUD MIRROR MINUTES RUNS TARGET
TAKES_features := LAKE OUT IMAGE MEMORY
TAKES_evaluate := LAKE AS_OF OUT IMAGE MEMORY
TAKES_score := LAKE MODEL OUT BUDGET IMAGE MEMORY
TAKES_drill := FRESH K ARGS
TAKES_molecule := FRESH SCENARIO
TAKES_drill-machines := FRESH STACK_DEBIAN K
TAKES_bench := FRESH FULL LAKE ONLY IMAGE MEMORY WORLDS
TAKES_board := BOARD APPLY
TAKES_lock := NAMES UPGRADE
TAKES_screenshots := K ARGS

# Those that are said or not: a value that means no to a person (FORCE=0) would mean yes.
SWITCHES := APPLY CHECK JSON YES FORCE FRESH FULL UPGRADE
$(foreach each,$(SWITCHES),$(if $(filter-out 1,$($(each))),$(error $(each)=$($(each)): $(each)=1 is expected, or nothing)))
$(if $(filter-out 1 only,$(VERIFY)),$(error VERIFY=$(VERIFY): VERIFY=1 is expected, VERIFY=only, or nothing))

GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
GIVEN := $(foreach each,$(.VARIABLES),$(if $(filter command line,$(origin $(each))),$(each)))
TAKEN := $(foreach goal,$(GOALS),$(TAKES_$(goal))) $(if $(filter test% lint% check verify,$(GOALS)),$(OF_TESTS))
STRANGE := $(sort $(filter-out $(TAKEN) PYTHON,$(GIVEN)))
$(if $(STRANGE),$(error make $(GOALS) takes no $(STRANGE); it takes $(or $(strip $(TAKEN)),nothing but PYTHON)))
