"""Airflow's variable `fraud_retraining` as a deployment may have it; tests change what they are about."""

from typing import Any

SETTINGS: dict[str, Any] = {
    "lake_bucket": "lake",
    "jobs_bucket": "jobs",
    "release": "abc",
    "model": "fraud",
    "experiment": "e",
    "mlflow_secret_id": "secret-1",
    "spark": {},
    "cluster": {
        "folder_id": "f",
        "image": "2.2",
        "zone": "z",
        "subnet_id": "s",
        "bucket": "logs",
        "service_account_id": "a",
        "master_preset": "s3-c2-m8",
        "compute_preset": "s3-c4-m16",
        "compute_count": 2,
        "disk_gib": 64,
        "hours": 6,
        "properties": {"pip:xgboost-cpu": "2.1.4"},
    },
}
