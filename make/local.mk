##@ One machine
STATE ?= .demo
IN_STATE := --state '$(STATE)'

.PHONY: demo demo-stop demo-clean doctor
demo: stack-env ## The whole system on this machine, until WEEKS retraining cycles are done [ENGINE=yarn: jobs on a real YARN]
	@$(STACK) demo $(IN_STATE) $(if $(IMAGE),--image='$(IMAGE)') $(if $(WEEKS),--weeks='$(WEEKS)') $(if $(PORT),--port='$(PORT)') \
	  $(if $(FRAUD_LAKE),--lake '$(FRAUD_LAKE)') $(if $(FRAUD_LAKE_ENDPOINT),--lake-endpoint '$(FRAUD_LAKE_ENDPOINT)') \
	  $(if $(CUSTOMERS),--customers='$(CUSTOMERS)') $(if $(SEED),--seed='$(SEED)') \
	  $(if $(SCHEDULE),--schedule '$(SCHEDULE)') $(if $(ENGINE),--engine='$(ENGINE)') \
	  $(if $(APPROVAL),--approval='$(APPROVAL)') $(if $(RULE),--rule='$(RULE)') $(if $(FORCE),--force) \
	  $(if $(RUN_BUDGET),--run-budget='$(RUN_BUDGET)') $(if $(MONTH_BUDGET),--month-budget='$(MONTH_BUDGET)')

demo-stop: stack-env ## Stop it; everything is kept
	@$(STACK) stop $(IN_STATE)

demo-clean: stack-env ## Stop it and remove all its state
	@$(STACK) clean $(IN_STATE)

doctor: stack-env ## Check this machine
	@$(STACK) doctor $(IN_STATE) --image='$(SPARK_IMAGE)'
