"""What Data Processing refuses before it makes a cluster.

Source: the service's documentation (docs/data-proc), pages "Creating a cluster", "Quotas and limits" and "FAQ".
"""

from collections.abc import Iterable
from typing import Any

from yandex.cloud.vpc.v1 import security_group_pb2

from local_cloud.core.context import Context
from local_cloud.core.errors import invalid, precondition
from local_cloud.core.identity import ACCOUNT_TYPE, Scope
from local_cloud.pricing import PRESETS
from local_cloud.services.dataproc.models import COMPUTE, DATA, MASTER, SPARK, YARN, is_light

SUBNET, ROUTE_TABLE, SECURITY_GROUP = (
    f"yandex.cloud.vpc.v1.{name}" for name in ("Subnet", "RouteTable", "SecurityGroup")
)
MAX_SUBCLUSTERS, MAX_HOSTS, MAX_DISK = 12, 32, 4096 << 30
_GROUPS = "config_spec.subclusters_spec"
_HTTPS = 443


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


def _check_group(group: Any) -> None:
    preset, disk = group.resources.resource_preset_id, group.resources.disk_size
    if preset and preset not in PRESETS:
        raise invalid(f"{_GROUPS}: unknown resource preset {preset!r}; known are {sorted(PRESETS)}")
    if group.hosts_count > MAX_HOSTS:
        raise invalid(f"{_GROUPS}: {group.name!r} has {group.hosts_count} hosts, expected at most {MAX_HOSTS}")
    if disk > MAX_DISK:
        raise invalid(f"{_GROUPS}: {group.name!r} has disks of {disk >> 30} GB, expected at most {MAX_DISK >> 30}")
    if group.HasField("autoscaling_config") and group.role != COMPUTE:
        raise invalid(f"{_GROUPS}: {group.name!r} has autoscaling, which only COMPUTENODE subclusters can have")


def check_surroundings(context: Context, request: Any) -> None:
    """Accounts with their roles, subnets in the cluster's zone, security groups that let it work, a bucket's name."""
    if not request.bucket:
        raise invalid("bucket: is required; jobs and their logs live in it")
    provisioner = request.autoscaling_service_account_id or request.service_account_id
    for key, use in ((request.service_account_id, "agent"), (provisioner, "provisioner")):
        account = context.store.get(ACCOUNT_TYPE, key)
        context.identity.authorise(account.key, [f"use:dataproc-{use}"], Scope(account.folder))
    for group in request.config_spec.subclusters_spec:
        _check_subnet(context, context.store.get(SUBNET, group.subnet_id).message, request.zone_id)
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
            raise precondition(f"NAT should be enabled on the subnet {subnet.id!r}: its route table has no 0.0.0.0/0")


def check_rules(groups: Iterable[Any]) -> None:
    """Hosts must reach each other both ways, and HTTPS outside; raises FAILED_PRECONDITION with the rule that lacks."""
    ingress, egress = security_group_pb2.SecurityGroupRule.INGRESS, security_group_pb2.SecurityGroupRule.EGRESS
    rules = [(rule, group) for group in groups for rule in group.rules]
    for direction, name in ((ingress, "INGRESS"), (egress, "EGRESS")):
        if not any(rule.direction == direction and _to_itself(rule, group) for rule, group in rules):
            raise precondition(
                f"security_group_ids: no {name} rule for any protocol and port with the target self_security_group"
            )
    if not any(rule.direction == egress and _opens_https(rule) for rule, _ in rules):
        raise precondition("security_group_ids: no EGRESS rule for TCP 443 to 0.0.0.0/0")


def _to_itself(rule: Any, group: Any) -> bool:
    target = rule.predefined_target == "self_security_group" or rule.security_group_id == group.id
    return target and _any_protocol(rule) and not rule.HasField("ports")


def _opens_https(rule: Any) -> bool:
    ports = not rule.HasField("ports") or rule.ports.from_port <= _HTTPS <= rule.ports.to_port
    protocol = _any_protocol(rule) or rule.protocol_name.upper() == "TCP"
    return ports and protocol and "0.0.0.0/0" in rule.cidr_blocks.v4_cidr_blocks


def _any_protocol(rule: Any) -> bool:
    return rule.protocol_name.upper() in ("", "ANY")
