"""Stands in for spark_app/train.py in the drill: records a run and a version in MLflow as the real one does.

The decision is always to promote the new version, so that every green run must move the alias.
"""

import argparse
import time

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from fraud_retraining import credentials

SECONDS = 5


def champion(client, model):
    """Version of the alias, or None."""
    try:
        return str(client.get_model_version_by_alias(model, "champion").version)
    except MlflowException:
        return None


def train(client, experiment, model, run_id):
    found = client.get_experiment_by_name(experiment)
    run = client.create_run(found.experiment_id, run_name=run_id, tags={"retrain_run_id": run_id})
    before = champion(client, model)
    source = f"{run.info.artifact_uri}/model"
    client.log_text(run.info.run_id, "name: stand-in\n", "model/MLmodel")
    version = str(client.create_model_version(model, source, run.info.run_id).version)
    decision = {
        "run_id": run_id,
        "mlflow_run_id": run.info.run_id,
        "as_of": None,
        "windows": {},
        "champion": {"version": before, "metrics": None} if before else None,
        "challenger": {"version": version, "metrics": {}},
        "candidates": [],
        "skipped": [],
        "comparison": None,
        "action": "promote",
        "winner": version,
        "reason": "the drill always promotes",
    }
    client.log_text(run.info.run_id, "<p>A drill</p>\n", "report.html")
    client.log_dict(run.info.run_id, decision, "decision.json")
    client.set_terminated(run.info.run_id)
    return version


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    for name in ("lake", "run-id", "mlflow-uri", "mlflow-secret", "experiment", "model"):
        parser.add_argument(f"--{name}", required=True)
    options, _ = parser.parse_known_args()
    credentials.provide(options.mlflow_secret)
    time.sleep(SECONDS)
    print("version", train(MlflowClient(options.mlflow_uri), options.experiment, options.model, options.run_id))
