"""Brings code and settings to where the cloud's services look for them: buckets, Lockbox.

The same steps serve one machine and the cloud; all of them can be run again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yandexcloud

from dags.retraining.patience import FRESH, Patience
from local_cloud import pricing
from stack.common.lockbox import let_read, put_for_airflow, put_secret, secrets_by_name
from stack.common.release import TRAINER_SECRET, retraining_variable
from stack.common.storage import REGION, storage_client
from stack.local.state import BUCKETS, DEPLOYER_KEY, FOLDER_ID, SERVICE_ACCOUNTS, SUBNET_ID, ZONE, State


def object_store(state: State) -> Any:
    return storage_client(
        state.url("object_store"), state.secrets["object_store_key"], state.secrets["object_store_secret"]
    )


def make_buckets(state: State) -> None:
    s3 = object_store(state)
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in set(BUCKETS) - there:
        s3.create_bucket(Bucket=name)


def sdk(state: State, patience: Patience = FRESH) -> yandexcloud.SDK:
    """The cloud's SDK in the name of the deployer."""
    key = {
        "id": DEPLOYER_KEY,
        "service_account_id": SERVICE_ACCOUNTS["deployer"],
        "private_key": state.secrets["deployer_private_key"],
    }
    made = yandexcloud.SDK(
        endpoint=state.cloud_endpoint, service_account_key=key, root_certificates=state.ca.read_bytes()
    )
    return patience.sdk(made)


VARIABLE = "airflow/variables/fraud_retraining"
NO_BUDGET: Mapping[str, float] = MappingProxyType({})
# Of what YARN gives to a cluster, a machine with few cores has no use for more than two of each host.
COMPUTE_PRESETS = {"local": "s3-c4-m16", "yarn": "s3-c2-m8"}


def local_cluster(image: str, engine: str) -> dict[str, Any]:
    """The cluster of one machine's cloud; Terraform's output `dataproc` says the same of the real one."""
    return {
        "folder_id": FOLDER_ID,
        "image": image,
        "zone": ZONE,
        "subnet_id": SUBNET_ID,
        "service_account_id": SERVICE_ACCOUNTS["dataproc"],
        "master_preset": "s3-c2-m8",
        "compute_preset": COMPUTE_PRESETS[engine],
        "compute_count": 2,
        "disk_gib": 20,  # three clusters fit a new cloud, should one be left behind
        "hours": 6,
    }


def promotion(hours: int, rule: str | None = None) -> dict[str, Any]:
    """Who decides that a better model serves, a person who has so many hours or nobody; by which rule, if said."""
    who = {"mode": "approval", "hours": hours} if hours else {"mode": "automatic"}
    return who | ({"rule": rule} if rule else {})


def put_secrets(
    state: State,
    release: str,
    image: str,
    *,
    budget: Mapping[str, float] = NO_BUDGET,
    promotion: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Lockbox: what jobs need to reach MLflow, and Airflow's connections and variables."""
    cloud, secrets, cluster = sdk(state), state.secrets, local_cluster(image, state.engine)
    known = secrets_by_name(cloud, FOLDER_ID)
    account = {"username": "trainer", "password": secrets["mlflow_trainer_password"]}
    trainer = put_secret(cloud, FOLDER_ID, known, TRAINER_SECRET, account)
    let_read(cloud, trainer, SERVICE_ACCOUNTS["dataproc"])
    mlflow = {
        "conn_type": "http",
        "schema": "http",
        "host": "127.0.0.1",
        "port": state.ports["mlflow"],
        "login": "airflow",
        "password": secrets["mlflow_airflow_password"],
    }
    storage = {
        "conn_type": "aws",
        "login": secrets["object_store_key"],
        "password": secrets["object_store_secret"],
        "extra": {"endpoint_url": state.url("object_store"), "region_name": REGION},
    }
    values: dict[str, dict[str, Any]] = {
        "airflow/connections/mlflow": mlflow,
        "airflow/connections/object_storage": storage,
        VARIABLE: retraining_variable(
            {name: name for name in BUCKETS},
            cluster,
            release,
            trainer,
            promotion=promotion,
            budget=budget,
            prices=pricing.hour_of(cluster),
        ),
    }
    put_for_airflow(cloud, FOLDER_ID, known, values)
