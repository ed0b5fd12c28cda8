"""What Data Processing refuses before it makes a cluster.

Source: the service's documentation (docs/data-proc), pages "Creating a cluster", "Quotas and limits", "FAQ" and
"Component properties"; the codes are those that users have met (NAT: INVALID_ARGUMENT).
"""

import re
from collections.abc import Iterable
from typing import Any

from yandex.cloud.vpc.v1 import security_group_pb2

from local_cloud.core.context import Context
from local_cloud.core.errors import invalid
from local_cloud.core.hardware import PLATFORMS, check_disk, check_platform, check_zone
from local_cloud.core.identity import ACCOUNT_TYPE, Scope
from local_cloud.pricing import PRESETS
from local_cloud.services.dataproc.models import (
    COMPUTE,
    DATA,
    DEFAULT_DISK_SIZE,
    DEFAULT_DISK_TYPE,
    DEFAULT_PRESET,
    MASTER,
    SPARK,
    YARN,
    is_light,
)

SUBNET, ROUTE_TABLE, SECURITY_GROUP = (
    f"yandex.cloud.vpc.v1.{name}" for name in ("Subnet", "RouteTable", "SecurityGroup")
)
MAX_SUBCLUSTERS, MAX_HOSTS, MAX_DISK = 12, 32, 4096 << 30
# Prefixes of cluster properties: a service's, or one that every cluster takes.
_ALWAYS = {"core", "dataproc", "conda", "pip", "monitoring"}
_OF_SERVICES = {
    "hbase": {"hbase-policy"},
    "yarn": {"capacity-scheduler", "resource-type", "resource-types", "node-resources"},
    "hive": {"hivemetastore", "hiveserver2"},
}
_PIP_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PIP_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[A-Za-z0-9.]+)?")
_GROUPS = "config_spec.subclusters_spec"
_HTTPS, _NTP = 443, 123


def check_layout(specification: Any) -> None:
    """One master host; data hosts with HDFS and only then; Spark needs YARN; raises INVALID_ARGUMENT."""
    groups, services = specification.subclusters_spec, specification.hadoop.services
    masters = [group for group in groups if group.role == MASTER]
    with_data = any(group.role == DATA for group in groups)
    if len(masters) != 1 or masters[0].hosts_count != 1:
        raise invalid(f"{_GROUPS}: exactly one subcluster with the role MASTERNODE and one host is needed")
    if SPARK in services and YARN not in services:
        raise invalid("config_spec.hadoop.services: SPARK needs YARN")
    if is_light(specification.hadoop) and with_data:
        raise invalid(f"{_GROUPS}: a light cluster (services without HDFS) has no DATANODE subcluster")
    if not is_light(specification.hadoop) and not with_data:
        raise invalid(f"{_GROUPS}: HDFS needs a DATANODE subcluster; a light cluster leaves HDFS out of its services")
    if not 2 <= len(groups) <= MAX_SUBCLUSTERS:
        raise invalid(
            f"{_GROUPS}: besides the master, 1 to {MAX_SUBCLUSTERS - 1} COMPUTENODE or DATANODE subclusters are needed"
        )
    for group in groups:
        _check_group(group)
    if not any(specification.hadoop.ssh_public_keys) and not specification.hadoop.oslogin_enabled:
        raise invalid("config_spec.hadoop: ssh_public_keys are empty; give one, or set oslogin_enabled")
    check_properties(specification.hadoop)


def check_properties(hadoop: Any) -> None:
    """Prefixes of services that the cluster has, and versions of packages as the service takes them."""
    names = {
        hadoop.DESCRIPTOR.fields_by_name["services"].enum_type.values_by_number[n].name.lower() for n in hadoop.services
    }
    known = _ALWAYS | names | {prefix for name in names for prefix in _OF_SERVICES.get(name, ())}
    for key, value in sorted(hadoop.properties.items()):
        name, prefix = f"config_spec.hadoop.properties[{key!r}]", key.partition(":")[0]
        if names and ":" in key and prefix not in known:
            raise invalid(f"{name}: the cluster has no service {prefix!r}, only {sorted(names)}; leave it out")
        if prefix == "pip":
            _check_package(name, key.partition(":")[2], value)


def _check_package(name: str, package: str, version: str) -> None:
    if not _PIP_NAME.fullmatch(package):
        raise invalid(f"{name}: {package!r} is no name of a package")
    if not _PIP_VERSION.fullmatch(version):
        raise invalid(f"{name}: {version!r} is no version; the service puts the == before it, so 1.2.3 is expected")


def _check_group(group: Any) -> None:
    preset, disk = group.resources.resource_preset_id, group.resources.disk_size
    if preset and preset not in PRESETS:
        raise invalid(f"{_GROUPS}: unknown resource preset {preset!r}; known are {sorted(PRESETS)}")
    check_disk(
        group.resources.disk_type_id or DEFAULT_DISK_TYPE, disk or DEFAULT_DISK_SIZE, f"{_GROUPS}: {group.name!r}"
    )
    if group.hosts_count > MAX_HOSTS:
        raise invalid(f"{_GROUPS}: {group.name!r} has {group.hosts_count} hosts, expected at most {MAX_HOSTS}")
    if disk > MAX_DISK:
        raise invalid(f"{_GROUPS}: {group.name!r} has disks of {disk >> 30} GB, expected at most {MAX_DISK >> 30}")
    if group.HasField("autoscaling_config") and group.role != COMPUTE:
        raise invalid(f"{_GROUPS}: {group.name!r} has autoscaling, which only COMPUTENODE subclusters can have")
    if group.HasField("autoscaling_config"):
        _check_autoscaling(group)


def _check_autoscaling(group: Any) -> None:
    most = group.autoscaling_config.max_hosts_count
    if most < group.hosts_count:
        raise invalid(
            f"{_GROUPS}: {group.name!r} may grow to {most} hosts and has {group.hosts_count}; "
            "the maximum can not be less than the number of hosts"
        )
    if group.resources.resource_preset_id.startswith("b"):
        raise invalid(
            f"{_GROUPS}: {group.name!r} grows by itself and has the burstable preset "
            f"{group.resources.resource_preset_id!r}; choose one that does not begin with b"
        )


def check_surroundings(context: Context, request: Any) -> None:
    """Accounts with their roles, subnets in the cluster's zone, security groups that let it work, a bucket's name."""
    if not request.bucket:
        raise invalid("bucket: is required; jobs and their logs live in it")
    check_zone(request.zone_id)
    provisioner = request.autoscaling_service_account_id or request.service_account_id
    for key, use in ((request.service_account_id, "agent"), (provisioner, "provisioner")):
        account = context.store.get(ACCOUNT_TYPE, key)
        context.identity.authorise(account.key, [f"use:dataproc-{use}"], Scope(account.folder))
    for group in request.config_spec.subclusters_spec:
        preset = PRESETS[group.resources.resource_preset_id or DEFAULT_PRESET]
        check_platform(PLATFORMS[preset["platform"]], request.zone_id)
        _check_subnet(context, context.store.get(SUBNET, group.subnet_id).message, request.zone_id)
    if any(group.assign_public_ip for group in request.config_spec.subclusters_spec) and not request.security_group_ids:
        raise invalid("security_group_ids: a subcluster with public addresses requires at least one security group")
    if request.security_group_ids:
        check_rules([context.store.get(SECURITY_GROUP, key).message for key in request.security_group_ids])


def _check_subnet(context: Context, subnet: Any, zone: str) -> None:
    if subnet.zone_id != zone:
        raise invalid(f"zone_id: the cluster is to be in {zone!r}, its subnet {subnet.id!r} is in {subnet.zone_id!r}")
    if context.config.require_nat:
        routes = (
            context.store.get(ROUTE_TABLE, subnet.route_table_id).message.static_routes if subnet.route_table_id else ()
        )
        if not any(route.destination_prefix == "0.0.0.0/0" for route in routes):
            raise invalid(f"NAT should be enabled on the subnet {subnet.id!r}: its route table has no 0.0.0.0/0")


def check_rules(groups: Iterable[Any]) -> None:
    """Hosts must reach each other both ways, and HTTPS and time outside; raises INVALID_ARGUMENT with what lacks."""
    ingress, egress = security_group_pb2.SecurityGroupRule.INGRESS, security_group_pb2.SecurityGroupRule.EGRESS
    rules = [(rule, group) for group in groups for rule in group.rules]
    for direction, name in ((ingress, "INGRESS"), (egress, "EGRESS")):
        if not any(rule.direction == direction and _to_itself(rule, group) for rule, group in rules):
            raise invalid(
                f"security_group_ids: no {name} rule for any protocol and port with the target self_security_group"
            )
    for protocol, port in (("TCP", _HTTPS), ("UDP", _NTP)):
        if not any(rule.direction == egress and _opens(rule, protocol, port) for rule, _ in rules):
            raise invalid(f"security_group_ids: no EGRESS rule for {protocol} {port} to 0.0.0.0/0")


def _to_itself(rule: Any, group: Any) -> bool:
    target = rule.predefined_target == "self_security_group" or rule.security_group_id == group.id
    everything = not rule.HasField("ports") or (rule.ports.from_port, rule.ports.to_port) == (0, 65535)
    return target and _any_protocol(rule) and everything


def _opens(rule: Any, protocol: str, port: int) -> bool:
    ports = not rule.HasField("ports") or rule.ports.from_port <= port <= rule.ports.to_port
    fits = _any_protocol(rule) or rule.protocol_name.upper() == protocol
    return ports and fits and "0.0.0.0/0" in rule.cidr_blocks.v4_cidr_blocks


def _any_protocol(rule: Any) -> bool:
    return rule.protocol_name.upper() in ("", "ANY")
