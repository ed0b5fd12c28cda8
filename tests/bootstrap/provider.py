"""A provider `yandex` for real Terraform, that has the real one's schema and makes what it is told to make up.

What the commands around Terraform depend on is made for real: secrets, service accounts, networks, Data Proc's
neighbours in the API of `local_cloud`, buckets in an S3 server. All else is accepted, given an id and remembered by
Terraform's state alone. It refuses what the cloud refuses: to delete what is protected or in use, or a bucket that is
not empty; labels that one of the services does not take. What somebody or the service itself has changed meanwhile is
in FOLDER/by-hand.json (made_for_real.py).

Where the real provider has ways of its own (0.219.0, on a private build), so has this one:

- a secret is always asked for without a version, also one whose password Lockbox is to make;
- rules of a security group are looked at by direction: one that has none in the configuration stays as it is;
- an empty `airflow_config` comes back as none, and Airflow's resource is one whose results Terraform compares;
- a machine whose boot disk is written in it is made anew when that disk changes, in size too;
- hosts of PostgreSQL without a priority are updated once more when they have been made: UpdateHosts in FOLDER/calls.

    python -m tests.bootstrap.provider FOLDER    # configuration: FOLDER/provider.json; prints TF_REATTACH_PROVIDERS
"""

import gzip
import importlib.machinery
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from tests.bootstrap.made_for_real import Cloud
from tests.bootstrap.messages import ERROR, MESSAGE, Json, dump, load, made, planned, unwritten, walk

# Types whose results Terraform compares with the plan (the provider's newer framework).
COMPARED = ("yandex_airflow_cluster",)
DIRECTIONS = ("ingress", "egress")
BOOTS = ("disk_id", "initialize_params")  # of a boot disk: which one it is, and what it is made of
# Of all services of the module, what the strictest takes.
LABEL, LABEL_VALUE = re.compile(r"[a-z][-_0-9a-z]{0,62}"), re.compile(r"[-_0-9a-z]{0,63}")


def wrong_labels(values: Json | None) -> str | None:
    """The first label that a service would refuse, as text; None: all are well."""
    labels = (values or {}).get("labels")
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if not LABEL.fullmatch(key) or (isinstance(value, str) and not LABEL_VALUE.fullmatch(value)):
            return f"{key} = {value!r}"
    return None


def leave_unmanaged(kind: str, prior: Json | None, new: Json | None) -> Json | None:
    """The plan, in which a direction of a security group that the configuration does not name stays as it is."""
    if kind == "yandex_vpc_security_group" and prior and new:
        return new | {each: prior[each] for each in DIRECTIONS if not new[each]}
    return new


def replaced_by(kind: str, prior: Json | None, new: Json | None) -> list[str]:
    """Top-level attributes whose change makes the resource anew."""
    if kind != "yandex_compute_instance" or not (prior and new):
        return []
    was, will = ([each.get(key) for each in disks for key in BOOTS] for disks in (prior["boot_disk"], new["boot_disk"]))
    return ["boot_disk"] if was != will else []


def said(summary: str, detail: str) -> Any:
    return MESSAGE["Diagnostic"](severity=ERROR, summary=summary, detail=detail)


def handlers(specs: Json, data_sources: Json, cloud: Cloud) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Call -> (request message, handler), in place of those that a schema alone cannot answer."""

    def plan(request: Any, _: Any) -> Any:
        kind, prior, new = request.type_name, load(request.prior), load(request.new)
        walk(specs[kind]["block"], new, unwritten if prior else planned)
        answer = {"state": dump(leave_unmanaged(kind, prior, new)), "legacy_type_system": kind not in COMPARED}
        answer["requires_replace"] = [
            MESSAGE["Path"](steps=[MESSAGE["Step"](attribute_name=name)]) for name in replaced_by(kind, prior, new)
        ]
        if wrong := wrong_labels(new):
            answer["diagnostics"] = [said("Invalid labels", f"{kind}: the label {wrong} is not taken")]
        return MESSAGE["PlanResponse"](**answer)

    def apply(request: Any, _: Any) -> Any:
        kind, prior, new = request.type_name, load(request.prior), load(request.new)
        answer: Json = {"legacy_type_system": kind not in COMPARED}
        try:
            if kind == "yandex_mdb_postgresql_cluster_v2" and new:
                cloud.settle_hosts(new["hosts"])
            walk(specs[kind]["block"], new, made)
            cloud.apply(kind, prior, new)
        except Exception as problem:
            return MESSAGE["ApplyResponse"](
                state=dump(prior), diagnostics=[said(type(problem).__name__, str(problem))], **answer
            )
        return MESSAGE["ApplyResponse"](state=dump(new), **answer)

    def read(request: Any, _: Any) -> Any:
        try:
            return MESSAGE["ReadResponse"](state=dump(cloud.read(request.type_name, load(request.state))))
        except Exception as problem:
            diagnostic = said(type(problem).__name__, str(problem))
            return MESSAGE["ReadResponse"](state=request.state, diagnostics=[diagnostic])

    def read_data(request: Any, _: Any) -> Any:
        value = load(request.state)
        cloud.wait(f"data.{request.type_name}")
        walk(data_sources[request.type_name]["block"], value, lambda *each: made(each[0], each[1], planned(*each)))
        return MESSAGE["ReadResponse"](state=dump(value))

    return {
        "PlanResourceChange": ("ChangeRequest", plan),
        "ApplyResourceChange": ("ChangeRequest", apply),
        "ReadResource": ("ReadRequest", read),
        "ReadDataSource": ("ReadRequest", read_data),
    }


class Service(grpc.GenericRpcHandler):
    """The schema's own service, with these calls answered instead of refused."""

    def __init__(self, schema: grpc.GenericRpcHandler, calls: dict[str, tuple[str, Callable[..., Any]]]) -> None:
        self.schema, self.calls = schema, calls

    def service(self, details: Any) -> Any:
        call = details.method.rpartition("/")[2]
        if call not in self.calls:
            return self.schema.service(details)
        request, handler = self.calls[call]
        return grpc.unary_unary_rpc_method_handler(
            handler,
            request_deserializer=MESSAGE[request].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


def schema_server(folder: Path) -> Any:
    """The module `with-schema-provider` of that folder."""
    loader = importlib.machinery.SourceFileLoader("with_schema_provider", str(folder / "with-schema-provider"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def main() -> None:
    cloud = Cloud(Path(sys.argv[1]))
    schemas = Path(cloud.config["schemas"])
    server = schema_server(schemas)
    document = json.loads(gzip.decompress((schemas / "yandex-schema.json.gz").read_bytes()))
    ((address, provider),) = document["provider_schemas"].items()
    schema_only = server.service
    calls = handlers(provider["resource_schemas"], provider["data_source_schemas"], cloud)
    server.service = lambda provider: Service(schema_only(provider), calls)
    running, entry = server.serve(provider)
    print(json.dumps({address: entry}), flush=True)
    running.wait_for_termination()


if __name__ == "__main__":
    main()
