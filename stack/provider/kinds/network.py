"""Networks and names."""

from typing import Any, ClassVar

from stack.provider.kinds.api import Api
from stack.provider.kinds.base import Kind, one, said
from stack.provider.messages import Json

DIRECTIONS = ("ingress", "egress")


class Network(Kind):
    service, own = "vpc.v1.NetworkService", "network_id"

    def told(self, api: Api, message: Json, values: Json) -> Json:
        subnets = api.call(f"{self.service}/ListSubnets", {"network_id": message["id"]})["subnets"]
        group = message["default_security_group_id"]
        return {"subnet_ids": [each["id"] for each in subnets], "default_security_group_id": group}


class Gateway(Kind):
    service, own = "vpc.v1.GatewayService", "gateway_id"
    anew = Kind.anew | {"shared_egress_gateway"}

    def more(self, values: Json) -> Json:
        return {"shared_egress_gateway_spec": {}}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {"shared_egress_gateway": [{}] if "shared_egress_gateway" in message else []}


class RouteTable(Kind):
    service, own = "vpc.v1.RouteTableService", "route_table_id"
    same = (*Kind.same, "network_id")
    anew = Kind.anew | {"network_id"}
    route = ("destination_prefix", "gateway_id", "next_hop_address")

    def more(self, values: Json) -> Json:
        return {"static_routes": [said(each, *self.route) for each in values["static_route"]]}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {
            "static_route": [{name: each.get(name, "") for name in self.route} for each in message["static_routes"]]
        }


class Subnet(Kind):
    service, own = "vpc.v1.SubnetService", "subnet_id"
    same = (*Kind.same, "network_id", "route_table_id", "v4_cidr_blocks")
    anew = Kind.anew | {"network_id", "zone"}

    def more(self, values: Json) -> Json:
        return {"zone_id": values["zone"]}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {"zone": message["zone_id"], "v6_cidr_blocks": message["v6_cidr_blocks"], "dhcp_options": []}


class Address(Kind):
    service, own = "vpc.v1.AddressService", "address_id"
    same = (*Kind.same, "deletion_protection")
    anew = Kind.anew | {"external_ipv4_address"}

    def more(self, values: Json) -> Json:
        external = one(values["external_ipv4_address"])
        return {"external_ipv4_address_spec": said(external, "zone_id")} if external else {}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        external = message.get("external_ipv4_address", {})
        required = external.get("requirements", {})
        names = ("ddos_protection_provider", "outgoing_smtp_capability")
        found = {name: external.get(name, "") for name in ("address", "zone_id")}
        found |= {name: required.get(name, "") for name in names}
        return {"external_ipv4_address": [found], "reserved": message["reserved"], "used": message["used"]}


class SecurityGroup(Kind):
    """Its rules are changed one by one, and looked at by direction: one that has none in the configuration stays."""

    service, own = "vpc.v1.SecurityGroupService", "security_group_id"
    same = (*Kind.same, "network_id")
    anew = Kind.anew | {"network_id"}
    defaults: ClassVar = {
        f"{direction}.{port}": -1 for direction in DIRECTIONS for port in ("port", "from_port", "to_port")
    }

    def fields(self, values: Json) -> Json:
        return super().fields(values)

    def create(self, api: Api, values: Json) -> None:
        specifications = [rule(direction, each) for direction in DIRECTIONS for each in values[direction]]
        metadata, _ = api.do(f"{self.service}/Create", {**self.fields(values), "rule_specs": specifications})
        values["id"] = metadata[self.own]

    def update(self, api: Api, prior: Json, values: Json) -> None:
        super().update(api, prior, values)
        if all(prior[direction] == values[direction] for direction in DIRECTIONS):
            return
        there = api.call(f"{self.service}/Get", {self.own: prior["id"]})["rules"]
        kept = {each["id"] for direction in DIRECTIONS for each in values[direction] if each.get("id")}
        new = [rule(direction, each) for direction in DIRECTIONS for each in values[direction] if not each.get("id")]
        gone = [each["id"] for each in there if each["id"] not in kept]
        request = {"addition_rule_specs": new, "deletion_rule_ids": gone}
        api.do(f"{self.service}/UpdateRules", {self.own: prior["id"], **request})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        found: dict[str, Any] = {direction: [] for direction in DIRECTIONS}
        for each in message["rules"]:
            found[each["direction"].lower()].append(described(each))
        return found


def rule(direction: str, values: Json) -> Json:
    """A rule's specification in a request."""
    low, high = (values[name] if values[name] != -1 else values["port"] for name in ("from_port", "to_port"))
    target = {"cidr_blocks": {"v4_cidr_blocks": values["v4_cidr_blocks"]}} if values["v4_cidr_blocks"] else {}
    ports = {"ports": {"from_port": low, "to_port": high}} if low != -1 else {}
    named = said(values, "description", "security_group_id", "predefined_target")
    protocol = values["protocol"].upper()
    return {"direction": direction.upper(), "protocol_name": protocol, **named, **ports, **target}


def described(message: Json) -> Json:
    """A rule's values: -1 is no port."""
    ports = message.get("ports")
    low, high = (int(ports["from_port"]), int(ports["to_port"])) if ports else (-1, -1)
    blocks = message.get("cidr_blocks", {})
    return {
        "id": message["id"],
        "description": message["description"],
        "labels": message["labels"],
        "protocol": message["protocol_name"],
        "port": low if low == high else -1,
        "from_port": -1 if low == high else low,
        "to_port": -1 if low == high else high,
        "v4_cidr_blocks": blocks.get("v4_cidr_blocks", []),
        "v6_cidr_blocks": blocks.get("v6_cidr_blocks", []),
        "security_group_id": message.get("security_group_id", ""),
        "predefined_target": message.get("predefined_target", ""),
    }


class DnsZone(Kind):
    """An Update has everything and no mask."""

    service, own = "dns.v1.DnsZoneService", "dns_zone_id"
    same = (*Kind.same, "zone", "deletion_protection")
    anew = Kind.anew | {"zone", "public"}

    def more(self, values: Json) -> Json:
        networks = values["private_networks"] if isinstance(values["private_networks"], list) else []
        private = {"private_visibility": {"network_ids": sorted(networks)}} if networks or not values["public"] else {}
        return private | ({"public_visibility": {}} if values["public"] is True else {})

    def update(self, api: Api, prior: Json, values: Json) -> None:
        fields = {name: value for name, value in self.fields(values).items() if name not in ("folder_id", "zone")}
        api.do(f"{self.service}/Update", {self.own: prior["id"], **fields})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        networks = message.get("private_visibility", {}).get("network_ids", [])
        return {"public": "public_visibility" in message, "private_networks": networks}


class DnsRecordSet(Kind):
    """It has no id of its own, and is changed with its zone."""

    service, own = "dns.v1.DnsZoneService", "dns_zone_id"
    anew = frozenset({"zone_id", "name", "type"})

    def record(self, values: Json) -> Json:
        return said(values, "name", "type", "description") | {"ttl": values["ttl"], "data": sorted(values["data"])}

    def change_sets(self, api: Api, zone: str, **changes: list[Json]) -> None:
        api.do(f"{self.service}/UpdateRecordSets", {self.own: zone, **changes})

    def create(self, api: Api, values: Json) -> None:
        self.change_sets(api, values["zone_id"], additions=[self.record(values)])
        values["id"] = "/".join(values[name] for name in ("zone_id", "name", "type"))

    def update(self, api: Api, prior: Json, values: Json) -> None:
        self.change_sets(api, prior["zone_id"], deletions=[self.record(prior)], additions=[self.record(values)])

    def delete(self, api: Api, values: Json) -> None:
        self.change_sets(api, values["zone_id"], deletions=[self.record(values)])

    def message(self, api: Api, values: Json) -> Json | None:
        named = {name: values[name] for name in ("name", "type")}
        return api.find(f"{self.service}/GetRecordSet", {self.own: values["zone_id"], **named})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {"description": message["description"], "ttl": int(message["ttl"]), "data": message["data"]}
