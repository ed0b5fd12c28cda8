"""Operations: work that a call begins and that ends later, well or badly, also across a restart of the endpoint."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation

from local_cloud.core import schema
from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.errors import ApiError, not_found
from local_cloud.core.faults import Faults
from local_cloud.core.resources import new_id, timestamp
from local_cloud.core.store import Store

log = logging.getLogger(__name__)


class Operations:
    """Starts, finishes, cancels, lists and resumes operations; one thread each, for as long as it takes."""

    def __init__(self, store: Store, timings: Mapping[str, float], faults: Faults) -> None:
        self._store = store
        self._timings = timings
        self._faults = faults
        self._running: dict[str, Work] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, call: Call, verb: Verb) -> Operation:
        """Begin the work and return the operation, which is not done unless the verb does its work at once."""
        with self._store.transaction():
            begun = verb.begin(call)
            operation = _new_operation(call, begun)
            self._store.execute(
                "INSERT INTO operations(id, resource, method, subject, request, previous, data, done)"
                " VALUES (?,?,?,?,?,?,?,0)",
                operation.id,
                begun.row.key,
                call.name,
                call.subject,
                call.request.SerializeToString(),
                begun.previous,
                operation.SerializeToString(),
            )
        work = Work(call, operation.id, begun.row.key, begun.previous)
        if verb.at_once:
            self._run(work, verb, verb.finish, 0)
            return self.get(operation.id)
        self._spawn(work, verb, verb.finish, self.seconds(call.method))
        return operation

    def seconds(self, method: MethodDescriptor) -> float:
        """How long an operation of that method takes besides its own work."""
        return self._timings.get(schema.timing_key(method), self._timings.get("default", 0.2))

    def get(self, operation_id: str) -> Operation:
        return Operation.FromString(self._record(operation_id)["data"])

    def method_and_resource(self, operation_id: str) -> tuple[str, str]:
        record = self._record(operation_id)
        return record["method"], record["resource"]

    def _record(self, operation_id: str) -> Any:
        rows = self._store.execute("SELECT method, resource, data FROM operations WHERE id = ?", operation_id)
        if not rows:
            raise not_found("Operation", operation_id)
        return rows[0]

    def of(self, resource: str) -> list[Operation]:
        """All operations on a resource, newest first."""
        rows = self._store.execute("SELECT data FROM operations WHERE resource = ? ORDER BY number DESC", resource)
        return [Operation.FromString(row["data"]) for row in rows]

    def cancel(self, operation_id: str) -> Operation:
        """Ask a running operation to stop and wait a moment for it to do so."""
        work = self._running.get(operation_id)
        if work is not None:
            work.stop.ask("cancelled")
            deadline = time.monotonic() + 10
            while operation_id in self._running and time.monotonic() < deadline:
                time.sleep(0.02)
        return self.get(operation_id)

    def cancel_on(self, resource: str, method: str) -> None:
        """Cancel the running operation that this method started on this resource, if there is one."""
        for work in list(self._running.values()):
            if work.resource == resource and work.call.method.name == method:
                self.cancel(work.operation)

    def resume(self, handler_of: Callable[[MethodDescriptor], Handler]) -> None:
        """Take up what was left unfinished when the endpoint died."""
        for record in self._store.execute("SELECT * FROM operations WHERE done = 0 ORDER BY number"):
            method = schema.find_method(record["method"])
            assert method is not None, record["method"]
            request = schema.new(method.input_type)
            request.ParseFromString(record["request"])
            call = Call(method, request, record["subject"])
            verb = handler_of(method)
            assert isinstance(verb, Verb), record["method"]
            work = Work(call, record["id"], record["resource"], record["previous"])
            self._spawn(work, verb, verb.resume or verb.finish, 0)

    def shutdown(self) -> None:
        """Stop: what only waits is left to be resumed; what works (a job) is told to end and awaited."""
        for work in list(self._running.values()):
            work.stop.ask("shutdown")
        for thread in list(self._threads):
            thread.join(timeout=30)

    def _spawn(self, work: Work, verb: Verb, finish: Callable[[Work], Message], seconds: float) -> None:
        thread = threading.Thread(
            target=self._run, args=(work, verb, finish, seconds), name=work.operation, daemon=True
        )
        with self._lock:
            self._running[work.operation] = work
            self._threads.add(thread)
        thread.start()

    def _run(self, work: Work, verb: Verb, finish: Callable[[Work], Message], seconds: float) -> None:
        try:
            fault = self._faults.take(work.call.name, "operation")
            if work.stop.wait(seconds + fault.delay):
                if work.stop.reason == "shutdown":
                    return
                raise ApiError(grpc.StatusCode.CANCELLED, "The operation was cancelled")
            if fault.error:
                raise fault.error
            self._end(work, response=finish(work))
        except ApiError as error:
            self._fail(work, verb, error)
        except Exception as error:
            log.exception("operation %s of %s", work.operation, work.call.name)
            self._fail(work, verb, ApiError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"))
        finally:
            with self._lock:
                self._running.pop(work.operation, None)
                self._threads.discard(threading.current_thread())

    def _fail(self, work: Work, verb: Verb, error: ApiError) -> None:
        try:
            verb.failed(work, error)
        except Exception:
            log.exception("tidying up after operation %s", work.operation)
        self._end(work, error=error)

    def _end(self, work: Work, response: Message | None = None, error: ApiError | None = None) -> None:
        """Record the end; the request, which may hold a secret, is forgotten."""
        operation = self.get(work.operation)
        operation.done = True
        operation.modified_at.CopyFrom(timestamp())
        if error is not None:
            operation.error.CopyFrom(error.status())
        else:
            operation.response.Pack(response)
        self._store.execute(
            "UPDATE operations SET data = ?, done = 1, request = x'' WHERE id = ?",
            operation.SerializeToString(),
            work.operation,
        )


def _new_operation(call: Call, begun: Begun) -> Operation:
    description = f"{call.method.name} {begun.row.kind}"
    operation = Operation(id=new_id("operation"), description=description, created_by=call.subject)
    operation.created_at.CopyFrom(timestamp())
    operation.modified_at.CopyFrom(timestamp())
    operation.metadata.Pack(_metadata(call, begun))
    return operation


def _metadata(call: Call, begun: Begun) -> Message:
    """The operation's metadata: ids from the request, and those of the resource itself and of its current version."""
    descriptor, _ = schema.operation_types(call.method)
    if descriptor is None:
        return Empty()
    row, metadata = begun.row, schema.new(descriptor)
    service = call.method.containing_service
    own = {f"{schema.snake(row.kind)}_id"}
    if schema.resource_of(service) is row.message.DESCRIPTOR:
        own.update(schema.key_fields(service)[-1:])
    for name in schema.string_fields(descriptor):
        value = getattr(call.request, name, "") or row.parents.get(name, "")
        nested = getattr(row.message, f"current_{name.removesuffix('_id')}", None)
        if name in own:
            value = row.key
        elif not value and nested is not None:
            value = nested.id
        elif not value and name.endswith("_id"):
            value = getattr(row.message, name, "")
        setattr(metadata, name, value)
    return metadata
