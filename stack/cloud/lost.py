"""What a plan would make although the cloud has it: made by an apply whose end the state did not see.

A provider notes a resource when its creation has ended. If it gives up before (Airflow can take longer than its
timeout), or is killed, the cloud goes on and has something that the state does not know; to make it again is refused,
for its name is taken. It is taken into the state by `terraform import`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stack.cloud import leftovers
from stack.cloud.leftovers import Leftover
from stack.common.errors import StackError

# Terraform's type -> what the folder's list of it is called in leftovers.py: those whose name a folder has once.
# Secrets and keys are not among them; a key that was deleted is listed for days.
KINDS = {
    "yandex_airflow_cluster": "Airflow cluster",
    "yandex_mdb_postgresql_cluster_v2": "PostgreSQL cluster",
    "yandex_compute_instance": "machine",
    "yandex_compute_disk": "disk",
    "yandex_compute_snapshot_schedule": "snapshot schedule",
    "yandex_vpc_network": "network",
    "yandex_vpc_subnet": "subnet",
    "yandex_vpc_address": "address",
    "yandex_vpc_gateway": "gateway",
    "yandex_vpc_route_table": "route table",
    "yandex_vpc_security_group": "security group",
    "yandex_dns_zone": "DNS zone",
    "yandex_logging_group": "log group",
    "yandex_iam_service_account": "service account",
}


@dataclass(frozen=True)
class Lost:
    """A resource by its address in Terraform, and what the cloud has under its name."""

    address: str
    there: Leftover

    def __str__(self) -> str:
        return f"{self.address} is {self.there}"


def find(sdk: Any, folder_id: str, changes: list[dict[str, Any]]) -> list[Lost]:
    """Of a plan's `resource_changes` those that would make what the folder has already."""
    wanted: dict[str, dict[str, str]] = {}  # kind -> name -> address
    for each in changes:
        if each["change"]["actions"] == ["create"] and each["type"] in KINDS:
            name = each["change"]["after"].get("name")
            if name:
                wanted.setdefault(KINDS[each["type"]], {})[name] = each["address"]
    return [lost for kind, names in wanted.items() for lost in find_kind(sdk, folder_id, kind, names)]


def find_kind(sdk: Any, folder_id: str, kind: str, names: dict[str, str]) -> Iterator[Lost]:
    for each in leftovers.listed(sdk, folder_id, kind):
        if each.name in names:
            yield Lost(names[each.name], Leftover(kind, each.name, each.id))


def refuse(lost: list[Lost]) -> None:
    """Raises StackError if something is lost; names it and the command that takes it into the state."""
    if lost:
        raise StackError(
            f"The cloud has what the plan would make, and the state does not know it: {'; '.join(map(str, lost))}. It "
            "was made by a run that did not see its end, or by somebody else. If it is ours, wait until the console "
            f"shows it as running, then take it into the state: `make bootstrap IMPORT='{imports(lost)}'`. If it is "
            "somebody else's, leave it alone: another prefix in terraform.tfvars gives names of our own."
        )


def imports(lost: list[Lost]) -> str:
    return " ".join(f"{each.address}={each.there.id}" for each in lost)


def parse_imports(text: str) -> list[tuple[str, str]]:
    """(address, id) of each `ADDRESS=ID`, apart by spaces."""
    pairs = [each.rpartition("=") for each in text.split()]
    if wrong := [name or found for name, _, found in pairs if not name or not found]:
        raise StackError(
            f"IMPORT={text}: ADDRESS=ID is expected, such as `make bootstrap IMPORT='{EXAMPLE}'`; {wrong[0]!r} is none."
        )
    return [(address, found) for address, _, found in pairs]


EXAMPLE = "yandex_airflow_cluster.main[0]=c9q0000000000000000a"
