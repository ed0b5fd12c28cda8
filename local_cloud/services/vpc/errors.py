"""What VPC refuses."""

from collections.abc import Collection

from local_cloud.core.errors import ApiError, already_exists, invalid, not_found, precondition
from local_cloud.core.resources import Row


def not_a_cidr(name: str, value: str, problem: object) -> ApiError:
    return invalid(f"{name}: {value!r} is no IPv4 range such as 10.0.0.0/24: {problem}")


def size_of_subnet(name: str, value: str) -> ApiError:
    return invalid(f"{name}: {value!r} has the wrong size, expected /16 to /28")


def not_private(name: str, value: str, private: Collection[str]) -> ApiError:
    return invalid(f"{name}: {value!r} is no private range, expected one within {', '.join(private)}")


def overlaps(name: str, value: str, subnet: Row) -> ApiError:
    return precondition(
        f"{name}: {value!r} overlaps with the subnet {subnet.name!r} ({subnet.key}) of the same network"
    )


def of_another_network(name: str, key: str, network: str, other: str) -> ApiError:
    return invalid(f"{name}: {key!r} is of network {network!r}, expected {other!r}")


def ports(name: str, low: int, high: int) -> ApiError:
    return invalid(f"{name}: {low}-{high} is no range of ports, expected 0 to 65535 in ascending order")


def protocol(name: str, value: str, known: Collection[str]) -> ApiError:
    return invalid(f"{name}: unknown protocol {value!r}; known are {sorted(known)}")


def predefined_target(name: str, value: str, known: Collection[str]) -> ApiError:
    return invalid(f"{name}: unknown target {value!r}; known are {sorted(known)}")


def no_next_hop(name: str) -> ApiError:
    return invalid(f"{name}: exactly one of ['next_hop_address', 'gateway_id'] must be set")


def in_use(row: Row, users: Collection[Row]) -> ApiError:
    named = ", ".join(f"{user.kind} {user.name or user.key} ({user.key})" for user in users)
    return precondition(f"{row.kind} {row.key!r} is in use by {named}; delete or change that first")


def address_in_use(row: Row, value: str, users: Collection[Row]) -> ApiError:
    named = ", ".join(user.name or user.key for user in users)
    return precondition(f"Address {row.key!r} ({value}) is in use by {named}; take it off that first")


def address_taken(value: str) -> ApiError:
    return already_exists(f"external_ipv4_address_spec.address: {value!r} is reserved already")


def rule_not_found(group: str, rule: str) -> ApiError:
    return not_found(f"Rule of security group {group!r}", rule)
