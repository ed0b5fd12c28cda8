"""Everything around the DAGs in the tests that run whole graphs.

The object store is moto's, the jobs are small scripts, MLflow's registry is a dictionary: tests/stack has the real
ones.
"""

import json
from pathlib import Path
from typing import Any

from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from dags.retraining import lake
from tests.support.airflow import CLUSTER, DAGS, dag_bag
from tests.support.cloud import FOLDER, Endpoint
from tests.support.registry import Models
from tests.support.variable import SETTINGS

STORE = "http://127.0.0.1:1"  # where moto answers in place of a server
SUCCESS, FAILED, SKIPPED, UPSTREAM = "success", "failed", "skipped", "upstream_failed"
VARIABLE = SETTINGS | {"cluster": CLUSTER}
JOB = """
import json, pathlib, sys
me = pathlib.Path(__file__)
me.with_suffix(".arguments").write_text(json.dumps(sys.argv[1:]))
"""


class World:
    """Everything around the DAGs, and `run`, which runs one of them to its end."""

    def __init__(self, cloud: Endpoint, s3: Any, jobs: Path, web: Any) -> None:
        self.cloud, self.s3, self.jobs, self.web, self.models = cloud, s3, jobs, web, Models(champion="1")
        self.bag = dag_bag(DAGS)
        assert self.bag.import_errors == {}

    def run(self, dag_id: str, **conf: Any) -> tuple[str, dict[str, str], Any]:
        """Returns the run's state, the states of its tasks, the run."""
        run = self.bag.dags[dag_id].test(run_conf=conf)
        return str(run.state), {one.task_id: str(one.state) for one in run.get_task_instances()}, run

    @property
    def alerts(self) -> list[str]:
        """Texts of the alerts that were delivered."""
        return [body["text"] for _, body in self.web.requests]

    def alive(self) -> list[Any]:
        stub = self.cloud.sdk().client(ClusterServiceStub)
        return list(stub.List(ListClustersRequest(folder_id=FOLDER)).clusters)

    def put(self, key: str, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.s3.put_object(Bucket="lake", Key=key, Body=body)

    def keys(self, prefix: str) -> list[str]:
        return lake.names(self.s3, "lake", prefix)

    def arguments(self, job: str) -> list[str]:
        return json.loads((self.jobs / f"{job}.arguments").read_text())


def environment(cloud: Endpoint, web: Any) -> dict[str, str]:
    """What a worker of Airflow has in its environment: connections, the variable, the authority that it trusts."""
    connections = {
        "YANDEXCLOUD_DEFAULT": {
            "conn_type": "yandexcloud",
            "extra": {"endpoint": cloud.address["grpc"], "folder_id": FOLDER},
        },
        "MLFLOW": {"conn_type": "http", "host": "mlflow.test"},
        "OBJECT_STORAGE": {
            "conn_type": "aws",
            "login": "key",
            "password": "secret",
            "extra": {"endpoint_url": STORE, "region_name": "us-east-1"},
        },
        "ALERT_SLACK": {"conn_type": "generic", "password": f"http://127.0.0.1:{web.port}/hook"},
    }
    return {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()} | {
        "AIRFLOW_VAR_FRAUD_RETRAINING": json.dumps(VARIABLE),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": cloud.address["ca"],
        "YC_METADATA_ADDR": cloud.address["metadata"]["airflow"],
        "MOTO_S3_CUSTOM_ENDPOINTS": STORE,
    }
