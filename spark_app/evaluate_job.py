"""spark-submit entry point: train and measure as a retrain on a day would; prints one JSON object."""

import argparse
import json
from datetime import date
from pathlib import Path

from fraud_retraining import jobs
from fraud_retraining.lake import Files
from fraud_retraining.offline import evaluate
from fraud_retraining.output import check_file


def job(spark, options):
    if options.out:
        check_file(Files(spark, options.lake), options.out)
    report = json.dumps(evaluate(spark, options.lake, options.as_of), indent=1)
    print(report, flush=True)
    if options.out:
        Path(options.out).write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder of raw files, or a lake with raw/")
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
        required=True,
        help="day of the retrain, YYYY-MM-DD: labels are known up to 7 days before it; the 7 days that end there are"
        " the test week, the 7 days before these the delay",
    )
    parser.add_argument("--out", help="also write the JSON object to this file")
    jobs.run(parser, job)
