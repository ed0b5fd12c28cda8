"""spark-submit entry point: features of a folder of raw files as Parquet, one row a transaction."""

import argparse

from fraud_retraining import jobs
from fraud_retraining.offline import write_features


def job(spark, options):
    with jobs.step("features") as say:
        write_features(spark, options.lake, options.out)
        say(f"written to {options.out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="features", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder of raw files, or a lake with raw/")
    parser.add_argument(
        "--out", required=True, help="folder for the Parquet files: new, empty, or of an earlier run, which is replaced"
    )
    jobs.run(parser, job, barrier=False)
