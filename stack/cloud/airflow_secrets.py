"""Airflow's connections and variable, as secrets in Lockbox."""

import json
from dataclasses import asdict
from typing import Any

import yandexcloud
from yandex.cloud.lockbox.v1.secret_pb2 import Secret

from dags.retraining.patience import FRESH
from local_cloud import pricing
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
    cloud, folder_id, mlflow = account.sdk(FRESH), outputs.folder_id, outputs.mlflow
    known = ours(cloud, outputs)
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
        VARIABLE: chosen_by_hand(cloud, known[VARIABLE])
        | release.retraining_variable(
            asdict(outputs.buckets),
            cluster(outputs),
            uploaded,
            jobs_secret,
            quality=asdict(outputs.quality),
            ripening=asdict(outputs.ripening),
            score=asdict(outputs.score),
            budget=asdict(outputs.budget),
            prices=pricing.hour_of(asdict(outputs.dataproc)),
            promotion=said(asdict(outputs.promotion)),
        ),
    }
    lockbox.put_for_airflow(cloud, folder_id, known, values)


def said(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without those of which nothing is said: of these the application's own default holds."""
    return {name: value for name, value in settings.items() if value is not None}


def ours(cloud: yandexcloud.SDK, outputs: Outputs) -> dict[str, Secret]:
    """The secrets that Terraform has made empty, by what they are for: another deployment in the folder has its own."""
    return {purpose: lockbox.secret(cloud, secret_id) for purpose, secret_id in outputs.connections.items()}


def chosen_by_hand(cloud: yandexcloud.SDK, secret: Secret) -> dict[str, Any]:
    """What a person has set in the variable and no setting here says: it stays."""
    if not secret.current_version.id:
        return {}
    before = json.loads(lockbox.payload(cloud, secret.id)["value"])
    return {key: before[key] for key in ("monitor", "spark") if before.get(key)}


def cluster(outputs: Outputs) -> dict[str, Any]:
    """What a run's cluster is made of, as dags/retraining/plan.py reads it."""
    spec = {
        "folder_id": outputs.folder_id,
        **asdict(outputs.dataproc),
        "max_hosts": outputs.dataproc.compute_max_count,
    }
    return {name: value for name, value in spec.items() if value is not None}
