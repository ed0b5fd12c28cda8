"""Airflow's connections and variable, as secrets in Lockbox."""

from dataclasses import asdict
from typing import Any

from stack.cloud.account import Account, storage_endpoint
from stack.cloud.outputs import Outputs
from stack.common import lockbox, release
from stack.common.storage import REGION

VARIABLE = "airflow/variables/fraud_retraining"
LOGIN_OF_JOBS = "jobs/mlflow"  # what jobs log in to MLflow with


def put_airflow_secrets(account: Account, outputs: Outputs, uploaded: str, authority: str) -> None:
    """Passwords go from one secret to another, through memory only.

    Args:
        uploaded: the jobs' release.
        authority: the certificate (PEM) that MLflow's clients are to trust.
    """
    cloud, folder_id, mlflow = account.sdk(), outputs.folder_id, outputs.mlflow
    known = lockbox.secrets_by_name(cloud, folder_id)
    passwords = {
        "airflow": lockbox.payload(cloud, mlflow.secret_ids.airflow)[mlflow.secret_key],
        "trainer": lockbox.payload(cloud, mlflow.secret_ids.trainer)[mlflow.secret_key],
    }
    storage = lockbox.payload(cloud, outputs.airflow.object_storage_secret_id)
    jobs = {"username": "trainer", "password": passwords["trainer"], "ca": authority}
    jobs_secret = lockbox.put_secret(cloud, folder_id, known, LOGIN_OF_JOBS, jobs)
    values: dict[str, dict[str, Any]] = {
        "airflow/connections/mlflow": {
            "conn_type": "http",
            "schema": "https",
            "host": mlflow.host,
            "port": 443,
            "login": "airflow",
            "password": passwords["airflow"],
            "extra": {"ca": authority},
        },
        "airflow/connections/object_storage": {
            "conn_type": "aws",
            "login": storage["access_key"],
            "password": storage["secret_key"],
            "extra": {"endpoint_url": storage_endpoint(), "region_name": REGION},
        },
        VARIABLE: release.retraining_variable(
            asdict(outputs.buckets), cluster(outputs), uploaded, jobs_secret, asdict(outputs.quality)
        ),
    }
    lockbox.put_for_airflow(cloud, folder_id, known, values)


def cluster(outputs: Outputs) -> dict[str, Any]:
    """What a run's cluster is made of, as dags/retraining/plan.py reads it."""
    spec = {
        "folder_id": outputs.folder_id,
        **asdict(outputs.dataproc),
        "max_hosts": outputs.dataproc.compute_max_count,
    }
    return {name: value for name, value in spec.items() if value is not None}
