"""What of ours is in the folder, by asking the cloud's API: all of it before `make destroy`, nothing afterwards."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from dags.retraining.clusters import OWNER, OWNER_LABEL
from stack.common.errors import StackError

# What a person calls it -> package and name of its service.
KINDS = {
    "Data Proc cluster": ("dataproc", "cluster"),
    "Airflow cluster": ("airflow", "cluster"),
    "PostgreSQL cluster": ("mdb.postgresql", "cluster"),
    "machine": ("compute", "instance"),
    "disk": ("compute", "disk"),
    "snapshot": ("compute", "snapshot"),
    "snapshot schedule": ("compute", "snapshot_schedule"),
    "network": ("vpc", "network"),
    "subnet": ("vpc", "subnet"),
    "address": ("vpc", "address"),
    "gateway": ("vpc", "gateway"),
    "route table": ("vpc", "route_table"),
    "security group": ("vpc", "security_group"),
    "DNS zone": ("dns", "dns_zone"),
    "bucket": ("storage", "bucket"),
    "secret": ("lockbox", "secret"),
    "key": ("kms", "symmetric_key"),
    "log group": ("logging", "log_group"),
    "service account": ("iam", "service_account"),
}


@dataclass(frozen=True)
class Leftover:
    kind: str
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id})"


def everything(sdk: Any, folder_id: str, kind: str) -> Iterator[Any]:
    """All resources of that kind in the folder, whosever they are."""
    package, noun = KINDS[kind]
    base, service = f"yandex.cloud.{package}.v1.{noun}_service", noun.title().replace("_", "") + "Service"
    method = importlib.import_module(f"{base}_pb2").DESCRIPTOR.services_by_name[service].methods_by_name["List"]
    (field,) = (each.name for each in method.output_type.fields if each.message_type)  # a page is one list and a token
    stub = sdk.client(getattr(importlib.import_module(f"{base}_pb2_grpc"), f"{service}Stub"))
    request: Any = GetMessageClass(method.input_type)(folder_id=folder_id, page_size=100)
    while True:
        page = stub.List(request, timeout=60)
        yield from getattr(page, field)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def is_ours(resource: Any, prefix: str) -> bool:
    """By the labels that Terraform, `make bootstrap` and the DAG give, or by a name that begins with the prefix."""
    labels = getattr(resource, "labels", {})
    if labels.get(OWNER_LABEL) == OWNER:  # a run's cluster: its bucket says of which deployment in this folder
        return bool(resource.bucket.startswith(f"{prefix}-"))
    return labels.get("stack") == prefix or resource.name == prefix or resource.name.startswith(f"{prefix}-")


def listed(sdk: Any, folder_id: str, kind: str) -> list[Any]:
    """All of that kind.

    Raises:
        StackError: the list cannot be had; then nobody knows.
    """
    try:
        return list(everything(sdk, folder_id, kind))
    except grpc.RpcError as problem:
        raise StackError(
            f"The cloud does not list {kind}s of {folder_id}: {problem.code().name}, {problem.details()}. "
            "Whether there is one of ours is unknown; give the account the role viewer and run this again."
        ) from None


def ours(sdk: Any, folder_id: str, prefix: str, *kinds: str) -> list[Leftover]:
    """Everything of ours that is there, of these kinds or of all.

    Raises:
        StackError: a list cannot be had; then nobody knows.
    """
    found = []
    for kind in kinds or KINDS:
        mine = [each for each in listed(sdk, folder_id, kind) if is_ours(each, prefix)]
        found += [Leftover(kind, each.name, getattr(each, "id", "") or each.name) for each in mine]
    return found
