"""The cloud itself: one call in, one answer out, whatever protocol it came by."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from local_cloud.core import schema, validation
from local_cloud.core.calls import Call, Handler, Verb
from local_cloud.core.context import Context
from local_cloud.core.errors import ApiError
from local_cloud.core.faults import NEW
from local_cloud.core.identity import Scope, is_public, uses_of
from local_cloud.core.initial import create_initial_resources
from local_cloud.core.resources import Row
from local_cloud.services.base import Service
from local_cloud.services.generic.verbs import Resources

log = logging.getLogger(__name__)
KEEP_CALLS = 30 * 24 * 3600.0
KEEP_KEYS = 24 * 3600.0
_OPERATIONS = "yandex.cloud.operation.OperationService/"


class Cloud:
    """The API: authenticates, authorises and validates a call, then lets its service answer."""

    def __init__(self, context: Context, services: Sequence[Service]) -> None:
        self.context = context
        self._services = services
        self._resources = Resources(context)
        self._handlers = {name: handler for service in services for name, handler in service.handlers().items()}
        self._checks = {name: check for service in services for name, check in service.checks().items()}
        for service in services:
            context.quotas.register(service.holdings())
        create_initial_resources(context.config, context.store)

    def call(self, method: MethodDescriptor, request: Any, authorization: str, protocol: str, key: str = "") -> Message:
        """The answer of one call. Raises `ApiError`; every call leaves a line in the event log.

        Args:
            key: the caller's idempotency key: what it has begun once it does not begin again.
        """
        started, subject, code = time.monotonic(), "", "OK"
        try:
            subject = self._authenticate(schema.name_of(method), authorization)
            return self._answer(Call(method, request, subject, protocol), key)
        except ApiError as error:
            code = error.code.name
            raise
        except Exception as error:
            log.exception("%s", schema.name_of(method))
            code = "INTERNAL"
            raise ApiError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}") from error
        finally:
            self.context.store.execute(
                "INSERT INTO calls VALUES (?,?,?,?,?,?)",
                time.time(),
                subject,
                schema.name_of(method),
                _named_in(method, request),
                code,
                (time.monotonic() - started) * 1000,
            )

    def handler(self, method: MethodDescriptor) -> Handler:
        """The handler of a method: its service's own, or the shared one; raises UNIMPLEMENTED."""
        return self._handlers.get(schema.name_of(method)) or self._resources.handler(method)

    def resume(self) -> None:
        """Take up what an earlier run of the endpoint left: clusters that run, operations that are not done."""
        self.context.store.execute("DELETE FROM calls WHERE time < ?", time.time() - KEEP_CALLS)
        self.context.store.execute("DELETE FROM begun WHERE time < ?", time.time() - KEEP_KEYS)
        for service in self._services:
            service.resume()
        self.context.operations.resume(self.handler)

    def shutdown(self) -> None:
        self.context.operations.shutdown()
        for service in self._services:
            service.shutdown()

    def _authenticate(self, method: str, authorization: str) -> str:
        """The caller's id, empty for a method that needs none; raises UNAUTHENTICATED."""
        return "" if is_public(method) else self.context.identity.subject_of(authorization)

    def _answer(self, call: Call, key: str) -> Message:
        if not is_public(call.name):
            self._authorise(call)
        self._apply_fault(call, "call")
        self._apply_newness(call)
        self.check(call)
        answer = self._begun(call.subject, key) or self._handled(call, key)
        self._apply_fault(call, "after")
        return answer

    def check(self, call: Call) -> None:
        """Raises INVALID_ARGUMENT and the like for a request that the cloud refuses whatever there is."""
        validation.check(call.request)
        if check := self._checks.get(call.name):
            check(call)

    def _authorise(self, call: Call) -> None:
        """Raises PERMISSION_DENIED. Whoever may call a method may look at the operations that it began."""
        method, row = call.name, None
        if method.startswith(_OPERATIONS):
            method, resource = self.context.operations.method_and_resource(call.request.operation_id)
            row = self.context.store.find(resource)
        else:
            row = self._resource_in(call)
        folder = row.folder if row is not None else self.context.folder_of(call.request)
        self.context.identity.authorise(call.subject, [method], Scope(folder, row))
        for permission, key in uses_of(call.name, call.request):
            used = self.context.store.find(key)  # a role may be bound on it alone; its folder may be another
            scope = Scope(used.folder if used is not None else folder, used)
            self.context.identity.authorise(call.subject, [permission], scope)

    def _resource_in(self, call: Call) -> Row | None:
        """The resource that a call is about, or its parent; None for one that does not exist (yet)."""
        keys = schema.key_fields(call.method.containing_service)
        for name in (*reversed(keys), "resource_id"):
            row = self.context.store.find(getattr(call.request, name, ""))
            if row is not None:
                return row
        return None

    def _handled(self, call: Call, key: str) -> Message:
        handler = self.handler(call.method)
        if not isinstance(handler, Verb):
            return handler(call)
        with self.context.store.transaction():  # both are known after a restart, or neither
            operation = self.context.operations.start(call, handler)
            if key:
                self.context.store.execute(
                    "INSERT INTO begun VALUES (?,?,?,?)", call.subject, key, operation.id, time.time()
                )
        return operation

    def _begun(self, subject: str, key: str) -> Message | None:
        """The operation that this caller has begun by that idempotency key."""
        rows = self.context.store.execute("SELECT operation FROM begun WHERE subject = ? AND key = ?", subject, key)
        return self.context.operations.get(rows[0]["operation"]) if rows and key else None

    def _apply_fault(self, call: Call, when: str) -> None:
        fault = self.context.faults.take(call.name, when)
        time.sleep(fault.delay)
        if fault.error is not None:
            raise fault.error

    def _apply_newness(self, call: Call) -> None:
        """Refuses what is new, as a fault asks for: the cloud needs a moment until all of it knows of a resource."""
        faults, about = self.context.faults, _named_in(call.method, call.request)
        if not faults.exist or self._made(call, about) < time.time() - NEW:
            return
        if error := faults.take(call.name, "new", about).error:
            raise error

    def _made(self, call: Call, about: str) -> float:
        """When that resource or operation was made; 0 if there is none."""
        if call.name.startswith(_OPERATIONS):
            return self.context.operations.get(about).created_at.ToMilliseconds() / 1000
        row = self.context.store.find(about)
        return row.created if row is not None else 0


def _named_in(method: MethodDescriptor, request: Any) -> str:
    """What the event log says a call was about: an id or a name, never a payload."""
    keys = reversed(schema.key_fields(method.containing_service))
    for name in (*keys, "operation_id", "resource_id", "name", "folder_id"):
        if schema.has(request, name) and getattr(request, name):
            return str(getattr(request, name))
    return ""
