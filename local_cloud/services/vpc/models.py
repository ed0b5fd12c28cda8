"""The types, and what each of them takes of the cloud's quotas."""

from collections.abc import Mapping

from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row

NETWORK, SUBNET, SECURITY_GROUP, ROUTE_TABLE, GATEWAY, ADDRESS = (
    f"yandex.cloud.vpc.v1.{name}" for name in ("Network", "Subnet", "SecurityGroup", "RouteTable", "Gateway", "Address")
)


def _address(row: Row) -> Mapping[str, float]:
    external = row.message.HasField("external_ipv4_address")
    names = ("vpc.externalAddresses.count", "vpc.externalStaticAddresses.count")
    return dict.fromkeys(names, 1) if external else {}


HOLDINGS: Mapping[str, Holding] = {
    # A network comes with a security group of its own, which counts, too.
    NETWORK: lambda row: {"vpc.networks.count": 1, "vpc.securityGroups.count": 1},
    SUBNET: lambda row: {"vpc.subnets.count": 1},
    SECURITY_GROUP: lambda row: {"vpc.securityGroups.count": 1},
    ROUTE_TABLE: lambda row: {
        "vpc.routeTables.count": 1,
        "vpc.staticRoutes.count": len(row.message.static_routes),
    },
    ADDRESS: _address,
}
