"""A new cloud's quotas: what is refused, in whose words, what counts, and the service that tells them."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from yandex.cloud.compute.v1 import disk_service_pb2, instance_service_pb2
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.quota import quota_pb2
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as service
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2_grpc import QuotaLimitServiceStub
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource
from yandex.cloud.vpc.v1 import network_pb2, network_service_pb2
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.security_group_service_pb2 import CreateSecurityGroupRequest
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from tests.support.cloud import CLOUD, FOLDER, NETWORK, Endpoint, finished, refusal, result
from tests.support.compute import GIB, disk_request, instance_request, make_disk, make_instance
from tests.support.dataproc import cluster_fields

OURS = Resource(id=CLOUD, type="resource-manager.cloud")


@pytest.fixture
def fresh(new_endpoint: Callable[..., Endpoint]) -> Endpoint:
    """A cloud as it is on its first day, with the one network that a new folder has."""
    return new_endpoint().start()


def quota(endpoint: Endpoint, name: str) -> tuple[float, float]:
    """(limit, usage), as the quota manager tells them."""
    request = service.GetQuotaLimitRequest(resource=OURS, quota_id=name)
    answer = endpoint.sdk().client(QuotaLimitServiceStub).Get(request)
    return answer.limit.value, answer.usage.value


def exhausted(call: Callable[[], Any]) -> str:
    error = refusal(call)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return str(error.details())


def test_a_new_clouds_limits_are_those_of_the_vendors_pages(fresh: Endpoint) -> None:
    expected = {
        "compute.instances.count": 12,
        "compute.instanceCores.count": 32,
        "compute.instanceMemory.size": 128 * GIB,
        "compute.ssdDisks.size": 200 * GIB,
        "compute.hddDisks.size": 500 * GIB,
        "compute.disks.count": 32,
        "vpc.networks.count": 2,
        "vpc.securityGroups.count": 5,
        "vpc.externalStaticAddresses.count": 2,
    }
    assert {name: quota(fresh, name)[0] for name in expected} == expected


def test_a_third_network_is_refused_in_the_clouds_words(fresh: Endpoint) -> None:
    sdk = fresh.sdk()
    stub = sdk.client(NetworkServiceStub)
    second = stub.Create(network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="second"))
    network = result(sdk, second, network_pb2.Network)
    assert quota(fresh, "vpc.networks.count") == (2, 2)
    third = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="third")
    error = refusal(lambda: stub.Create(third))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details().startswith("Quota limit vpc.networks.count exceeded")
    assert "limit 2, in use 2, asked for 1" in error.details()
    trailing = dict(error.trailing_metadata())
    detail = quota_pb2.QuotaFailure()
    assert Status.FromString(trailing["grpc-status-details-bin"]).details[0].Unpack(detail)
    (violation,) = detail.violations
    assert (violation.metric.name, violation.metric.limit, violation.required) == ("vpc.networks.count", 2, 3)
    finished(sdk, stub.Delete(network_service_pb2.DeleteNetworkRequest(network_id=network.id)))
    assert result(sdk, stub.Create(third), network_pb2.Network).name == "third", "what is deleted is free again"


def test_rest_tells_the_same(fresh: Endpoint) -> None:
    token = fresh.token_of_deployer()
    for name in ("second", "third"):
        answer = fresh.rest("POST", "/vpc/v1/networks", token, json={"folderId": FOLDER, "name": name})
    assert answer.status_code == 429
    (detail,) = answer.json()["details"]
    assert detail["@type"] == "type.googleapis.com/yandex.cloud.quota.QuotaFailure"
    assert detail["violations"][0]["metric"]["name"] == "vpc.networks.count"
    asked = f"resource.id={CLOUD}&resource.type=resource-manager.cloud"
    limit = fresh.rest("GET", f"/quota-manager/v1/quotaLimits/vpc.networks.count?{asked}", token).json()
    assert limit == {"quotaId": "vpc.networks.count", "limit": 2.0, "usage": 2.0}


def test_disks_count_by_their_type(fresh: Endpoint) -> None:
    sdk = fresh.sdk()
    disk = make_disk(fresh, "large", 150, type_id="network-ssd")
    stub = sdk.client(DiskServiceStub)
    words = exhausted(lambda: stub.Create(disk_request("more", 51, type_id="network-ssd")))
    assert words.startswith("The limit on total size of network-ssd disks has exceeded.")
    make_disk(fresh, "slow", 51)
    assert quota(fresh, "compute.hddDisks.size") == (500 * GIB, 51 * GIB), (
        "network-hdd is what a disk is without a type"
    )
    grow = disk_service_pb2.UpdateDiskRequest(disk_id=disk.id, size=201 * GIB)
    grow.update_mask.paths.append("size")
    assert "compute.ssdDisks.size" in exhausted(lambda: stub.Update(grow))
    assert quota(fresh, "compute.ssdDisks.size") == (200 * GIB, 150 * GIB)


def test_a_machine_takes_cores_memory_and_its_disks_and_gives_them_back(fresh: Endpoint) -> None:
    sdk = fresh.sdk()
    stub = sdk.client(InstanceServiceStub)
    machine = make_instance(fresh, "first", cores=16, gib=32, disk_gib=100)
    assert quota(fresh, "compute.instanceCores.count") == (32, 16)
    assert quota(fresh, "compute.instanceMemory.size")[1] == 32 * GIB
    assert quota(fresh, "compute.ssdDisks.size")[1] == 100 * GIB
    words = exhausted(lambda: stub.Create(instance_request("second", cores=20, gib=40)))
    assert words.startswith("The limit on maximum number of cores has exceeded.")
    assert "ssdDisks" in exhausted(lambda: stub.Create(instance_request("second", disk_gib=101)))
    assert quota(fresh, "compute.instances.count")[1] == 1, "what is refused leaves nothing behind"
    finished(sdk, stub.Stop(instance_service_pb2.StopInstanceRequest(instance_id=machine.id)))
    assert quota(fresh, "compute.instanceCores.count")[1] == 0
    make_instance(fresh, "second", cores=20, gib=40)
    start = instance_service_pb2.StartInstanceRequest(instance_id=machine.id)
    assert "cores" in exhausted(lambda: stub.Start(start))
    finished(sdk, stub.Delete(instance_service_pb2.DeleteInstanceRequest(instance_id=machine.id)))
    assert quota(fresh, "compute.ssdDisks.size")[1] == 10 * GIB


def test_the_thirteenth_machine_is_refused(new_endpoint: Callable[..., Endpoint]) -> None:
    endpoint = new_endpoint(quotas={"compute.instances.count": 1}).start()
    make_instance(endpoint, "only")
    stub = endpoint.sdk().client(InstanceServiceStub)
    assert "maximum number of instances" in exhausted(lambda: stub.Create(instance_request("another")))


def test_the_hosts_of_a_data_proc_cluster_count(fresh: Endpoint) -> None:
    """The service has a sentence and a code of its own for Compute's quotas."""
    wrapper = fresh.machine("airflow").wrappers.Dataproc()
    wrapper.create_cluster(**cluster_fields("fits", masternode_disk_size=60, computenode_disk_size=60))
    assert quota(fresh, "compute.instances.count") == (12, 3)
    assert quota(fresh, "compute.instanceCores.count") == (32, 6)
    assert quota(fresh, "compute.ssdDisks.size") == (200 * GIB, 180 * GIB)
    error = refusal(lambda: fresh.machine("airflow").wrappers.Dataproc().create_cluster(**cluster_fields("too-much")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("insufficient Compute quota for:\ncompute.ssdDisks.size required")
    assert f"required {60 * GIB} but available {20 * GIB}" in error.details()
    slow = cluster_fields("on-hdd", masternode_disk_type="network-hdd", computenode_disk_type="network-hdd")
    other = fresh.machine("airflow").wrappers.Dataproc()
    other.create_cluster(**slow)
    wrapper.delete_cluster()
    other.delete_cluster()
    assert quota(fresh, "compute.instances.count")[1] == 0


def test_a_network_brings_a_security_group_that_counts(fresh: Endpoint) -> None:
    assert quota(fresh, "vpc.securityGroups.count") == (5, 1)
    sdk = fresh.sdk()
    stub = sdk.client(SecurityGroupServiceStub)
    for number in range(4):
        request = CreateSecurityGroupRequest(folder_id=FOLDER, network_id=NETWORK, name=f"group-{number}")
        finished(sdk, stub.Create(request))
    request = CreateSecurityGroupRequest(folder_id=FOLDER, network_id=NETWORK, name="one-more")
    assert exhausted(lambda: stub.Create(request)).startswith("Quota limit vpc.securityGroups.count exceeded")


def test_every_service_that_a_plan_asks_is_listed(fresh: Endpoint) -> None:
    """A preflight asks for the quotas of each service of its plan; one that is unknown would end it."""
    stub = fresh.sdk().client(QuotaLimitServiceStub)
    for name in ("compute", "dns", "iam", "lockbox", "managed-airflow", "mdb", "storage", "vpc"):
        limits = stub.List(service.ListQuotaLimitsRequest(resource=OURS, service=name)).quota_limits
        assert limits, name
        assert all(limit.limit.value > 0 for limit in limits)


def test_whoever_has_asked_for_more_has_more(new_endpoint: Callable[..., Endpoint]) -> None:
    endpoint = new_endpoint(quotas={"vpc.networks.count": 3}).start()
    sdk = endpoint.sdk()
    for name in ("second", "third"):
        request = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name=name)
        finished(sdk, sdk.client(NetworkServiceStub).Create(request))
    assert quota(endpoint, "vpc.networks.count") == (3, 3)


def test_services_and_their_quotas_are_listed_in_pages(fresh: Endpoint) -> None:
    stub = fresh.sdk().client(QuotaLimitServiceStub)
    listed = stub.ListServices(service.ListServicesRequest(resource_type=OURS.type)).services
    assert {"compute", "vpc"} <= {each.id for each in listed}
    found, token = [], ""
    while True:
        request = service.ListQuotaLimitsRequest(resource=OURS, service="compute", page_size=4, page_token=token)
        page = stub.List(request)
        assert page.resource == OURS
        found += [limit.quota_id for limit in page.quota_limits]
        if not (token := page.next_page_token):
            break
    assert len(found) == len(set(found)) >= 8
    assert {name.split(".")[0] for name in found} == {"compute"}


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (lambda: service.GetQuotaLimitRequest(resource=OURS, quota_id="compute.made.up"), "NOT_FOUND"),
        (lambda: service.GetQuotaLimitRequest(quota_id="vpc.networks.count"), "INVALID_ARGUMENT"),
        (
            lambda: service.GetQuotaLimitRequest(
                resource=Resource(id="b1gother", type=OURS.type), quota_id="vpc.networks.count"
            ),
            "NOT_FOUND",
        ),
        (
            lambda: service.GetQuotaLimitRequest(
                resource=Resource(id=CLOUD, type="billing.account"), quota_id="vpc.networks.count"
            ),
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_what_the_quota_manager_refuses(fresh: Endpoint, request_of: Callable[[], Any], code: str) -> None:
    stub = fresh.sdk().client(QuotaLimitServiceStub)
    assert refusal(lambda: stub.Get(request_of())).code().name == code


def test_who_may_not_look_is_told_the_role(fresh: Endpoint) -> None:
    """Airflow's account has no role on the cloud that would show its quotas."""
    stub = fresh.machine("airflow").client(QuotaLimitServiceStub)
    request = service.ListQuotaLimitsRequest(resource=OURS, service="vpc")
    error = refusal(lambda: stub.List(request))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "quota-manager.viewer" in error.details()
