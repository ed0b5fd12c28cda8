"""spark-submit entry point: check and clean the raw files that are new or have changed."""

import argparse

from fraud_retraining import jobs
from fraud_retraining.arguments import add_limits
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare


def job(spark, options):
    lake = Lake(spark, options.lake)
    report = prepare(lake, options.run_id, options.max_quarantine, options.refunds, options.late_days)
    for name, change in report["corrected"].items():
        jobs.log.info(
            "%s was corrected: %d labels changed, %d rows added, %d removed",
            *(name, change["labels"], change["added"], change["removed"]),
        )
    jobs.log.info("prepared %d of %d rows, quarantined %s", report["prepared"], report["rows"], report["quarantined"])
    if report["unlabelled"]:
        jobs.log.info(
            "%d of these rows have no label yet: nothing is trained or measured on them", report["unlabelled"]
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__)
    parser.add_argument("--lake", required=True, help="root of the lake: s3a://bucket or a folder")
    parser.add_argument("--run-id", required=True, help="names the run; its report goes to runs/<run id>/prepare.json")
    add_limits(parser)
    jobs.run(parser, job, barrier=False)
