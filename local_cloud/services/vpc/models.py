"""The types, and what each of them takes of the cloud's quotas."""

from collections.abc import Mapping
from typing import Any

from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, new_id

NETWORK, SUBNET, SECURITY_GROUP, ROUTE_TABLE, GATEWAY, ADDRESS = (
    f"yandex.cloud.vpc.v1.{name}" for name in ("Network", "Subnet", "SecurityGroup", "RouteTable", "Gateway", "Address")
)


# The number of a protocol (IANA's), by the name that a rule may give instead.
NUMBERS = {"ICMP": 1, "IPIP": 4, "TCP": 6, "UDP": 17, "GRE": 47, "ESP": 50, "AH": 51}
NUMBERS |= {"IPV6_ICMP": 58, "VRRP": 112, "SCTP": 132}


def complete(rules: Any) -> None:
    """What the service says of each rule: an id, and its protocol by name and by number."""
    names = {number: name for name, number in NUMBERS.items()}
    for rule in rules:
        rule.id = rule.id or new_id("yandex.cloud.vpc.v1")
        rule.protocol_name = rule.protocol_name.upper() or names.get(rule.protocol_number, "ANY")
        rule.protocol_number = NUMBERS.get(rule.protocol_name, -1)


def _address(row: Row) -> Mapping[str, float]:
    external = row.message.HasField("external_ipv4_address")
    names = ("vpc.externalAddresses.count", "vpc.externalStaticAddresses.count")
    return dict.fromkeys(names, 1) if external else {}


HOLDINGS: Mapping[str, Holding] = {
    # A network comes with a security group of its own, which counts, too.
    NETWORK: lambda row: {"vpc.networks.count": 1, "vpc.securityGroups.count": 1},
    SUBNET: lambda row: {"vpc.subnets.count": 1},
    SECURITY_GROUP: lambda row: {} if row.message.default_for_network else {"vpc.securityGroups.count": 1},
    ROUTE_TABLE: lambda row: {
        "vpc.routeTables.count": 1,
        "vpc.staticRoutes.count": len(row.message.static_routes),
    },
    ADDRESS: _address,
}
