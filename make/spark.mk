##@ The Spark application by itself
# One process on all cores; what Spark logs goes to standard error, so that the report is all of standard output.
SPARK = $(JAVA) PYTHONPATH=spark_app PYSPARK_PYTHON=$(CURDIR)/.envs/spark-image-$(SPARK_IMAGE)/bin/python \
  PYSPARK_SUBMIT_ARGS='--master local[*] --driver-memory $(or $(MEMORY),4g) --conf spark.ui.enabled=false pyspark-shell' \
  .envs/spark-image-$(SPARK_IMAGE)/bin/python
LAKE_IS_SAID = @: $(or $(LAKE),$(error LAKE=<folder of raw files> is missing))
# As the DAG's form takes it: newer Pythons also read 20180701 and 2018-W26-7, the image's does not.
DAY_IS_SAID = @: $(or $(AS_OF),$(error AS_OF=<YYYY-MM-DD> is missing)) && \
  { [[ '$(AS_OF)' =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$$ ]] && date -d '$(AS_OF)' > /dev/null 2>&1; } || { \
    echo "AS_OF=$(AS_OF): a day YYYY-MM-DD is expected, such as 'make evaluate LAKE=… AS_OF=2018-07-01'" >&2; exit 1; }

.PHONY: features evaluate score
features: stack-env ## LAKE=<folder of raw files> OUT=<folder>: features of every transaction, as Parquet
	$(LAKE_IS_SAID) $(or $(OUT),$(error OUT=<folder> is missing))
	@$(ENVS) spark-image-$(SPARK_IMAGE)
	@$(SPARK) spark_app/features_job.py --lake '$(LAKE)' --out '$(OUT)'

evaluate: stack-env ## LAKE=<folder> AS_OF=<YYYY-MM-DD> [OUT=report.json]: train and measure as a retrain then would; report.html beside it
	$(LAKE_IS_SAID)
	$(DAY_IS_SAID)
	@$(ENVS) spark-image-$(SPARK_IMAGE)
	@$(SPARK) spark_app/evaluate_job.py --lake '$(LAKE)' --as-of '$(AS_OF)' $(if $(OUT),--out '$(OUT)')

score: stack-env ## LAKE=<folder> MODEL=<folder or models:/NAME/VERSION> OUT=<folder> [BUDGET=100]: scores, and each day's cards to look at
	$(LAKE_IS_SAID) $(or $(MODEL),$(error MODEL=<folder of an MLflow model, or models:/NAME/VERSION> is missing)) \
	  $(or $(OUT),$(error OUT=<folder> is missing))
	@$(ENVS) spark-image-$(IMAGE)
	@$(SPARK) spark_app/score_folder.py --lake '$(LAKE)' --model '$(MODEL)' --out '$(OUT)' $(if $(BUDGET),--budget '$(BUDGET)')
