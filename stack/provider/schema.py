"""The schema of Terraform's provider, served without the provider: what `validate` and `terraform test` need.

    python -m stack.provider.schema terraform validate    # or any other command; its exit status is the command's

yandex-schema.json is of yandex-cloud/yandex 0.220.0 (reduce.py). Caught are unknown or missing arguments and blocks,
wrong types, bad references, values for what only the provider sets; not what a schema does not say: allowed values,
ranges, arguments that exclude each other.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from stack.provider.messages import ERROR, MESSAGE, WARNING, Json, load, members

FILE = Path(__file__).with_name("yandex-schema.json")
ADDRESS = "yandex-cloud/yandex"
FLAGS = ("required", "optional", "computed", "sensitive", "deprecated", "write_only")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
NOTHING_TO_SAY = ("ValidateProviderConfig", "ConfigureProvider", "GetFunctions", "StopProvider")
# Call -> a message that has the diagnostics where the call's own answer has them.
REFUSED = {
    "ReadResource": "ReadResponse",
    "PlanResourceChange": "PlanResponse",
    "ApplyResourceChange": "ApplyResponse",
    "ImportResourceState": "ReadResponse",
    "ReadDataSource": "ReadResponse",
}
Answer = Callable[[Any, Any], Any]
Calls = dict[str, tuple[str, Answer]]  # call -> message of the request, and what answers it


def read() -> Json:
    """`provider`, `resource_schemas` and `data_source_schemas`, as `terraform providers schema -json` has them."""
    return dict(json.loads(FILE.read_text()))


# ---------------------------------------------------------------------------- as messages
def attribute(name: str, spec: Json) -> Any:
    message = MESSAGE["Attribute"](name=name, **{flag: spec.get(flag, False) for flag in FLAGS})
    if nested := spec.get("nested_type"):
        message.nested_type.nesting = NESTING[nested["nesting_mode"]]
        message.nested_type.attributes.extend(attributes(nested))
    else:
        message.type = json.dumps(spec["type"]).encode()
    return message


def attributes(spec: Json) -> list[Any]:
    return [attribute(name, item) for name, item in spec.get("attributes", {}).items()]


def block(spec: Json) -> Any:
    """A block with everything in it."""
    inner = [
        MESSAGE["NestedBlock"](
            type_name=name,
            block=block(item["block"]),
            nesting=NESTING[item["nesting_mode"]],
            min_items=item.get("min_items", 0),
            max_items=item.get("max_items", 0),
        )
        for name, item in spec.get("block_types", {}).items()
    ]
    return MESSAGE["Block"](attributes=attributes(spec), block_types=inner, deprecated=spec.get("deprecated", False))


def schema(spec: Json) -> Any:
    return MESSAGE["Schema"](version=spec["version"], block=block(spec["block"]))


def entries(specs: Json) -> list[Any]:
    return [MESSAGE["SchemaEntry"](key=name, value=schema(spec)) for name, spec in specs.items()]


# ---------------------------------------------------------------------------- what it says of a value
def given(spec: Json, value: Any, path: str = "") -> Iterator[tuple[str, Json]]:
    """Path and schema of each attribute for which a block or object of the configuration has a value."""
    if not isinstance(value, dict):  # null, or not known yet
        return
    for name, item in spec.get("attributes", {}).items():
        if value.get(name) is not None:
            yield path + name, item
            if nested := item.get("nested_type"):
                for member in members(nested["nesting_mode"], value[name]):
                    yield from given(nested, member, f"{path}{name}.")
    for name, item in spec.get("block_types", {}).items():
        for member in members(item["nesting_mode"], value.get(name)):
            yield from given(item["block"], member, f"{path}{name}.")


def validating(specs: Json) -> Answer:
    """What Terraform leaves to the provider, and the schema says."""

    def answer(request: Any, _: Any) -> Any:
        response = MESSAGE["ValidateResponse"]()
        for path, spec in given(specs[request.type_name]["block"], load(request.config)):
            if not (spec.get("required") or spec.get("optional")):
                detail = f'The provider sets "{path}", a configuration cannot.'
                response.diagnostics.add(severity=ERROR, summary="Value for a read-only attribute", detail=detail)
            elif spec.get("deprecated"):
                detail = f'The provider documents "{path}" as deprecated.'
                response.diagnostics.add(severity=WARNING, summary="Argument is deprecated", detail=detail)
        return response

    return answer


def refusing(call: str) -> Answer:
    def answer(request: Any, _: Any) -> Any:
        detail = (
            f"It cannot answer {call} for {request.type_name}: only the schema is served here. Use mock_provider in "
            "`terraform test`, or the real provider."
        )
        said = MESSAGE["Diagnostic"](severity=ERROR, summary="This is the schema-only provider", detail=detail)
        return MESSAGE[REFUSED[call]](diagnostics=[said])

    return answer


def upgraded(request: Any, _: Any) -> Any:
    """Stored state as it is: one of an older schema cannot be upgraded from a schema."""
    return MESSAGE["UpgradeResponse"](state={"json": request.raw.json})


# ---------------------------------------------------------------------------- as a server
def calls_of(provider: Json) -> Calls:
    """What a schema alone answers."""
    resources, data_sources = provider["resource_schemas"], provider["data_source_schemas"]
    metadata = MESSAGE["MetadataResponse"](
        resources=[{"type_name": name} for name in resources],
        data_sources=[{"type_name": name} for name in data_sources],
    )
    whole = MESSAGE["SchemaResponse"](
        provider=schema(provider["provider"]),
        resource_schemas=entries(resources),
        data_source_schemas=entries(data_sources),
    )
    return {
        "GetMetadata": ("Empty", lambda *_: metadata),
        "GetProviderSchema": ("Empty", lambda *_: whole),
        "ValidateResourceConfig": ("ValidateRequest", validating(resources)),
        "ValidateDataResourceConfig": ("ValidateRequest", validating(data_sources)),
        "UpgradeResourceState": ("UpgradeRequest", upgraded),
        **{call: ("Empty", lambda *_: MESSAGE["Empty"]()) for call in NOTHING_TO_SAY},
        **{call: ("TypeName", refusing(call)) for call in REFUSED},
    }


def serve(calls: Calls) -> tuple[grpc.Server, str]:
    """A server on a free port of loopback, and what TF_REATTACH_PROVIDERS says of it."""
    handlers = {
        call: grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=MESSAGE[request].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for call, (request, answer) in calls.items()
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers),))
    address = {"Network": "tcp", "String": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"}
    server.start()
    # "Test" tells Terraform that the process is not its own to stop.
    entry = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
    return server, json.dumps({ADDRESS: entry})


def main() -> int:
    """Runs a command with the schema for its provider; signals are passed on."""
    parser = argparse.ArgumentParser(
        prog="python -m stack.provider.schema", description="Serves the schema to a command."
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="such as: terraform validate")
    command = parser.parse_args().command
    if not command:
        parser.error("no command is given, one such as `terraform validate` is expected")
    server, entry = serve(calls_of(read()))
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to the command as well
    try:
        with subprocess.Popen(command, env=os.environ | {"TF_REATTACH_PROVIDERS": entry}) as process:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda received, _: process.send_signal(received))
            status = process.wait()
    except OSError as problem:
        print(f"{command[0]} cannot be run: {problem.strerror}", file=sys.stderr)
        return 127
    finally:
        server.stop(grace=None).wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
