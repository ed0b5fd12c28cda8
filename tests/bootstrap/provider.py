"""A provider `yandex` for real Terraform, that has the real one's schema and makes what it is told to make up.

What the commands around Terraform depend on is made for real: secrets, service accounts, networks, Data Proc's
neighbours in the API of `local_cloud`, buckets in an S3 server. All else is accepted, given an id and remembered by
Terraform's state alone. It refuses what the cloud refuses: to delete what is protected, or a bucket that is not empty.

    python -m tests.bootstrap.provider FOLDER    # configuration: FOLDER/provider.json; prints TF_REATTACH_PROVIDERS
"""

import gzip
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from tests.bootstrap.made_for_real import Cloud
from tests.bootstrap.messages import ERROR, MESSAGE, Json, dump, load, made, planned, unwritten, walk


def handlers(specs: Json, data_sources: Json, cloud: Cloud) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Call -> (request message, handler), in place of those that a schema alone cannot answer."""

    def plan(request: Any, _: Any) -> Any:
        new = load(request.new)
        walk(specs[request.type_name]["block"], new, unwritten if load(request.prior) else planned)
        return MESSAGE["PlanResponse"](state=dump(new), legacy_type_system=True)

    def apply(request: Any, _: Any) -> Any:
        prior, new = load(request.prior), load(request.new)
        try:
            if new is None:
                cloud.remove(request.type_name, prior)
            else:
                walk(specs[request.type_name]["block"], new, made)
                if prior is None:
                    cloud.make(request.type_name, new)
        except Exception as problem:
            diagnostic = MESSAGE["Diagnostic"](severity=ERROR, summary=type(problem).__name__, detail=str(problem))
            return MESSAGE["ApplyResponse"](state=dump(prior), diagnostics=[diagnostic], legacy_type_system=True)
        return MESSAGE["ApplyResponse"](state=dump(new), legacy_type_system=True)

    def read_data(request: Any, _: Any) -> Any:
        value = load(request.state)
        cloud.wait(f"data.{request.type_name}")
        walk(data_sources[request.type_name]["block"], value, lambda *each: made(each[0], each[1], planned(*each)))
        return MESSAGE["ReadResponse"](state=dump(value))

    return {
        "PlanResourceChange": ("ChangeRequest", plan),
        "ApplyResourceChange": ("ChangeRequest", apply),
        "ReadResource": ("ReadRequest", lambda request, _: MESSAGE["ReadResponse"](state=request.state)),
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
