"""Networks: what is refused of their descriptions, what cannot be deleted while it is in use, rules with ids."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from yandex.cloud.vpc.v1 import network_pb2, network_service_pb2, security_group_pb2, subnet_pb2, subnet_service_pb2
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1 import security_group_service_pb2 as groups
from yandex.cloud.vpc.v1.gateway_service_pb2 import DeleteGatewayRequest
from yandex.cloud.vpc.v1.gateway_service_pb2_grpc import GatewayServiceStub
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.route_table_service_pb2_grpc import RouteTableServiceStub
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.cloud import FOLDER, GATEWAY, NETWORK, ROUTES, Endpoint, finished, refusal, result

ALL = {"cidr_blocks": {"v4_cidr_blocks": ["0.0.0.0/0"]}}


def subnet_request(**fields: Any) -> Any:
    given = {"name": "subnet", "network_id": NETWORK, "zone_id": "ru-central1-a", "v4_cidr_blocks": ["10.130.0.0/24"]}
    return subnet_service_pb2.CreateSubnetRequest(folder_id=FOLDER, **{**given, **fields})


def group_request(*rules: dict[str, Any], **fields: Any) -> Any:
    specs = [groups.SecurityGroupRuleSpec(**rule) for rule in rules]
    given = {"name": "group", "network_id": NETWORK}
    return groups.CreateSecurityGroupRequest(folder_id=FOLDER, rule_specs=specs, **{**given, **fields})


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"zone_id": ""}, "INVALID_ARGUMENT", "zone_id: is required"),
        ({"zone_id": "ru-central1-c"}, "INVALID_ARGUMENT", "unknown zone"),
        ({"v4_cidr_blocks": []}, "INVALID_ARGUMENT", "v4_cidr_blocks: is required"),
        ({"v4_cidr_blocks": ["10.0.0.1/24"]}, "INVALID_ARGUMENT", "'10.0.0.1/24' is no IPv4 range"),
        ({"v4_cidr_blocks": ["10.130.0.0/30"]}, "INVALID_ARGUMENT", "has the wrong size, expected /16 to /28"),
        ({"v4_cidr_blocks": ["10.0.0.0/15"]}, "INVALID_ARGUMENT", "has the wrong size"),
        ({"v4_cidr_blocks": ["8.8.8.0/24"]}, "INVALID_ARGUMENT", "is no private range"),
        ({"v4_cidr_blocks": ["10.128.0.128/25"]}, "FAILED_PRECONDITION", "overlaps with the subnet 'default-a'"),
        ({"network_id": "enpnone"}, "NOT_FOUND", "Network 'enpnone' not found"),
        ({"route_table_id": "enpnone"}, "NOT_FOUND", "RouteTable 'enpnone' not found"),
        ({"name": "a"}, "INVALID_ARGUMENT", "name: 'a' does not match the pattern"),
        ({"name": "With_Underscore"}, "INVALID_ARGUMENT", "name: "),
        ({"labels": {"owner": "a.b"}}, "INVALID_ARGUMENT", "labels['owner']: 'a.b' does not match"),
    ],
)
def test_a_subnet_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], code: str, message: str
) -> None:
    error = refusal(lambda: endpoint.sdk().client(SubnetServiceStub).Create(subnet_request(**changes)))
    assert error.code().name == code
    assert message in error.details()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"direction": "INGRESS"}, "rule_specs[0].target: exactly one of"),
        (ALL, "rule_specs[0].direction: is required"),
        ({"direction": "EGRESS", "ports": {"from_port": 9, "to_port": 8}, **ALL}, "9-8 is no range of ports"),
        ({"direction": "EGRESS", "ports": {"from_port": 1, "to_port": 70000}, **ALL}, "1-70000 is no range of ports"),
        ({"direction": "EGRESS", "protocol_name": "QUIC", **ALL}, "unknown protocol 'QUIC'"),
        ({"direction": "EGRESS", "predefined_target": "myself"}, "unknown target 'myself'"),
        ({"direction": "EGRESS", "cidr_blocks": {"v4_cidr_blocks": ["everywhere"]}}, "'everywhere' is no IPv4 range"),
        ({"direction": "EGRESS", "security_group_id": "enpnone"}, "SecurityGroup 'enpnone' not found"),
    ],
)
def test_a_rule_that_the_cloud_would_refuse_is_refused(endpoint: Endpoint, rule: dict[str, Any], message: str) -> None:
    error = refusal(lambda: endpoint.sdk().client(SecurityGroupServiceStub).Create(group_request(rule)))
    assert message in error.details()


def test_a_group_has_fifty_rules_at_most(endpoint: Endpoint) -> None:
    rules = [{"direction": "INGRESS", "ports": {"from_port": n, "to_port": n}, **ALL} for n in range(1, 52)]
    error = refusal(lambda: endpoint.sdk().client(SecurityGroupServiceStub).Create(group_request(*rules)))
    assert "rule_specs: number of entries is 51, expected <=50" in error.details()


def test_rules_have_ids_by_which_they_are_changed(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SecurityGroupServiceStub)
    request = group_request({"direction": "INGRESS", **ALL}, {"direction": "EGRESS", **ALL}, name="numbered")
    group = result(sdk, stub.Create(request), security_group_pb2.SecurityGroup)
    first, second = (rule.id for rule in group.rules)
    assert first
    assert first != second
    change = groups.UpdateSecurityGroupRulesRequest(
        security_group_id=group.id,
        deletion_rule_ids=[first],
        addition_rule_specs=[{"direction": "INGRESS", "predefined_target": "self_security_group"}],
    )
    after = result(sdk, stub.UpdateRules(change), security_group_pb2.SecurityGroup)
    assert after.rules[0].id == second
    assert after.rules[1].id not in ("", first, second)
    assert after.rules[1].predefined_target == "self_security_group"
    assert refusal(lambda: stub.UpdateRules(change)).code() is grpc.StatusCode.NOT_FOUND
    remove = groups.DeleteSecurityGroupRequest(security_group_id=group.id)
    assert not finished(sdk, stub.Delete(remove)).HasField("error"), "a rule that names its own group is no user of it"


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"destination_prefix": "everywhere", "gateway_id": GATEWAY}, "'everywhere' is no IPv4 range"),
        ({"destination_prefix": "0.0.0.0/0"}, "exactly one of ['next_hop_address', 'gateway_id']"),
        ({"destination_prefix": "0.0.0.0/0", "gateway_id": "enpnone"}, "Gateway 'enpnone' not found"),
    ],
)
def test_a_route_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, route: dict[str, Any], message: str
) -> None:
    request = tables.CreateRouteTableRequest(folder_id=FOLDER, name="routes", network_id=NETWORK, static_routes=[route])
    assert message in refusal(lambda: endpoint.sdk().client(RouteTableServiceStub).Create(request)).details()


def test_what_is_in_use_is_not_deleted(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    tries: list[tuple[Callable[[], Any], str]] = [
        (
            lambda: sdk.client(NetworkServiceStub).Delete(network_service_pb2.DeleteNetworkRequest(network_id=NETWORK)),
            "RouteTable nat",
        ),
        (
            lambda: sdk.client(RouteTableServiceStub).Delete(tables.DeleteRouteTableRequest(route_table_id=ROUTES)),
            "Subnet default-a",
        ),
        (
            lambda: sdk.client(GatewayServiceStub).Delete(DeleteGatewayRequest(gateway_id=GATEWAY)),
            "RouteTable nat",
        ),
    ]
    for call, user in tries:
        error = refusal(call)
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "is in use by" in error.details()
        assert user in error.details()


def test_a_network_is_deleted_when_it_is_empty(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    networks, subnets = sdk.client(NetworkServiceStub), sdk.client(SubnetServiceStub)
    made = networks.Create(network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="emptied"))
    network = result(sdk, made, network_pb2.Network).id
    request = subnet_request(name="emptied", network_id=network)
    subnet = result(sdk, subnets.Create(request), subnet_pb2.Subnet)
    remove = network_service_pb2.DeleteNetworkRequest(network_id=network)
    assert "Subnet emptied" in refusal(lambda: networks.Delete(remove)).details()
    finished(sdk, subnets.Delete(subnet_service_pb2.DeleteSubnetRequest(subnet_id=subnet.id)))
    assert not finished(sdk, networks.Delete(remove)).HasField("error")
