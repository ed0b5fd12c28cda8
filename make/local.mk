##@ One machine
STATE ?= .demo
IN_STATE := --state '$(STATE)'

<<<<<<< HEAD
.PHONY: demo demo-stop demo-clean doctor
=======
.PHONY: demo demo-stop demo-clean status report history rollback unbar doctor
>>>>>>> h-report
demo: stack-env ## The whole system on this machine, until WEEKS retraining cycles are done [ENGINE=yarn: jobs on a real YARN]
	@$(STACK) demo $(IN_STATE) $(if $(IMAGE),--image='$(IMAGE)') $(if $(WEEKS),--weeks='$(WEEKS)') $(if $(PORT),--port='$(PORT)') \
	  $(if $(FRAUD_LAKE),--lake '$(FRAUD_LAKE)') $(if $(FRAUD_LAKE_ENDPOINT),--lake-endpoint '$(FRAUD_LAKE_ENDPOINT)') \
	  $(if $(CUSTOMERS),--customers='$(CUSTOMERS)') $(if $(SEED),--seed='$(SEED)') \
	  $(if $(SCHEDULE),--schedule '$(SCHEDULE)') $(if $(ENGINE),--engine='$(ENGINE)') \
	  $(if $(APPROVAL),--approval='$(APPROVAL)') $(if $(FORCE),--force) \
	  $(if $(RUN_BUDGET),--run-budget='$(RUN_BUDGET)') $(if $(MONTH_BUDGET),--month-budget='$(MONTH_BUDGET)')

demo-stop: stack-env ## Stop it; everything is kept
	@$(STACK) stop $(IN_STATE)

demo-clean: stack-env ## Stop it and remove all its state
	@$(STACK) clean $(IN_STATE)

<<<<<<< HEAD
=======
status: stack-env ## What runs, which clusters are alive and what they cost
	@$(STACK) status $(IN_STATE)

report: stack-env ## [RUN=<name of a retrain>]: what was decided and why, as a page in the browser
	@$(STACK) report $(IN_STATE) $(if $(RUN),--of '$(RUN)')

history: stack-env ## What served when, by whose decision and why
	@$(STACK) history $(IN_STATE)

rollback: stack-env ## WHY=<reason> [TO=<version>]: back to a version that served before; the one that is left is barred
	$(WHY_IS_SAID)
	@$(STACK) rollback $(IN_STATE) --why '$(WHY)' $(if $(TO),--to '$(TO)')

unbar: stack-env ## VERSION=<version> WHY=<reason>: a version that was rolled back may serve and compete again
	$(WHY_IS_SAID) $(or $(VERSION),$(error VERSION=<version of the model> is missing))
	@$(STACK) unbar $(IN_STATE) --version '$(VERSION)' --why '$(WHY)'

>>>>>>> h-report
doctor: stack-env ## Check this machine
	@$(STACK) doctor $(IN_STATE) --image='$(SPARK_IMAGE)'
