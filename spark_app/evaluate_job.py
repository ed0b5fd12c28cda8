"""spark-submit entry point: train and measure as a retrain on a day would; prints one JSON object."""

import argparse
import json
from datetime import date
from pathlib import Path

from fraud_retraining import jobs
from fraud_retraining.lake import Files
from fraud_retraining.offline import evaluate_and_report
from fraud_retraining.output import beside, check_report
from fraud_retraining.reporting import pages


def job(spark, options):
    if options.out:
        check_report(Files(spark, options.lake), options.out)
    found, report = evaluate_and_report(spark, options.lake, options.as_of)
    text = json.dumps(found, indent=1)
    print(text, flush=True)
    if options.out:
        Path(options.out).write_text(text + "\n", encoding="utf-8")
        written = pages.written(report)
        for place, name in beside(options.out).items():
            place.write_text(written[name], encoding="utf-8")
            jobs.log.info("written: %s", place)


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
    parser.add_argument("--out", help="also write the JSON object to this file, and its report beside it")
    jobs.run(parser, job)
