"""Operations: work that a call begins and that ends later, well or badly, also across a restart of the endpoint."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from yandex.cloud.operation.operation_pb2 import Operation

from local_cloud import schema
from local_cloud.errors import ApiError, not_found
from local_cloud.store import Row, Store, new_id

if TYPE_CHECKING:
    from local_cloud.cloud import Cloud

log = logging.getLogger(__name__)


@dataclass
class Call:
    """One call of one method, and what its handlers need.

    `protocol` is what it came by ("grpc" or "rest"). `resource` and `previous` (the status to go back to) are set when
    the call has begun an operation. `stop` is set when that operation is to end early: `reason` is then "cancelled"
    (somebody asked for it) or "shutdown" (of the endpoint).
    """

    cloud: "Cloud"
    method: MethodDescriptor
    request: Any
    subject: str
    protocol: str = "grpc"
    resource: str = ""
    previous: str = ""
    operation: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    reason: str = ""


@dataclass(frozen=True)
class Verb:
    """A method that answers with an operation.

    `begin` checks the request and makes what is visible at once; `finish` does the work and returns the response;
    `failed` tidies up; `resume` takes the place of `finish` when the endpoint was killed in between.
    """

    begin: Callable[[Call], Row]
    finish: Callable[[Call], Message]
    failed: Callable[[Call, ApiError], None] = lambda call, error: None
    resume: Callable[[Call], Message] | None = None


def timestamp(seconds: float | None = None) -> Timestamp:
    """A protobuf time of a UNIX time in seconds, by default of now."""
    result = Timestamp()
    result.FromMilliseconds(int((time.time() if seconds is None else seconds) * 1000))
    return result


class Operations:
    """Starts, finishes, cancels, lists and resumes operations; one thread each, for as long as it takes."""

    def __init__(self, store: Store, timings: Mapping[str, float]) -> None:
        self._store = store
        self._timings = timings
        self._running: dict[str, Call] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, call: Call, verb: Verb) -> Operation:
        """Begin the work and return the operation, which is not done."""
        with self._store.transaction():
            row = verb.begin(call)
            call.resource = row.key
            operation = Operation(
                id=new_id("operation"), description=f"{call.method.name} {row.kind}", created_by=call.subject
            )
            operation.created_at.CopyFrom(timestamp())
            operation.modified_at.CopyFrom(timestamp())
            operation.metadata.Pack(_metadata(call, row))
            call.operation = operation.id
            self._store.execute(
                "INSERT INTO operations(id, resource, method, subject, request, previous, data, done)"
                " VALUES (?,?,?,?,?,?,?,0)",
                operation.id,
                row.key,
                schema.name_of(call.method),
                call.subject,
                call.request.SerializeToString(),
                call.previous,
                operation.SerializeToString(),
            )
        self._spawn(call, verb, verb.finish, self.seconds(call.method))
        return operation

    def seconds(self, method: MethodDescriptor) -> float:
        """How long an operation of that method takes besides its own work."""
        return self._timings.get(schema.timing_key(method), self._timings.get("default", 0.2))

    def get(self, operation_id: str) -> Operation:
        rows = self._store.execute("SELECT data FROM operations WHERE id = ?", operation_id)
        if not rows:
            raise not_found("Operation", operation_id)
        return Operation.FromString(rows[0]["data"])

    def method_and_resource(self, operation_id: str) -> tuple[str, str]:
        rows = self._store.execute("SELECT method, resource FROM operations WHERE id = ?", operation_id)
        if not rows:
            raise not_found("Operation", operation_id)
        return rows[0]["method"], rows[0]["resource"]

    def of(self, resource: str) -> list[Operation]:
        """All operations on a resource, newest first."""
        rows = self._store.execute("SELECT data FROM operations WHERE resource = ? ORDER BY number DESC", resource)
        return [Operation.FromString(row["data"]) for row in rows]

    def cancel(self, operation_id: str) -> Operation:
        """Ask a running operation to stop and wait a moment for it to do so."""
        call = self._running.get(operation_id)
        if call is not None:
            self._interrupt(call, "cancelled")
            self._wait(lambda: operation_id not in self._running, 10)
        return self.get(operation_id)

    def cancel_on(self, resource: str, method: str) -> None:
        """Cancel the running operation that this method started on this resource, if there is one."""
        for call in list(self._running.values()):
            if call.resource == resource and call.method.name == method:
                self.cancel(call.operation)

    def resume(self, cloud: "Cloud") -> None:
        """Take up what was left unfinished when the endpoint died."""
        for record in self._store.execute("SELECT * FROM operations WHERE done = 0 ORDER BY number"):
            method = schema.find_method(record["method"])
            assert method is not None, record["method"]
            request = schema.new(method.input_type)
            request.ParseFromString(record["request"])
            call = Call(
                cloud,
                method,
                request,
                record["subject"],
                resource=record["resource"],
                previous=record["previous"],
                operation=record["id"],
            )
            verb = cloud.verb(method)
            assert isinstance(verb, Verb), record["method"]
            self._spawn(call, verb, verb.resume or verb.finish, 0)

    def shutdown(self) -> None:
        """Stop: what only waits is left to be resumed; what works (a job) is told to end and awaited."""
        for call in list(self._running.values()):
            self._interrupt(call, "shutdown")
        for thread in list(self._threads):
            thread.join(timeout=30)

    @staticmethod
    def _interrupt(call: Call, reason: str) -> None:
        call.reason = reason
        call.stop.set()

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _spawn(self, call: Call, verb: Verb, work: Callable[[Call], Message], seconds: float) -> None:
        thread = threading.Thread(target=self._run, args=(call, verb, work, seconds), name=call.operation, daemon=True)
        with self._lock:
            self._running[call.operation] = call
            self._threads.add(thread)
        thread.start()

    def _run(self, call: Call, verb: Verb, work: Callable[[Call], Message], seconds: float) -> None:
        try:
            fault = call.cloud.faults.take(schema.name_of(call.method), "operation")
            if call.stop.wait(seconds + (fault.delay if fault else 0)):
                if call.reason == "shutdown":
                    return
                raise ApiError(grpc.StatusCode.CANCELLED, "The operation was cancelled")
            if fault and fault.error:
                raise fault.error
            self._end(call, response=work(call))
        except ApiError as error:
            self._fail(call, verb, error)
        except Exception as error:
            log.exception("operation %s of %s", call.operation, schema.name_of(call.method))
            self._fail(call, verb, ApiError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"))
        finally:
            with self._lock:
                self._running.pop(call.operation, None)
                self._threads.discard(threading.current_thread())

    def _fail(self, call: Call, verb: Verb, error: ApiError) -> None:
        try:
            verb.failed(call, error)
        except Exception:
            log.exception("tidying up after operation %s", call.operation)
        self._end(call, error=error)

    def _end(self, call: Call, response: Message | None = None, error: ApiError | None = None) -> None:
        """Record the end; the request, which may hold a secret, is forgotten."""
        operation = self.get(call.operation)
        operation.done = True
        operation.modified_at.CopyFrom(timestamp())
        if error is not None:
            operation.error.code, operation.error.message = error.number, error.message
        else:
            operation.response.Pack(response)
        self._store.execute(
            "UPDATE operations SET data = ?, done = 1, request = x'' WHERE id = ?",
            operation.SerializeToString(),
            call.operation,
        )


def _metadata(call: Call, row: Row) -> Message:
    """The operation's metadata: ids from the request, and those of the resource itself and of its current version."""
    descriptor, _ = schema.operation_types(call.method)
    if descriptor is None:
        from google.protobuf.empty_pb2 import Empty

        return Empty()
    metadata = schema.new(descriptor)
    for name in schema.string_fields(descriptor):
        value = getattr(call.request, name, "") or row.parents.get(name, "")
        nested = getattr(row.message, f"current_{name.removesuffix('_id')}", None)
        if name == f"{schema.snake(row.kind)}_id":
            value = row.key
        elif not value and nested is not None:
            value = nested.id
        elif not value and name.endswith("_id"):
            value = getattr(row.message, name, "")
        setattr(metadata, name, value)
    return metadata
