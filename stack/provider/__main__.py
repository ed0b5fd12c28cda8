"""A provider `yandex` for real Terraform, that has the real one's schema and sends what the real one sends.

It makes, changes, reads and removes every type of the module by the API of `local_cloud` (kinds/), which refuses what
the cloud refuses. What is read back is what Terraform is told: a request that lacks something, or an answer that is
otherwise than what was asked for, shows as a difference in the next plan.

Where the real provider has ways of its own (0.219.0 and 0.220.0, on private builds), so has this one:

- a secret is always asked for without a version, also one whose password Lockbox is to make;
- rules of a security group are looked at by direction: one that has none in the configuration stays as it is;
- an empty `airflow_config` comes back as none, and the types of the newer framework are compared with their plan;
- a machine whose boot disk is written in it is made anew when that disk changes, in size too;
- hosts of PostgreSQL without a priority are updated once more when they have been made.

    python -m stack.provider FOLDER    # configuration: FOLDER/provider.json; prints TF_REATTACH_PROVIDERS
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from stack.provider import schema
from stack.provider.cloud import Cloud, settled
from stack.provider.kinds import KINDS
from stack.provider.messages import (
    ERROR,
    MESSAGE,
    UNKNOWN,
    Json,
    defaulted,
    dump,
    keep,
    load,
    planned,
    recognised,
    unwritten,
    walk,
)

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
    if not (prior and new):
        return []
    found = [name for name in sorted(KINDS[kind].anew) if new.get(name) not in (UNKNOWN, prior.get(name))]
    if kind == "yandex_compute_instance":
        boots = ([each.get(key) for each in disks for key in BOOTS] for disks in (prior["boot_disk"], new["boot_disk"]))
        found += ["boot_disk"] if len({repr(each) for each in boots}) > 1 else []
    return found


def said(summary: str, detail: str) -> Any:
    return MESSAGE["Diagnostic"](severity=ERROR, summary=summary, detail=detail)


def detail_of(problem: Exception) -> str:
    """What an error says: gRPC's own sentence, which its text buries."""
    if isinstance(problem, grpc.RpcError):
        return f"{problem.code().name}: {problem.details()}"
    return str(problem)


def with_write_only(block: Json, new: Json | None, config: Json | None) -> Json | None:
    """The plan with what only the configuration has."""
    if new and config:
        for name, attribute in block["attributes"].items():
            if attribute.get("write_only"):
                new[name] = config.get(name)
    return new


def handlers(specs: Json, data_sources: Json, cloud: Cloud) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Call -> (request message, handler), in place of those that a schema alone cannot answer."""

    def plan(request: Any, _: Any) -> Any:
        kind, prior, new = request.type_name, load(request.prior), load(request.new)
        known, block = KINDS[kind], specs[kind]["block"]
        if new and new.get("folder_id", "") is None:
            new["folder_id"] = cloud.config["folder"]
        defaulted(new, known.defaults)
        if prior and new:
            recognised(block, prior, new)
            keep(prior, new, known.kept)
        new = leave_unmanaged(kind, prior, new)
        walk(block, new, planned if prior is None or (known.compared and new != prior) else unwritten)
        answer = {"state": dump(new), "legacy_type_system": not known.compared}
        answer["requires_replace"] = [
            MESSAGE["Path"](steps=[MESSAGE["Step"](attribute_name=name)]) for name in replaced_by(kind, prior, new)
        ]
        if wrong := wrong_labels(new):
            answer["diagnostics"] = [said("Invalid labels", f"{kind}: the label {wrong} is not taken")]
        return MESSAGE["PlanResponse"](**answer)

    def apply(request: Any, _: Any) -> Any:
        """What was begun is kept in the state, with its id, also if it does not come to its end."""
        kind, prior, plan = request.type_name, load(request.prior), load(request.new)
        answer: Json = {"legacy_type_system": not KINDS[kind].compared}
        block = specs[kind]["block"]
        new = with_write_only(block, load(request.new), load(request.config))
        try:
            found = cloud.apply(kind, prior, new)
        except Exception as problem:
            begun = prior
            if prior is None and new and new.get("id") not in (None, UNKNOWN):
                begun = settled(block, plan, {"id": new["id"]})
            diagnostic = said(type(problem).__name__, detail_of(problem))
            return MESSAGE["ApplyResponse"](state=dump(begun), diagnostics=[diagnostic], **answer)
        if found is not None and new is not None:
            found = settled(block, plan, {"id": new.get("id"), **found})
            walk(block, found, unwritten)
        return MESSAGE["ApplyResponse"](state=dump(found), **answer)

    def read(request: Any, _: Any) -> Any:
        kind, values = request.type_name, load(request.state)
        try:
            found = cloud.read(kind, values)
        except Exception as problem:
            diagnostic = said(type(problem).__name__, detail_of(problem))
            return MESSAGE["ReadResponse"](state=request.state, diagnostics=[diagnostic])
        now = None if found is None else settled(specs[kind]["block"], values, found)
        return MESSAGE["ReadResponse"](state=dump(now))

    def read_data(request: Any, _: Any) -> Any:
        kind, values = request.type_name, load(request.state)
        try:
            found = settled(data_sources[kind]["block"], values, cloud.look_up(kind, values))
        except Exception as problem:
            return MESSAGE["ReadResponse"](diagnostics=[said(type(problem).__name__, detail_of(problem))])
        return MESSAGE["ReadResponse"](state=dump(found))

    return {
        "PlanResourceChange": ("ChangeRequest", plan),
        "ApplyResourceChange": ("ChangeRequest", apply),
        "ReadResource": ("ReadRequest", read),
        "ReadDataSource": ("ReadRequest", read_data),
    }


def main() -> None:
    cloud, provider = Cloud(Path(sys.argv[1])), schema.read()
    calls = schema.calls_of(provider) | handlers(provider["resource_schemas"], provider["data_source_schemas"], cloud)
    running, entry = schema.serve(calls)
    print(entry, flush=True)
    running.wait_for_termination()


if __name__ == "__main__":
    main()
