"""How much of the cloud's quotas a plan of Terraform takes, and a run's cluster besides.

Names are the quota service's (`yc quota-manager quota-limit list`; the vendor's page "Yandex Cloud service quotas",
read 2026-11-26); sizes are bytes. Data Proc's hosts count as machines of Compute.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from stack.cloud.price_list import GIB, size_of

Values = dict[str, Any]  # of a resource, as Terraform's plan has them
Needs = Counter[str]  # quota -> how much; negative: so much becomes free
DISKS = {"network-ssd": "compute.ssdDisks.size", "network-hdd": "compute.hddDisks.size"}
DATABASE_DISKS = {"network-ssd": "mdb.ssd.size", "network-hdd": "mdb.hdd.size"}


def vcpu_and_memory(preset: str) -> tuple[int, int]:
    """vCPU and GiB of a preset; none of one whose name does not say it and that nobody here knows."""
    try:
        return size_of(preset)
    except KeyError:
        return 0, 0


def of_disk(kind: str | None, gib: float | None) -> Needs:
    needs = Counter({"compute.disks.count": 1})
    if kind in DISKS:
        needs[DISKS[kind]] = round((gib or 0) * GIB)
    return needs


def of_instance(values: Values) -> Needs:
    (size,) = values["resources"]
    needs = Counter(
        {
            "compute.instances.count": 1,
            "compute.instanceCores.count": size["cores"],
            "compute.instanceMemory.size": round(size["memory"] * GIB),
        }
    )
    for boot in values.get("boot_disk") or ():
        for made in boot.get("initialize_params") or ():  # without it the disk is another resource
            needs += of_disk(made.get("type"), made.get("size"))
    # An address of its own that was not reserved; a reserved one is a resource that counts itself.
    wild = [each for each in values.get("network_interface") or () if each.get("nat") and not reserved(each)]
    return needs + Counter({"vpc.externalAddresses.count": len(wild)})


def reserved(interface: Values) -> bool:
    """Whether the address comes from a reservation; one that is known only after apply is missing in the plan."""
    return "nat_ip_address" not in interface or bool(interface["nat_ip_address"])


def of_address(values: Values) -> Needs:
    outside = len(values.get("external_ipv4_address") or ())
    return Counter({"vpc.externalAddresses.count": outside, "vpc.externalStaticAddresses.count": outside})


def of_network(_: Values) -> Needs:
    return Counter({"vpc.networks.count": 1, "vpc.securityGroups.count": 1})  # it comes with a group of its own


def of_postgresql(values: Values) -> Needs:
    hosts = len(values.get("hosts") or [None])  # known only after apply: one at least
    resources = values["config"]["resources"]
    resources = resources[0] if isinstance(resources, list) else resources
    vcpu, memory = vcpu_and_memory(resources["resource_preset_id"])
    needs = Counter({"mdb.clusters.count": 1, "mdb.cpu.count": hosts * vcpu, "mdb.memory.size": hosts * memory * GIB})
    if resources["disk_type_id"] in DATABASE_DISKS:
        needs[DATABASE_DISKS[resources["disk_type_id"]]] = round(hosts * resources["disk_size"] * GIB)
    return needs


def of_airflow(values: Values) -> Needs:
    needs = Counter({"managed-airflow.clusters.count": 1})
    for name in ("webserver", "scheduler", "worker", "dag_processor", "triggerer"):
        if part := values.get(name):
            vcpu, memory = vcpu_and_memory(part["resource_preset_id"])
            count = part.get("max_count") or part.get("count") or 1
            needs += Counter(
                {"managed-airflow.cpu.count": count * vcpu, "managed-airflow.memory.size": count * memory * GIB}
            )
    return needs


def one_of(quota: str) -> Callable[[Values], Needs]:
    return lambda _: Counter({quota: 1})


# Type of a resource -> what one of them takes. What is not here takes nothing that a fresh cloud is short of.
COUNTS: dict[str, Callable[[Values], Needs]] = {
    "yandex_compute_instance": of_instance,
    "yandex_compute_disk": lambda values: of_disk(values.get("type"), values.get("size")),
    "yandex_vpc_network": of_network,
    "yandex_vpc_subnet": one_of("vpc.subnets.count"),
    "yandex_vpc_security_group": one_of("vpc.securityGroups.count"),
    "yandex_vpc_route_table": lambda values: Counter(
        {"vpc.routeTables.count": 1, "vpc.staticRoutes.count": len(values.get("static_route") or ())}
    ),
    "yandex_vpc_address": of_address,
    "yandex_dns_zone": one_of("dns.zones.count"),
    "yandex_mdb_postgresql_cluster_v2": of_postgresql,
    "yandex_airflow_cluster": of_airflow,
    "yandex_lockbox_secret": one_of("lockbox.secrets.count"),
    "yandex_iam_service_account": one_of("iam.serviceAccounts.count"),
    "yandex_iam_service_account_static_access_key": one_of("iam.accessKeys.count"),
    "yandex_storage_bucket": one_of("storage.buckets.count"),
}


def of_plan(changes: list[dict[str, Any]]) -> Needs:
    """What a plan's `resource_changes` take besides what is in use already."""
    needs: Needs = Counter()
    for each in changes:
        if count := COUNTS.get(each["type"]):
            before, after = each["change"]["before"], each["change"]["after"]
            needs.update(count(after) if after else {})
            needs.subtract(count(before) if before else {})
    return needs


def of_run(cluster: Values) -> Needs:
    """What one run takes at its largest, by the cluster's settings: the master, and as many hosts as it may grow to."""
    hosts = max(cluster["compute_count"], cluster.get("compute_max_count") or 0)
    needs: Needs = Counter()
    for preset, count in ((cluster["master_preset"], 1), (cluster["compute_preset"], hosts)):
        vcpu, memory = vcpu_and_memory(preset)
        disk = of_disk(cluster.get("disk_type") or "network-ssd", cluster["disk_gib"])
        one = disk + Counter(
            {
                "compute.instances.count": 1,
                "compute.instanceCores.count": vcpu,
                "compute.instanceMemory.size": memory * GIB,
            }
        )
        needs.update({quota: count * amount for quota, amount in one.items()})
    return needs
