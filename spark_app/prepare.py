"""spark-submit entry point: check and clean the raw files that are not prepared yet."""

import argparse

from fraud_retraining import jobs
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare


def job(spark, options):
    report = prepare(Lake(spark, options.lake), options.run_id, options.max_quarantine)
    jobs.log.info("prepared %d of %d rows, quarantined %s", report["prepared"], report["rows"], report["quarantined"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__)
    parser.add_argument("--lake", required=True, help="root of the lake: s3a://bucket or a folder")
    parser.add_argument("--run-id", required=True, help="names the run; its report goes to runs/<run id>/prepare.json")
    parser.add_argument(
        "--max-quarantine", type=float, default=0.01, help="largest share of bad rows in a file (default %(default)s)"
    )
    jobs.run(parser, job, barrier=False)
