"""Brings code and settings to where the cloud's services look for them: buckets, Lockbox, MLflow's users.

The same steps serve one machine and the cloud; all of them can be run again.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import requests
import yandexcloud
from botocore.config import Config
from yandex.cloud.access.access_pb2 import AccessBinding, SetAccessBindingsRequest, Subject
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2 import (
    AddVersionRequest,
    CreateSecretRequest,
    ListSecretsRequest,
    PayloadEntryChange,
)
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from stack.envs import LOCKS, ROOT
from stack.errors import StackError
from stack.state import BUCKETS, DEPLOYER_KEY, FOLDER_ID, REGION, SERVICE_ACCOUNTS, SUBNET_ID, ZONE, State

EXPERIMENT, MODEL, TRAINER_SECRET = "fraud-retraining", "fraud", "mlflow-trainer"
# On the image already: Spark itself.
ON_THE_IMAGE = {"pyspark", "py4j"}


def object_store(state: State) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=state.url("object_store"),
        aws_access_key_id=state.secrets["object_store_key"],
        aws_secret_access_key=state.secrets["object_store_secret"],
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}),
    )


def make_buckets(state: State) -> None:
    s3 = object_store(state)
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in set(BUCKETS) - there:
        s3.create_bucket(Bucket=name)


# ------------------------------------------------------------------------------------------------ code
def source_files(folder: Path) -> list[Path]:
    """Files of a source folder, sorted, without what Python leaves behind."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def zip_of(package: Path) -> bytes:
    """The package as a zip file; equal bytes for equal sources, so that a release is named by its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in source_files(package):
            entry = zipfile.ZipInfo(str(path.relative_to(package.parent)), date_time=(2018, 1, 1, 0, 0, 0))
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def upload_jobs(s3: Any, bucket: str) -> str:
    """Uploads the Spark application and its pins as `<release>/…`; returns the release, the hash of all of it."""
    folder = ROOT / "spark_app"
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    files["fraud_retraining.zip"] = zip_of(folder / "fraud_retraining")
    files |= {f"pins-{image}.txt": (LOCKS / f"spark-image-{image}.txt").read_bytes() for image in ("2.1", "2.2")}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()[:12]
    for name, content in files.items():
        s3.put_object(Bucket=bucket, Key=f"{digest}/{name}", Body=content)
    return digest


def dag_files(schedule: str) -> dict[str, bytes]:
    """Object key -> content of everything that Airflow is given."""
    folder = ROOT / "dags"
    files = {f"dags/{path.relative_to(folder)}": path.read_bytes() for path in source_files(folder)}
    return files | {"dags/retraining/settings.json": json.dumps({"schedule": schedule}).encode()}


def upload_dags(s3: Any, bucket: str, files: dict[str, bytes]) -> None:
    """Makes the bucket hold these files; objects that are no longer ours go."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="dags/")
    there = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", ())}
    # Helpers first: a DAG must never be parsed against an older helper.
    for key, content in sorted(files.items(), key=lambda item: -item[0].count("/")):
        if there.get(key) != hashlib.md5(content, usedforsecurity=False).hexdigest():
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    for key in set(there) - set(files):
        s3.delete_object(Bucket=bucket, Key=key)


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


def secrets_by_name(cloud: yandexcloud.SDK, folder_id: str) -> dict[str, Secret]:
    service = cloud.client(SecretServiceStub)
    found: dict[str, Secret] = {}
    token = ""
    while True:
        page = service.List(ListSecretsRequest(folder_id=folder_id, page_size=100, page_token=token))
        found |= {secret.name: secret for secret in page.secrets}
        token = page.next_page_token
        if not token:
            return found


def payload(cloud: yandexcloud.SDK, secret_id: str) -> dict[str, str]:
    """The text entries of a secret's current version."""
    answer = cloud.client(PayloadServiceStub).Get(GetPayloadRequest(secret_id=secret_id))
    return {entry.key: entry.text_value for entry in answer.entries}


def put_secret(
    cloud: yandexcloud.SDK, folder_id: str, known: dict[str, Secret], name: str, entries: dict[str, str]
) -> str:
    """Makes the secret hold these entries; a new version only where they differ. Returns its id."""
    service = cloud.client(SecretServiceStub)
    changes = [PayloadEntryChange(key=key, text_value=value) for key, value in entries.items()]
    if name not in known:
        request = CreateSecretRequest(folder_id=folder_id, name=name, version_payload_entries=changes)
        return cloud.wait_operation_and_get_result(service.Create(request), response_type=Secret).response.id
    secret = known[name]
    # A secret that Terraform has made has no version before the first deployment.
    if not secret.current_version.id or payload(cloud, secret.id) != entries:
        cloud.wait_operation_and_get_result(
            service.AddVersion(AddVersionRequest(secret_id=secret.id, payload_entries=changes))
        )
    return secret.id


def let_read(cloud: yandexcloud.SDK, secret_id: str, account_id: str) -> None:
    """Lets one service account, and nobody else by this binding, read one secret."""
    binding = AccessBinding(role_id="lockbox.payloadViewer", subject=Subject(id=account_id, type="serviceAccount"))
    cloud.wait_operation_and_get_result(
        cloud.client(SecretServiceStub).SetAccessBindings(
            SetAccessBindingsRequest(resource_id=secret_id, access_bindings=[binding])
        )
    )


def pip_properties(image: str) -> dict[str, str]:
    """The image's locked packages as Data Proc's `pip:` properties."""
    lines = (LOCKS / f"spark-image-{image}.in").read_text().splitlines()
    wanted = {line.split("==")[0].strip() for line in lines if line.strip() and not line.startswith("#")}
    locked = dict(
        line.split(" ")[0].split("==")
        for line in (LOCKS / f"spark-image-{image}.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    return {f"pip:{name}": f"=={locked[name]}" for name in sorted(wanted - ON_THE_IMAGE)}


def retraining_variable(
    buckets: Mapping[str, str], cluster: Mapping[str, Any], release: str, trainer_secret: str
) -> dict[str, Any]:
    """The Airflow variable `fraud_retraining`; dags/retraining/settings.py says what it must hold.

    Args:
        buckets: the names of the buckets `lake`, `jobs` and `logs`.
        cluster: what a run's cluster is made of, without its bucket and its packages.
    """
    return {
        "lake_bucket": buckets["lake"],
        "jobs_bucket": buckets["jobs"],
        "release": release,
        "model": MODEL,
        "experiment": EXPERIMENT,
        "mlflow_secret_id": trainer_secret,
        "cluster": {**cluster, "bucket": buckets["logs"], "properties": pip_properties(cluster["image"])},
        "spark": {"spark.dynamicAllocation.enabled": "false"},
    }


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


def put_for_airflow(
    cloud: yandexcloud.SDK, folder_id: str, known: dict[str, Secret], values: Mapping[str, Mapping[str, Any]]
) -> None:
    """Airflow's connections and variables, by the names under which its Lockbox back-end looks for them."""
    for name, value in values.items():
        put_secret(cloud, folder_id, known, name, {"value": json.dumps(value, sort_keys=True)})


def put_secrets(state: State, release: str, image: str) -> None:
    """Lockbox: what jobs need to reach MLflow, and Airflow's connections and variables."""
    cloud, secrets = sdk(state), state.secrets
    known = secrets_by_name(cloud, FOLDER_ID)
    account = {"username": "trainer", "password": secrets["mlflow_trainer_password"]}
    trainer = put_secret(cloud, FOLDER_ID, known, TRAINER_SECRET, account)
    let_read(cloud, trainer, SERVICE_ACCOUNTS["dataproc"])
    mlflow = {
        **{"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": state.ports["mlflow"]},
        **{"login": "airflow", "password": secrets["mlflow_airflow_password"]},
    }
    storage = {
        **{"conn_type": "aws", "login": secrets["object_store_key"], "password": secrets["object_store_secret"]},
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
