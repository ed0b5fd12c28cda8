"""spark-submit entry point: scores and daily lists of a folder of raw files, by any model; the lake is left alone."""

import argparse

from fraud_retraining import jobs
from fraud_retraining.arguments import add_budget
from fraud_retraining.offline import write_scores


def job(spark, options):
    with jobs.step("score") as say:
        days = write_scores(spark, options.lake, options.model, options.out, options.budget)
        say(f"{len(days)} days, lists in {options.out}/alerts")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="score", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder of raw files, or a lake with raw/")
    parser.add_argument(
        "--model",
        required=True,
        help="folder of an MLflow model, or models:/NAME/VERSION and models:/NAME@champion with MLFLOW_TRACKING_URI",
    )
    parser.add_argument("--out", required=True, help="folder for scores/ and alerts/: new, empty, or of an earlier run")
    add_budget(parser)
    jobs.run(parser, job, barrier=False)
