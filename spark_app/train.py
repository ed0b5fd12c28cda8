"""spark-submit entry point: train a challenger, compare it with the champion and earlier versions, record it."""

import argparse
from datetime import date

from fraud_retraining import __version__, credentials, jobs, tracking
from fraud_retraining.arguments import add_budget, add_mlflow, share
from fraud_retraining.lake import Lake
from fraud_retraining.reporting.gather import Terms
from fraud_retraining.ripening import RIPE
from fraud_retraining.tournament import GATES, Gate
from fraud_retraining.training import Request, Settings, retrain


def job(spark, options):
    credentials.provide(options.mlflow_secret)
    client = tracking.connect(options.mlflow_uri, options.experiment)
    terms = Terms(options.price_per_hour, options.currency, options.owner, options.budget)
    request = Request(options.run_id, options.model, options.as_of, options.dry_run, options.release, terms)
    decision = retrain(
        Lake(spark, options.lake), client, request, Settings(ripe=options.ripe, gate=GATES[options.promotion_rule])
    )
    jobs.log.info("%s: %s", decision["action"], decision["reason"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument("--lake", required=True, help="root of the lake: s3a://bucket or a folder")
    parser.add_argument("--run-id", required=True, help="names the run; a tag of its MLflow run")
    add_mlflow(parser)
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
        help="day of the retrain, YYYY-MM-DD (default: day after the newest complete day)",
    )
    parser.add_argument("--release", default=__version__, help="names the code, for the record (default %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="compare and report; register nothing")
    parser.add_argument(
        "--ripe",
        type=share,
        default=RIPE,
        help="share of a day's frauds that must be known before it is measured (default %(default)s)",
    )
    parser.add_argument(
        "--promotion-rule",
        choices=sorted(GATES),
        default=Gate.rule,
        help="what promotes: the gate on one week, or else (weeks) the evidence of many (default %(default)s)",
    )
    add_budget(parser)
    parser.add_argument("--owner", default="fraud-retraining", help="who answers for the model; stands on its card")
    parser.add_argument("--price-per-hour", type=float, help="of the whole cluster; the report tells each step's cost")
    parser.add_argument("--currency", default="", help="of that price")
    jobs.run(parser, job)
