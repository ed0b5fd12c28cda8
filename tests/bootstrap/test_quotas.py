"""What a plan and a run take of the cloud's quotas, and what is said before all is made: by the SDK's own stubs."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import DoubleValue
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2, cluster_service_pb2_grpc
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as quota_pb2
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2_grpc
from yandex.cloud.resourcemanager.v1 import folder_pb2, folder_service_pb2_grpc

from stack.cloud.quota_needs import of_plan, of_run
from stack.cloud.quotas import require_quotas
from stack.cloud.settings import Settings
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import PREFIX
from tests.support.cloud import CLOUD, FOLDER

GIB = 1 << 30
SETTINGS = Settings(FOLDER, PREFIX)
OURS = {"owner": "fraud-retraining"}
# Of a fresh cloud, read 2026-11-26 in the vendor's page of quotas.
FRESH = {
    "compute.instances.count": 12,
    "compute.instanceCores.count": 32,
    "compute.instanceMemory.size": 128 * GIB,
    "compute.disks.count": 32,
    "compute.ssdDisks.size": 200 * GIB,
    "compute.hddDisks.size": 500 * GIB,
    "vpc.networks.count": 2,
    "vpc.securityGroups.count": 10,
}
RUN = {"master_preset": "s3-c2-m8", "compute_preset": "s3-c4-m16", "compute_count": 2, "disk_gib": 64}


class FakeCloud(
    quota_limit_service_pb2_grpc.QuotaLimitServiceServicer,
    folder_service_pb2_grpc.FolderServiceServicer,
    cluster_service_pb2_grpc.ClusterServiceServicer,
):
    """The three services that are asked; `refusal` is what the one of quotas answers instead, `page` its page size."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = dict(FRESH)
        self.usage: dict[str, float] = {}
        self.refusal: grpc.StatusCode | None = None
        self.refuses = ("compute", "vpc")
        self.clusters: list[Any] = []
        self.asked: list[Any] = []
        self.page = 2

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(request, cluster_service_pb2.ListClustersRequest):
            return cluster_service_pb2.ListClustersResponse(clusters=self.clusters)
        if self.refusal and request.service in self.refuses:
            context.abort(self.refusal, "not for you")
        self.asked.append(request)
        mine = [name for name in self.limits if name.startswith(f"{request.service}.")]
        begin = int(request.page_token or 0)
        page = quota_pb2.ListQuotaLimitsResponse()
        for name in mine[begin : begin + self.page]:
            # The service leaves out what is zero.
            usage = DoubleValue(value=self.usage[name]) if name in self.usage else None
            limit = quota_pb2.QuotaLimit(quota_id=name, limit=DoubleValue(value=self.limits[name]), usage=usage)
            page.quota_limits.append(limit)
        page.next_page_token = str(begin + self.page) if begin + self.page < len(mine) else ""
        return page

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        return folder_pb2.Folder(id=request.folder_id, cloud_id=CLOUD)


class Sdk:
    """As much of the SDK as is used: its stubs, on a channel to the fake."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def client(self, stub: Any) -> Any:
        return stub(self.channel)


@pytest.fixture
def fake() -> Iterator[tuple[FakeCloud, Sdk]]:
    servicer, server = FakeCloud(), grpc.server(ThreadPoolExecutor(2))
    quota_limit_service_pb2_grpc.add_QuotaLimitServiceServicer_to_server(servicer, server)
    folder_service_pb2_grpc.add_FolderServiceServicer_to_server(servicer, server)
    cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield servicer, Sdk(channel)
    server.stop(None)


def check(sdk: Sdk, stands: dict[str, int], run: dict[str, Any] | None = None, insist: bool = False) -> None:
    require_quotas(sdk, SETTINGS, Counter(stands), of_run(run) if run else Counter(), insist)


# ------------------------------------------------------------------------------------------------ what is needed
def test_a_run_at_its_largest_is_the_sum_of_its_hosts() -> None:
    assert of_run(RUN) == {
        "compute.instances.count": 3,
        "compute.instanceCores.count": 2 + 2 * 4,
        "compute.instanceMemory.size": (8 + 2 * 16) * GIB,
        "compute.disks.count": 3,
        "compute.ssdDisks.size": 3 * 64 * GIB,
    }
    grown = of_run(RUN | {"compute_max_count": 6, "disk_type": "network-hdd"})
    assert grown["compute.instances.count"] == 7
    assert grown["compute.hddDisks.size"] == 7 * 64 * GIB
    assert grown["compute.ssdDisks.size"] == 0
    assert of_run(RUN | {"compute_max_count": None}) == of_run(RUN), "as Terraform writes it"


def change(kind: str, after: dict[str, Any] | None, before: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "change": {"before": before, "after": after}}


def machine(cores: int, disk: int, kind: str = "network-ssd") -> dict[str, Any]:
    return {
        "resources": [{"cores": cores, "memory": 4}],
        "boot_disk": [{"initialize_params": [{"size": disk, "type": kind}]}],
        "network_interface": [{"nat": True}],  # by an address that is reserved in the same plan
    }


def test_a_plan_takes_what_it_adds() -> None:
    postgresql = {
        "hosts": {"a": {}, "b": {}},
        "config": {"resources": {"resource_preset_id": "s3-c2-m8", "disk_type_id": "network-ssd", "disk_size": 20}},
    }
    airflow = {
        "webserver": {"count": 1, "resource_preset_id": "c1-m4"},
        "worker": {"min_count": 1, "max_count": 4, "resource_preset_id": "c2-m8"},
        "triggerer": None,
    }
    needs = of_plan(
        [
            change("yandex_compute_instance", machine(2, 30)),
            change("yandex_compute_disk", {"size": 100, "type": "network-hdd"}),
            change("yandex_vpc_network", {"name": "x"}),
            change("yandex_vpc_security_group", {"name": "x"}),
            change("yandex_vpc_address", {"external_ipv4_address": [{"zone_id": "a"}]}),
            change("yandex_vpc_route_table", {"static_route": [{"destination_prefix": "0.0.0.0/0"}]}),
            change("yandex_mdb_postgresql_cluster_v2", postgresql),
            change("yandex_airflow_cluster", airflow),
            change("yandex_resourcemanager_folder_iam_member", {"role": "x"}),
        ]
    )
    assert needs == {
        "compute.instances.count": 1,
        "compute.instanceCores.count": 2,
        "compute.instanceMemory.size": 4 * GIB,
        "compute.disks.count": 2,
        "compute.ssdDisks.size": 30 * GIB,
        "compute.hddDisks.size": 100 * GIB,
        "vpc.networks.count": 1,
        "vpc.securityGroups.count": 2,  # and the one that comes with a network
        "vpc.externalAddresses.count": 1,
        "vpc.externalStaticAddresses.count": 1,
        "vpc.routeTables.count": 1,
        "vpc.staticRoutes.count": 1,
        "mdb.clusters.count": 1,
        "mdb.cpu.count": 4,
        "mdb.memory.size": 16 * GIB,
        "mdb.ssd.size": 40 * GIB,
        "managed-airflow.clusters.count": 1,
        "managed-airflow.cpu.count": 1 + 4 * 2,
        "managed-airflow.memory.size": (4 + 4 * 8) * GIB,
    }


def test_a_preset_whose_size_nobody_knows_stops_nothing() -> None:
    resources = {"resource_preset_id": "x9.huge", "disk_type_id": "network-hdd", "disk_size": 20}
    needs = of_plan([change("yandex_mdb_postgresql_cluster_v2", {"config": {"resources": resources}})])
    assert +needs == {"mdb.clusters.count": 1, "mdb.hdd.size": 20 * GIB}


def test_what_is_there_already_is_not_needed_again() -> None:
    same = change("yandex_compute_instance", machine(2, 30), machine(2, 30))
    larger = change("yandex_compute_instance", machine(4, 50), machine(2, 30))
    gone = change("yandex_vpc_network", None, {"name": "x"})
    assert not any(of_plan([same]).values())
    needs = of_plan([same, larger, gone])
    assert needs["compute.instanceCores.count"] == 2
    assert needs["compute.ssdDisks.size"] == 20 * GIB
    assert needs["vpc.networks.count"] == -1, "becomes free"


# ------------------------------------------------------------------------------------------------ what is said
def test_what_fits_goes_on(fake: tuple[FakeCloud, Sdk], capsys: pytest.CaptureFixture[str]) -> None:
    cloud, sdk = fake
    check(sdk, {"compute.ssdDisks.size": 8 * GIB, "vpc.networks.count": 1}, RUN)
    assert "enough for this and for a run" in capsys.readouterr().out
    assert {(each.service, each.resource.type, each.resource.id) for each in cloud.asked} == {
        ("compute", "resource-manager.cloud", CLOUD),
        ("vpc", "resource-manager.cloud", CLOUD),
    }


def test_what_stands_may_fit_where_a_run_does_not(fake: tuple[FakeCloud, Sdk]) -> None:
    """A fresh cloud has 200 GiB of network-ssd: 30 for the machine and 192 for a run are too many."""
    _, sdk = fake
    check(sdk, {"compute.ssdDisks.size": 30 * GIB})
    with pytest.raises(StackError) as refused:
        check(sdk, {"compute.ssdDisks.size": 30 * GIB}, RUN)
    said = str(refused.value)
    assert "compute.ssdDisks.size: 222 GiB are needed (30 GiB for what is to stand, 192 GiB for a run)" in said
    assert "of 200 GiB 200 GiB are free" in said
    assert f"--resource-id {CLOUD} --desired-limit quota-id=compute.ssdDisks.size,value={222 * GIB}" in said
    assert "instances" not in said, "what suffices is not complained of"


def test_the_largest_allowed_size_counts(fake: tuple[FakeCloud, Sdk]) -> None:
    _, sdk = fake
    with pytest.raises(StackError, match=r"compute.instanceCores.count: 34 are needed \(0 .*, 34 for a run\)"):
        check(sdk, {}, RUN | {"compute_max_count": 8, "disk_gib": 20})


def test_what_others_of_the_cloud_use_is_not_free(fake: tuple[FakeCloud, Sdk]) -> None:
    cloud, sdk = fake
    cloud.usage = {"vpc.securityGroups.count": 7}
    check(sdk, {"vpc.securityGroups.count": 3})
    with pytest.raises(StackError, match=r"vpc\.securityGroups\.count: 4 are needed .* of 10 3 are free.*value=11"):
        check(sdk, {"vpc.securityGroups.count": 4})


def test_a_run_that_is_under_way_is_not_counted_twice(fake: tuple[FakeCloud, Sdk]) -> None:
    cloud, sdk = fake
    cloud.usage = {"compute.ssdDisks.size": 192 * GIB}
    running = cluster_pb2.Cluster(name="fraud-retrain-x", bucket=SETTINGS.logs_bucket, labels=dict(OURS))
    theirs = cluster_pb2.Cluster(name="fraud-retrain-y", bucket=f"{PREFIX}-two-logs-{FOLDER}", labels=dict(OURS))
    cloud.clusters = [theirs]
    with pytest.raises(StackError, match="192 GiB for a run"):
        check(sdk, {}, RUN)
    cloud.clusters = [running]
    check(sdk, {}, RUN)


def test_a_person_may_go_on_all_the_same(fake: tuple[FakeCloud, Sdk], capsys: pytest.CaptureFixture[str]) -> None:
    check(fake[1], {"vpc.networks.count": 3}, insist=True)
    assert "FORCE=1: going on" in capsys.readouterr().out


@pytest.mark.parametrize("refusal", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE])
def test_where_it_may_not_ask_it_says_what_it_needs(
    fake: tuple[FakeCloud, Sdk], capsys: pytest.CaptureFixture[str], refusal: grpc.StatusCode
) -> None:
    cloud, sdk = fake
    cloud.refusal = refusal
    check(sdk, {"compute.ssdDisks.size": 30 * GIB, "vpc.networks.count": 1}, RUN)
    said = " ".join(capsys.readouterr().out.split())
    assert f"could not be asked (compute: {refusal.name}, not for you" in said
    assert "compute.ssdDisks.size 222 GiB" in said
    assert "vpc.networks.count 1" in said
    assert "quota-manager.viewer" in said
    assert f"--resource-id {CLOUD}" in said


def test_a_service_that_may_be_asked_counts_although_another_may_not(fake: tuple[FakeCloud, Sdk]) -> None:
    cloud, sdk = fake
    cloud.refusal, cloud.refuses = grpc.StatusCode.PERMISSION_DENIED, ("compute",)
    with pytest.raises(StackError, match=r"vpc\.networks\.count: 3 are needed"):
        check(sdk, {"compute.instances.count": 1, "vpc.networks.count": 3})


def test_a_quota_that_the_service_does_not_tell_of_is_named(
    fake: tuple[FakeCloud, Sdk], capsys: pytest.CaptureFixture[str]
) -> None:
    check(fake[1], {"dns.zones.count": 1, "vpc.networks.count": 1})
    assert "does not tell of dns.zones.count" in capsys.readouterr().out
