"""In the lab of a deployment: an experiment of MLflow's, which is to outlive what befalls its machines.

python -m tests.local.experiment FOLDER make|find    # prints its id
"""

import sys
from pathlib import Path

from stack.cloud.deployment import Deployment
from stack.cloud.system import CloudSystem

NAME = "kept"


def main() -> None:
    system = CloudSystem(Deployment(Path(sys.argv[1])))
    ours = system.outputs.mlflow
    with system.mlflow() as mlflow:
        mlflow.session.auth = (ours.user, system.secret(ours.secret_ids.admin, ours.secret_key))
        found = mlflow.get("api/2.0/mlflow/experiments/get-by-name", 30, experiment_name=NAME)
        if found.status_code == 404 and sys.argv[2] == "make":
            print(mlflow.post("experiments/create", 30, {"name": NAME})["experiment_id"])
            return
        found.raise_for_status()
        print(found.json()["experiment"]["experiment_id"])


if __name__ == "__main__":
    main()
