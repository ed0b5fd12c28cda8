"""Brings code and settings to where the cloud's services look for them: buckets, Lockbox, MLflow's users.

The same steps serve one machine and the cloud; all of them can be run again.
"""

from typing import Any

import requests
import yandexcloud

from stack.common.errors import StackError
from stack.common.lockbox import let_read, put_for_airflow, put_secret, secrets_by_name
from stack.common.release import EXPERIMENT, MODEL, TRAINER_SECRET, retraining_variable
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


# ------------------------------------------------------------------------------------------------ secrets
def sdk(state: State) -> yandexcloud.SDK:
    """The cloud's SDK in the name of the deployer."""
    key = {
        "id": DEPLOYER_KEY,
        "service_account_id": SERVICE_ACCOUNTS["deployer"],
        "private_key": state.secrets["deployer_private_key"],
    }
    return yandexcloud.SDK(
        endpoint=state.cloud_endpoint, service_account_key=key, root_certificates=state.ca.read_bytes()
    )


def local_cluster(image: str) -> dict[str, Any]:
    """The cluster of one machine's cloud; Terraform's output `dataproc` says the same of the real one."""
    return {
        "folder_id": FOLDER_ID,
        "image": image,
        "zone": ZONE,
        "subnet_id": SUBNET_ID,
        "service_account_id": SERVICE_ACCOUNTS["dataproc"],
        "master_preset": "s3-c2-m8",
        "compute_preset": "s3-c4-m16",
        "compute_count": 2,
        "disk_gib": 64,
        "hours": 6,
    }


def put_secrets(state: State, release: str, image: str) -> None:
    """Lockbox: what jobs need to reach MLflow, and Airflow's connections and variables."""
    cloud, secrets = sdk(state), state.secrets
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
        "airflow/variables/fraud_retraining": retraining_variable(
            {name: name for name in BUCKETS}, local_cluster(image), release, trainer
        ),
    }
    put_for_airflow(cloud, FOLDER_ID, known, values)


# ------------------------------------------------------------------------------------------------ MLflow's users
class Mlflow:
    """MLflow's REST API in the name of its administrator."""

    def __init__(self, state: State) -> None:
        self.url = f"{state.url('mlflow')}/api"
        self.session = requests.Session()
        self.session.auth = ("admin", state.secrets["mlflow_admin_password"])

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Calls the API; what exists already counts as done."""
        answer = self.session.post(f"{self.url}/{path}", json=body, timeout=60)
        if not answer.ok and '"RESOURCE_ALREADY_EXISTS"' not in answer.text:
            raise StackError(f"MLflow refused {path}: status {answer.status_code}, {answer.text[:300]}")

    def experiment_id(self, name: str) -> str:
        self.post("2.0/mlflow/experiments/create", {"name": name})
        query = {"experiment_name": name}
        answer = self.session.get(f"{self.url}/2.0/mlflow/experiments/get-by-name", params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()["experiment"]["experiment_id"]


def make_mlflow_users(state: State) -> None:
    """The users `trainer` (the jobs) and `airflow` (the DAG); both may edit the one experiment and the one model."""
    server = Mlflow(state)
    resources = {"experiment": server.experiment_id(EXPERIMENT), "registered_model": MODEL}
    server.post("2.0/mlflow/registered-models/create", {"name": MODEL})
    for user in ("trainer", "airflow"):
        account = {"username": user, "password": state.secrets[f"mlflow_{user}_password"]}
        server.post("2.0/mlflow/users/create", account)
        for kind, name in resources.items():
            grant = {"username": user, "resource_type": kind, "resource_id": name, "permission": "EDIT"}
            server.post("3.0/mlflow/users/permissions/grant", grant)
