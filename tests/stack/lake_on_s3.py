"""What a lake on an object store goes through, in an image's environment: prints what came of it as one line of JSON.

python -m tests.stack.lake_on_s3 LAKE OUT
"""

import json
import sys
from datetime import date

from fraud_retraining import jobs, offline, training
from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Files, Lake
from fraud_retraining.preparation import prepare

SETTINGS = training.Settings(train_days=7)


def refusal(spark, lake, out):
    try:
        offline.write_features(spark, lake, out)
    except RetrainingError as error:
        return str(error)
    return None


def main(root, out):
    spark = jobs.session("lake-on-s3")
    lake = Lake(spark, root)
    prepared = prepare(lake, "one")
    again = prepare(lake, "two")
    data = training.load(lake, None, SETTINGS)
    found = {
        "files": prepared["files"],
        "prepared": prepared["prepared"],
        "quarantined": prepared["quarantined"],
        "again": again["files"],
        "as_of": str(data.as_of),
        "trained": data.train.count(),
        "tested": data.test.count(),
    }
    for _ in range(2):  # the second replaces what the first wrote
        offline.write_features(spark, root, out)
    written = Files(spark, out)
    found["features"] = written.parquet([info.path for info in written.list("")]).count()
    split, rows = offline.read(Files(spark, root), date(2018, 4, 29), SETTINGS)
    found["evaluated"] = training.make_data(rows, date(2018, 4, 29), split, SETTINGS, "").train.count()
    places = [root, f"{root}/features", root.rpartition("/")[0], root.replace("s3a:", "s3:", 1), f"{root}/raw/../f"]
    found["refused"] = [refusal(spark, root, place) for place in places]
    print(json.dumps(found), flush=True)
    jobs.stop(spark, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
