"""The cloud itself: one call in, one answer out, whatever protocol it came by."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from local_cloud import iam, lockbox, schema, service, validation
from local_cloud.config import Config
from local_cloud.dataproc import Dataproc
from local_cloud.errors import ApiError
from local_cloud.faults import Fault, Faults
from local_cloud.identity import ACCOUNT_TYPE, Identity, is_public, permissions_of
from local_cloud.operations import Call, Operations, Verb, timestamp
from local_cloud.store import Row, Store

log = logging.getLogger(__name__)
KEEP_CALLS = 30 * 24 * 3600.0
Handler = Verb | Callable[[Call], Message]
FOLDER_TYPE, CLOUD_TYPE = (f"yandex.cloud.resourcemanager.v1.{name}" for name in ("Folder", "Cloud"))


class Cloud:
    """All parts together. `addresses` maps a protocol ("grpc", "rest") to the host:port that discovery answers with."""

    def __init__(self, config: Config, store: Store, addresses: Mapping[str, str], bundle: Path) -> None:
        self.config = config
        self.store = store
        self.addresses = addresses
        self.operations = Operations(store, config.timings)
        self.faults = Faults(config.state, store)
        self.identity = Identity(config, store, iam.audiences(addresses["grpc"]))
        self.dataproc = Dataproc(self, bundle)
        self._handlers: dict[str, Handler] = {**iam.handlers(), **lockbox.handlers(), **self.dataproc.handlers()}
        self._seed()

    def call(self, method: MethodDescriptor, request: Any, authorization: str, protocol: str) -> Message:
        """Authenticate, authorise, validate, do. Raises `ApiError`; every call leaves a line in the event log."""
        started, subject, code = time.monotonic(), "", "OK"
        try:
            subject = "" if is_public(schema.name_of(method)) else self.identity.subject_of(authorization)
            return self._answer(Call(self, method, request, subject, protocol))
        except ApiError as error:
            code = error.code.name
            raise
        except Exception as error:
            log.exception("%s", schema.name_of(method))
            code = "INTERNAL"
            raise ApiError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}") from error
        finally:
            self.store.execute(
                "INSERT INTO calls VALUES (?,?,?,?,?,?)",
                time.time(),
                subject,
                schema.name_of(method),
                _subject_matter(method, request),
                code,
                (time.monotonic() - started) * 1000,
            )

    def verb(self, method: MethodDescriptor) -> Handler:
        """The handler of a method: its own, or the generic one; raises UNIMPLEMENTED."""
        return self._handlers.get(schema.name_of(method)) or service.generic(method)

    def _answer(self, call: Call) -> Message:
        name = schema.name_of(call.method)
        if not is_public(name):
            self._authorise(call, name)
        _strike(self.faults.take(name, "call"))
        validation.check(call.request)
        handler = self.verb(call.method)
        if isinstance(handler, Verb):
            answer: Message = self.operations.start(call, handler)
        else:
            answer = handler(call)
        _strike(self.faults.take(name, "after"))
        return answer

    def _authorise(self, call: Call, name: str) -> None:
        if name.startswith("yandex.cloud.operation.OperationService/"):
            name, resource = self.operations.method_and_resource(call.request.operation_id)
            row = self.store.find(resource)
        else:
            row = self._subject_row(call)
        folder = row.folder if row is not None else self.folder_of(call.request)
        self.identity.authorise(call.subject, permissions_of(name), folder, row)

    def _subject_row(self, call: Call) -> Row | None:
        """The resource that a call is about, or its parent; None for one that does not exist (yet)."""
        keys = schema.key_fields(call.method.containing_service)
        for name in (*reversed(keys), "resource_id"):
            row = self.store.find(getattr(call.request, name, ""))
            if row is not None:
                return row
        return None

    def folder_of(self, request: Any) -> str:
        """The folder that a request names; without one, the endpoint's own."""
        return getattr(request, "folder_id", "") or self.config.folder_id

    def _seed(self) -> None:
        """What exists before the first call: cloud, folder, service accounts, and the configuration's resources."""
        config = self.config
        seeds: list[Mapping[str, Any]] = [
            {"@type": CLOUD_TYPE, "id": config.cloud_id, "name": "local"},
            {"@type": FOLDER_TYPE, "id": config.folder_id, "cloudId": config.cloud_id, "name": "local"},
            *(
                {"@type": ACCOUNT_TYPE, "id": account.id, "folderId": config.folder_id, "name": name}
                for name, account in config.service_accounts.items()
            ),
            *config.resources,
        ]
        for seed in seeds:
            if self.store.find(seed["id"]) is None:
                message: Any = schema.new(schema.find_type(seed["@type"]))
                json_format.ParseDict({key: value for key, value in seed.items() if key != "@type"}, message)
                message.created_at.CopyFrom(timestamp())
                self.store.insert(message, message.id, config.folder_id, {})

    def resume(self) -> None:
        """Take up what an earlier run of the endpoint left: clusters that run, operations that are not done."""
        self.store.execute("DELETE FROM calls WHERE time < ?", time.time() - KEEP_CALLS)
        self.dataproc.resume()
        self.operations.resume(self)

    def shutdown(self) -> None:
        self.operations.shutdown()
        self.dataproc.shutdown()


def _strike(fault: Fault | None) -> None:
    if fault is not None:
        time.sleep(fault.delay)
        if fault.error is not None:
            raise fault.error


def _subject_matter(method: MethodDescriptor, request: Any) -> str:
    """What the event log says a call was about: an id or a name, never a payload."""
    keys = reversed(schema.key_fields(method.containing_service))
    for name in (*keys, "operation_id", "resource_id", "name", "folder_id"):
        if schema.has(request, name) and getattr(request, name):
            return str(getattr(request, name))
    return ""
