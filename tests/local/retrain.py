"""In the lab of a deployment: its Airflow retrains on a cluster, the decision is printed.

python -m tests.local.retrain FOLDER    # as JSON, on the last line
"""

import json
import sys
from pathlib import Path

from stack.cloud.deployment import Deployment
from stack.cloud.system import CloudSystem
from stack.common.release import MODEL
from stack.local.cycle import has_retrained
from stack.running.airflow_api import RETRAIN, SWEEP
from stack.running.watching import Watch


def main() -> None:
    system = CloudSystem(Deployment(Path(sys.argv[1])))
    airflow = system.airflow()
    airflow.unpause(SWEEP, RETRAIN)  # the first run is then the schedule's own
    run = Watch(airflow, RETRAIN, set(), has_retrained).wait()
    with system.mlflow() as mlflow:
        told = mlflow.get("api/2.0/mlflow/registered-models/alias", 30, name=MODEL, alias="champion").json()
    print(json.dumps({"decision": airflow.xcom(run, "decide"), "champion": told["model_version"]["version"]}))


if __name__ == "__main__":
    main()
