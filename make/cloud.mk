##@ The cloud
# TARGET=local: a deployment of its own, whose cloud is this host; docs/local.md
CLOUD ?= $(if $(TARGET),.$(TARGET),.cloud)
$(if $(filter-out local,$(TARGET)),$(error TARGET=$(TARGET): TARGET=local is expected, or nothing))
IN_CLOUD = --state '$(CLOUD)' $(if $(MIRROR),--mirror '$(MIRROR)')

.PHONY: bootstrap rotate pause resume backup restore upgrade destroy cost
bootstrap: $(if $(TARGET),machine-packages) stack-env ## The whole system in Yandex Cloud, or what has changed of it; docs/cloud.md [TARGET=local [ENGINE=yarn]: on this host]
	@$(STACK) bootstrap $(IN_CLOUD) $(if $(TARGET),--target '$(TARGET)' --yes) $(if $(YES),--yes) $(if $(FORCE),--force) $(if $(SCHEDULE),--schedule '$(SCHEDULE)') \
	  $(if $(ONLY),--only '$(ONLY)') $(if $(IMPORT),--adopt '$(IMPORT)') $(call SAID,ENGINE,engine)

rotate: stack-env ## New passwords and certificates for MLflow: its machines, Airflow and the jobs have them afterwards
	@$(STACK) rotate $(IN_CLOUD) $(if $(YES),--yes) $(if $(FORCE),--force)

pause: stack-env ## Stop Airflow, the machines and the database, which are paid for by the hour; everything is kept
	@$(STACK) pause $(IN_CLOUD) $(if $(YES),--yes)

resume: stack-env ## Start them again, and wait until MLflow answers
	@$(STACK) resume $(IN_CLOUD)

backup: stack-env ## Of MLflow's databases, now [CHECK=1: list those there are]
	@$(STACK) backup $(IN_CLOUD) $(if $(CHECK),--check)

restore: stack-env ## MLflow's databases as they were: BACKUP=latest, or TIME='2026-11-23 14:05:00+00' of an own PostgreSQL [CHECK=1]
	@$(STACK) restore $(IN_CLOUD) $(call SAID,BACKUP,backup) $(call SAID,TIME,time) $(if $(CHECK),--check) $(if $(YES),--yes)

upgrade: stack-env ## The release of MLflow that requirements/mlflow.txt has; the former one comes back if it does not serve [CHECK=1]
	@$(STACK) upgrade $(IN_CLOUD) $(if $(CHECK),--check)

destroy: stack-env ## Remove all of it, with its data, and say what is left
	@$(STACK) destroy $(IN_CLOUD) $(if $(YES),--yes) $(if $(FORCE),--force)

cost: stack-env ## What it costs per month and per retrain, and what changed settings change of it; needs no account
	@$(STACK) cost $(IN_CLOUD) $(if $(MINUTES),--minutes='$(MINUTES)') $(if $(RUNS),--runs='$(RUNS)')
