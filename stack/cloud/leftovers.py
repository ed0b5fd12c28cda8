"""What of ours is in the folder, by asking the cloud's API: all of it before `make destroy`, nothing afterwards."""

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from dags.retraining.clusters import OWNER, OWNER_LABEL
from stack.cloud.settings import Settings
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
    """`certain`: it has our label, or a name that only we can have; else it is merely called so."""

    kind: str
    name: str
    id: str
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id}{'' if self.certain else ', by its name alone'})"


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


def stack_of(kind: str, resource: Any, settings: Settings) -> str | None:
    """The prefix of the deployment that has made it, where it says so: by the label that Terraform gives, or by a name
    that has the folder's id at its end. Several deployments may live in one folder."""
    labels = getattr(resource, "labels", {})
    if labels.get(OWNER_LABEL) == OWNER:  # a run's cluster: known by its bucket
        return prefix_of(resource.bucket, settings) or f"the one with the bucket {resource.bucket}"
    if "stack" in labels:
        return str(labels["stack"])
    return prefix_of(resource.name, settings) if kind == "bucket" else None


def prefix_of(bucket: str, settings: Settings) -> str | None:
    """Of `<prefix>-<purpose>-<folder's id>`, for a purpose of one word."""
    found = re.fullmatch(rf"(.+)-[a-z]+-{settings.folder_id}", bucket)
    return found[1] if found else None


def by_name(name: str, prefixes: Iterable[str]) -> str | None:
    """Whose a thing without a label is, if anybody's: of all prefixes the longest with which its name begins."""
    fitting = [each for each in prefixes if name == each or name.startswith(f"{each}-")]
    return max(fitting, key=len, default=None)


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


def ours(sdk: Any, settings: Settings, *kinds: str) -> list[Leftover]:
    """Everything of ours that is there, of these kinds or of all; nothing that another deployment has made.

    Raises:
        StackError: a list cannot be had; then nobody knows.
    """
    there = [(kind, each) for kind in kinds or KINDS for each in listed(sdk, settings.folder_id, kind)]
    makers = [stack_of(kind, each, settings) for kind, each in there]
    prefixes = {settings.prefix, *filter(None, makers)}
    return [
        Leftover(kind, each.name, getattr(each, "id", "") or each.name, certain=maker is not None)
        for (kind, each), maker in zip(there, makers, strict=True)
        if (maker or by_name(each.name, prefixes)) == settings.prefix
    ]
