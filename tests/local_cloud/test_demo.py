"""What the demo asks of its own cloud is accepted there: its network, its quotas, its packages, its account's roles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.dataproc.v1 import cluster_service_pb2 as service
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from stack.common.release import pip_properties
from stack.local.programs.cloud import cloud_config
from stack.local.state import FOLDER_ID, SERVICE_ACCOUNTS, SUBNET_ID, ZONE, State
from tests.support.cloud import Endpoint, ObjectStore

GIB = 1 << 30


def request_of_a_run(image: str, name: str) -> Any:
    """The cluster of a run of the demo, as the operators ask for it."""
    request = service.CreateClusterRequest(
        folder_id=FOLDER_ID,
        name=name,
        zone_id=ZONE,
        bucket="logs",
        service_account_id=SERVICE_ACCOUNTS["dataproc"],
        labels={"owner": "fraud-retraining", "run": name, "expires": "20261126t180000z"},
    )
    specification = request.config_spec
    specification.version_id = image
    specification.hadoop.services.extend(["YARN", "SPARK"])
    specification.hadoop.oslogin_enabled = True
    for key, value in pip_properties(image).items():
        specification.hadoop.properties[key] = value
    for role, preset, count in (("MASTERNODE", "s3-c2-m8", 1), ("COMPUTENODE", "s3-c4-m16", 2)):
        resources = {"resource_preset_id": preset, "disk_type_id": "network-ssd", "disk_size": 20 * GIB}
        specification.subclusters_spec.add(
            name=role.lower(), role=role, resources=resources, subnet_id=SUBNET_ID, hosts_count=count
        )
    return request


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_the_cluster_of_a_run_is_accepted_and_one_left_behind_does_not_stand_in_its_way(
    new_endpoint: Callable[..., Endpoint], object_store: ObjectStore, version: str, tmp_path: Path
) -> None:
    state = State(tmp_path / "demo")
    state.create(None)
    own = new_endpoint()
    fake = own.config["images"]["2.2"]
    own.config = {**cloud_config(state), "state": str(own.state), "images": {version: fake}}
    own.config["object_store"]["endpoint"] = object_store.url
    stub = own.start().machine("airflow").client(ClusterServiceStub)
    for name in ("run-1", "run-2"):
        assert stub.Create(request_of_a_run(version, name)).id
