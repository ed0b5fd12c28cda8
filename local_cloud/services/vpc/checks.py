"""What VPC refuses of a request.

Source: yandex-cloud/docs, en/_includes/vpc-limits (/16 to /28, 50 rules, protocols), en/vpc/concepts/network (private
ranges, no overlap within a network), yandex-cloud/cloudapi, vpc/v1. Required fields and names are in core/rules.json.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from local_cloud.core.hardware import check_zone
from local_cloud.core.store import Store
from local_cloud.services.vpc import errors
from local_cloud.services.vpc.models import GATEWAY, NETWORK, ROUTE_TABLE, SECURITY_GROUP, SUBNET

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
PROTOCOLS = {"ANY", "TCP", "UDP", "ICMP", "IPV6_ICMP", "GRE", "ESP", "AH", "IPIP", "VRRP", "SCTP"}
TARGETS = {"self_security_group", "loadbalancer_healthchecks"}
_LAST_PORT = 65535


def check_subnet(store: Store, request: Any) -> None:
    """Raises INVALID_ARGUMENT, NOT_FOUND, or FAILED_PRECONDITION for a range that another subnet has."""
    check_zone(request.zone_id)
    store.get(NETWORK, request.network_id)
    if request.route_table_id:
        _check_network(store, ROUTE_TABLE, "route_table_id", request.route_table_id, request.network_id)
    check_ranges(store, request.v4_cidr_blocks, request.network_id)


def check_ranges(store: Store, blocks: Iterable[str], network: str) -> None:
    """New ranges of a subnet: of the right size, private, and free in their network."""
    others = [
        (row, ipaddress.ip_network(block))
        for row in store.select(SUBNET, {"network_id": network})
        for block in row.message.v4_cidr_blocks
    ]
    for index, block in enumerate(blocks):
        name, new = f"v4_cidr_blocks[{index}]", _range(f"v4_cidr_blocks[{index}]", block)
        if not 16 <= new.prefixlen <= 28:
            raise errors.size_of_subnet(name, block)
        if not any(new.subnet_of(ipaddress.IPv4Network(private)) for private in PRIVATE):
            raise errors.not_private(name, block, PRIVATE)
        for row, other in others:
            if new.overlaps(other):
                raise errors.overlaps(name, block, row)


def check_rules(store: Store, rules: Iterable[Any], network: str, field: str) -> None:
    """Rules of a security group; raises INVALID_ARGUMENT or NOT_FOUND."""
    for index, rule in enumerate(rules):
        name = f"{field}[{index}]"
        if rule.HasField("ports"):
            low, high = rule.ports.from_port, rule.ports.to_port
            if not 0 <= low <= high <= _LAST_PORT:
                raise errors.ports(f"{name}.ports", low, high)
        if rule.protocol_name and rule.protocol_name.upper() not in PROTOCOLS:
            raise errors.protocol(f"{name}.protocol_name", rule.protocol_name, PROTOCOLS)
        if rule.predefined_target and rule.predefined_target not in TARGETS:
            raise errors.predefined_target(f"{name}.predefined_target", rule.predefined_target, TARGETS)
        for block in rule.cidr_blocks.v4_cidr_blocks:
            _range(f"{name}.cidr_blocks.v4_cidr_blocks", block)
        if rule.security_group_id:
            _check_network(store, SECURITY_GROUP, f"{name}.security_group_id", rule.security_group_id, network)


def check_routes(store: Store, routes: Iterable[Any]) -> None:
    """Static routes; raises INVALID_ARGUMENT or NOT_FOUND."""
    for index, route in enumerate(routes):
        name = f"static_routes[{index}]"
        _range(f"{name}.destination_prefix", route.destination_prefix)
        if bool(route.next_hop_address) == bool(route.gateway_id):
            raise errors.no_next_hop(name)
        if route.gateway_id:
            store.get(GATEWAY, route.gateway_id)


def _check_network(store: Store, kind: str, name: str, key: str, network: str) -> None:
    actual = store.get(kind, key).message.network_id
    if actual != network:
        raise errors.of_another_network(name, key, actual, network)


def _range(name: str, value: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError as problem:
        raise errors.not_a_cidr(name, value, problem) from None
