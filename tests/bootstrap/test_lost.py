"""What the cloud has and the state does not know: named with its resource, and taken into the state on request."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from yandex.cloud.airflow.v1 import cluster_pb2, cluster_service_pb2_grpc
from yandex.cloud.airflow.v1.cluster_service_pb2 import ListClustersResponse
from yandex.cloud.vpc.v1 import network_service_pb2_grpc
from yandex.cloud.vpc.v1.network_service_pb2 import ListNetworksRequest, ListNetworksResponse

from stack.cloud import leftovers, lost
from stack.cloud.airflow_version import compare
from stack.cloud.deployment import Deployment
from stack.cloud.terraform import Terraform
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import PREFIX
from tests.bootstrap.test_quotas import Sdk
from tests.support.cloud import FOLDER

ADDRESS = "yandex_airflow_cluster.main[0]"


def creates(address: str, name: str) -> dict[str, Any]:
    change = {"actions": ["create"], "before": None, "after": {"name": name}}
    return {"type": address.partition(".")[0], "address": address, "change": change}


class Folder(cluster_service_pb2_grpc.ClusterServiceServicer, network_service_pb2_grpc.NetworkServiceServicer):
    """Lists one Airflow, and no network."""

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(request, ListNetworksRequest):
            return ListNetworksResponse()
        return ListClustersResponse(clusters=[cluster_pb2.Cluster(id="c9q1", name=f"{PREFIX}-airflow")])


def test_an_airflow_that_outlived_its_apply_is_named_with_the_command_that_takes_it() -> None:
    """The provider gives up while the service goes on; the next plan would make it again, and be refused."""
    server = grpc.server(ThreadPoolExecutor(1))
    cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(Folder(), server)
    network_service_pb2_grpc.add_NetworkServiceServicer_to_server(Folder(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        changes = [creates(ADDRESS, f"{PREFIX}-airflow"), creates("yandex_vpc_network.main", PREFIX)]
        found = lost.find(Sdk(channel), FOLDER, changes)
    server.stop(None)
    with pytest.raises(StackError) as refused:
        lost.refuse(found)
    said = str(refused.value)
    assert f"{ADDRESS} is Airflow cluster {PREFIX}-airflow (c9q1)" in said
    assert f"make bootstrap IMPORT='{ADDRESS}=c9q1'" in said
    assert "yandex_vpc_network" not in said


def test_what_is_not_there_is_not_lost() -> None:
    lost.refuse([])


def test_every_kind_is_one_that_the_cloud_lists() -> None:
    assert set(lost.KINDS.values()) <= set(leftovers.KINDS)


@pytest.mark.parametrize("actions", [["update"], ["no-op"], ["delete", "create"]])
def test_what_the_state_knows_is_not_lost(actions: list[str]) -> None:
    known = creates(ADDRESS, "x")
    known["change"]["actions"] = actions
    assert lost.find(None, FOLDER, [known]) == []  # without asking anybody


def test_it_is_taken_into_the_state(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "terraform").mkdir()
    for address, identity in lost.parse_imports(f'{ADDRESS}=c9q1 yandex_vpc_address.public["mlflow"]=e9b2'):
        Terraform(deployment, ".", dict(os.environ)).adopt(address, identity)
    assert (tmp_path / "arguments").read_text().splitlines()[-4:] == [
        "import",
        "-no-color",
        'yandex_vpc_address.public["mlflow"]',
        "e9b2",
    ]


@pytest.mark.parametrize("text", ["c9q1", "=c9q1", f"{ADDRESS}=", f"{ADDRESS}=c9q1 more"])
def test_what_is_no_import_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="ADDRESS=ID is expected"):
        lost.parse_imports(text)


# ------------------------------------------------------------------------------------------------ Airflow's version
def airflow(version: str, **more: Any) -> cluster_pb2.Cluster:
    config = cluster_pb2.ClusterConfig(airflow_version=version)
    return cluster_pb2.Cluster(id="c9q1", name=f"{PREFIX}-airflow", config=config, **more)


@pytest.mark.parametrize(
    ("has", "wanted", "said"),
    [
        ("3.1", "3.1", "3.1, as in the settings"),
        ("3.2", "3.1", "newer than the 3.1 of the settings: the service has moved it, that is no change"),
        ("3.10", "3.9", "newer than the 3.9"),
        ("3.1", "3.2", "`yc managed-airflow cluster update c9q1 --airflow-version 3.2`"),
        ("", "3.1", "does not say which version"),
    ],
)
def test_the_version_that_is_there_is_compared_with_the_settings(has: str, wanted: str, said: str) -> None:
    assert said in compare(airflow(has), wanted)


@pytest.mark.parametrize(("has", "wanted"), [("2.11", "3.1"), ("3.1", "2.11")])
def test_another_first_number_is_refused(has: str, wanted: str) -> None:
    with pytest.raises(StackError, match=f'Set airflow.version = "{has}"'):
        compare(airflow(has), wanted)


def test_a_planned_move_is_said() -> None:
    planned = {"info": "Apache Airflow upgrade to 3.2"}
    assert "the service plans: Apache Airflow upgrade to 3.2" in compare(
        airflow("3.1", planned_operation=planned), "3.1"
    )
