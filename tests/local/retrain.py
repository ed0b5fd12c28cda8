"""In the lab of a deployment: its Airflow retrains on a cluster of the run; the decision is printed.

The first time the run is the schedule's own, afterwards one that a person triggers.

python -m tests.local.retrain FOLDER    # as JSON, on the last line
"""

import json
import sys
from pathlib import Path

from stack.cloud.deployment import Deployment
from stack.cloud.system import CloudSystem
from stack.common.release import MODEL
from stack.common.waiting import wait_until
from stack.local.cycle import has_retrained
from stack.running.airflow_api import RETRAIN, SWEEP, Airflow
from stack.running.watching import Watch

PARSED = 300  # seconds until Airflow must have parsed the DAGs


def knows(airflow: Airflow) -> bool:
    return RETRAIN in {dag["dag_id"] for dag in airflow.call("GET", "dags")["dags"]}


def main() -> None:
    system = CloudSystem(Deployment(Path(sys.argv[1])))
    airflow = system.airflow()
    if not wait_until(lambda: knows(airflow), PARSED, 2):
        sys.exit(f"Airflow has no `{RETRAIN}` {PARSED} s after the deployment was made")
    before = {run["dag_run_id"] for run in airflow.runs()}
    airflow.unpause(SWEEP, RETRAIN)
    if before:
        airflow.trigger(RETRAIN, {})
    run = Watch(airflow, RETRAIN, before, has_retrained).wait()
    with system.mlflow() as mlflow:
        told = mlflow.get("api/2.0/mlflow/registered-models/alias", 30, name=MODEL, alias="champion").json()
        query = f"name='{MODEL}'"
        found = mlflow.get("api/2.0/mlflow/model-versions/search", 30, filter=query).json()
    versions = sorted(each["version"] for each in found["model_versions"])
    champion = told["model_version"]["version"]
    print(json.dumps({"decision": airflow.xcom(run, "decide"), "champion": champion, "versions": versions}))


if __name__ == "__main__":
    main()
