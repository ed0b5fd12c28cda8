"""spark-submit entry point: prepare and score new transactions by the version that serves, list cards to look at."""

import argparse

from fraud_retraining import credentials, jobs, scoring, service, tracking
from fraud_retraining.arguments import add_budget, add_limits, add_mlflow
from fraud_retraining.errors import BrokenFileError, QualityError
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare


def job(spark, options):
    credentials.provide(options.mlflow_secret)
    client = tracking.connect(options.mlflow_uri, options.experiment)
    version, booster = tracking.serving(client, options.model, options.version)
    lake = Lake(spark, options.lake)
    refused = None
    try:
        prepare(lake, options.run_id, options.max_quarantine, options.refunds, options.late_days)
    except (BrokenFileError, QualityError) as error:
        refused = error  # everything else is prepared, and people wait for its scores
    scorer = scoring.Scorer(version, booster, options.run_id, options.budget)
    report = scoring.score_lake(lake, scorer)
    weeks = service.measure(lake, options.model)
    report["weeks"] = {monday: service.in_words(found) for monday, found in weeks.items()}
    report["worse"] = [monday for monday, found in weeks.items() if service.is_worse(found)]
    lake.files.write_json(f"runs/{options.run_id}/score.json", report, replace=True)
    jobs.log.info("%d rows scored by version %s", report["rows"], report["version"])
    if refused:
        raise refused


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="score", description=__doc__)
    parser.add_argument("--lake", required=True, help="root of the lake: s3a://bucket or a folder")
    parser.add_argument("--run-id", required=True, help="names the run; a column of its scores")
    add_mlflow(parser)
    parser.add_argument("--version", help="scores, unless it has been rolled back (default: the one that serves)")
    add_limits(parser)
    add_budget(parser)
    jobs.run(parser, job, barrier=False)
