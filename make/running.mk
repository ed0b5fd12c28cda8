##@ A running system: the demo, or one in the cloud (STATE=… or CLOUD=… says which, if both are there)
SAID = $(if $(filter-out file undefined,$(origin $(1))),--$(2) '$($(1))')
OF_WHICH = $(call SAID,STATE,state) $(or $(call SAID,CLOUD,cloud),$(if $(TARGET),--cloud '.$(TARGET)'))
WHY_IS_SAID = @: $(or $(WHY),$(error WHY=<reason, for the record> is missing))

UPLOAD = $(call SAID,FRAUD_LAKE,lake) $(call SAID,FRAUD_LAKE_ENDPOINT,lake-endpoint) $(call SAID,CUSTOMERS,customers) $(call SAID,SEED,seed)

.PHONY: status report logs ui ssh upload history rollback unbar
status: stack-env ## One screen: what serves, data, drift, next runs, clusters, costs, machines [JSON=1]; docs/operations.md
	@$(STACK) status $(OF_WHICH) $(if $(JSON),--json)

report: stack-env ## What was decided and why, as a page in the browser [RUN=<name of a retrain>]
	@$(STACK) report $(OF_WHICH) $(if $(RUN),--of '$(RUN)')

logs: stack-env ## The end of a log: [OF=<program, service or DAG/task>]; without OF what there is
	@$(STACK) logs $(OF_WHICH) $(if $(OF),--of '$(OF)')

ui: stack-env ## Where the pages of Airflow and MLflow are and how to log in; a tunnel, where one is needed
	@$(STACK) ui $(OF_WHICH)

ssh: stack-env ## Log in to a machine of the cloud [HOST=mlflow]
	@$(STACK) ssh $(OF_WHICH) $(if $(HOST),--host '$(HOST)')

upload: stack-env ## Data files into a deployment's lake: [FRAUD_LAKE=<folder or s3://…>], or the next made week [CUSTOMERS= SEED=]
	@$(STACK) upload $(OF_WHICH) $(UPLOAD)

history: stack-env ## What served when, by whose decision and why
	@$(STACK) history $(OF_WHICH)

rollback: stack-env ## WHY=<reason> [TO=<version>]: back to a version that served before; the one that is left is barred
	$(WHY_IS_SAID)
	@$(STACK) rollback $(OF_WHICH) --why '$(WHY)' $(if $(TO),--to '$(TO)')

unbar: stack-env ## VERSION=<version> WHY=<reason>: a version that was rolled back may serve and compete again
	$(WHY_IS_SAID) $(or $(VERSION),$(error VERSION=<version of the model> is missing))
	@$(STACK) unbar $(OF_WHICH) --version '$(VERSION)' --why '$(WHY)'
