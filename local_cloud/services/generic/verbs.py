"""Create, Get, List, Update, Delete, actions and access bindings of whatever resource a method's descriptor tells."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.access import access_pb2

from local_cloud.core import schema
from local_cloud.core.calls import Begun, Call, Handler, Query, Verb, Work
from local_cloud.core.context import Context
from local_cloud.core.errors import ApiError, not_found
from local_cloud.core.resources import Row, belongs, set_status, status_of, timestamp
from local_cloud.services.generic import errors
from local_cloud.services.generic.listing import numbered_page, paged, parents_in, parse_filter
from local_cloud.services.generic.models import (
    AFTER,
    BUSY,
    MAY_REPEAT,
    STEADY,
    TRANSIENT,
    apply_update,
    described,
    is_protected,
    needed_status,
    resource_type,
    response,
    wrapped,
)

_ACTIONS = ("Start", "Stop", "Restart", "Activate", "Deactivate", "Resume", "Move")


class Resources:
    """The verbs that services share. A service with ways of its own makes its verbs from these."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        bind = Verb(self._begin_bindings, self.finish_bindings)
        self._action = Verb(self.begin_change, self.finish, self.undo_change)
        self._verbs = {
            "Create": Verb(self.begin_create, self.finish, self.undo_create),
            "Update": Verb(self.begin_update, self.finish_update, self.undo_change),
            "Delete": Verb(self.begin_delete, self.finish_delete, self.undo_change),
            "SetAccessBindings": bind,
            "UpdateAccessBindings": bind,
        }
        self._queries: Mapping[str, Query] = {
            "Create": self.create_now,
            "Get": self._get,
            "List": self._list,
            "Update": self._update_now,
            "Delete": self._delete_now,
            "ListOperations": self._list_operations,
            "ListAccessBindings": self._list_bindings,
        }

    def handler(self, method: MethodDescriptor) -> Handler:
        """The handler of a method that nobody wrote one for; raises UNIMPLEMENTED if its name tells nothing."""
        found: Handler | None
        if schema.is_operation(method):
            found = self._verbs.get(method.name) or (self._action if method.name in _ACTIONS else None)
        else:
            found = self._queries.get(method.name) or (self._list if method.name.startswith("List") else None)
        known = schema.resource_of(method.containing_service) is not None or method.name.endswith("AccessBindings")
        if found is None or not known:
            raise errors.not_offered(method)
        return found

    def named(self, call: Call) -> Row:
        """The resource that the request names; raises NOT_FOUND."""
        key, parents = schema.key_in(call.method.containing_service, call.request)
        row = self._store.get(resource_type(call.method).full_name, key)
        for name, value in parents.items():
            if not belongs(row, name, value):
                raise not_found(f"{row.kind} of {name} {value!r}", key)
        return row

    def current(self, work: Work) -> Row:
        """The resource that an operation is about, as it is now."""
        return self._store.get(resource_type(work.call.method).full_name, work.resource)

    def create(self, call: Call) -> Row:
        """Insert the resource that a Create request describes, in its first status."""
        message, key, parents = described(call)
        if schema.has(message, "cloud_id"):
            message.cloud_id = message.cloud_id or self._context.config.cloud_id
        row = Row(0, message.DESCRIPTOR.full_name, key, self._folder_for(call, parents), parents, message)
        self._refuse_taken_name(row)
        self._context.quotas.check(row)
        return self._store.insert(message, key, row.folder, parents)

    def begin_create(self, call: Call) -> Begun:
        return Begun(self.create(call))

    def finish(self, work: Work) -> Message:
        """End of Create or an action: the resource reaches its lasting status and is the response."""
        method = work.call.method
        with self._store.transaction():
            row = self.current(work)
            set_status(row.message, *AFTER.get(method.name, STEADY))
            self._store.save(row)
        return response(method, row.message)

    def undo_create(self, work: Work, error: ApiError) -> None:
        """A failed Create leaves a resource in ERROR if the type knows that status, and nothing otherwise."""
        with self._store.transaction():
            row = self._store.find(work.resource)
            if row is None:
                return
            before = status_of(row.message)
            set_status(row.message, "ERROR")
            if before and status_of(row.message) == "ERROR":
                self._store.save(row)
            else:
                self._store.delete(row)

    def begin_change(self, call: Call) -> Begun:
        """Mark the named resource as changing.

        Raises:
            ApiError: FAILED_PRECONDITION, while another operation changes it or its status does not allow this one.
        """
        row = self.named(call)
        previous = status_of(row.message)
        if previous in BUSY:
            raise errors.busy(row, previous)
        wanted = needed_status(row, call.method, previous)
        if previous != wanted:
            raise errors.not_so(row, previous, call.method.name, wanted)
        set_status(row.message, *TRANSIENT.get(call.method.name, ()))
        self._store.save(row)
        return Begun(row, previous)

    def undo_change(self, work: Work, error: ApiError) -> None:
        """A failed change leaves the resource as it was."""
        with self._store.transaction():
            row = self._store.find(work.resource)
            if row is not None:
                set_status(row.message, work.previous)
                self._store.save(row)

    def begin_update(self, call: Call) -> Begun:
        """Check the mask and the new name before anything is promised."""
        row = self.named(call)
        changed = type(row.message).FromString(row.message.SerializeToString())
        apply_update(call, changed)
        after = Row(row.number, row.type, row.key, row.folder, row.parents, changed)
        self._refuse_taken_name(after)
        self._context.quotas.check(after)
        return self.begin_change(call)

    def finish_update(self, work: Work) -> Message:
        with self._store.transaction():
            row = self.current(work)
            apply_update(work.call, row.message)
            if schema.has(row.message, "modified_at"):
                row.message.modified_at.CopyFrom(timestamp())
            set_status(row.message, work.previous)
            self._store.save(row)
        return response(work.call.method, row.message)

    def begin_delete(self, call: Call) -> Begun:
        row = self.named(call)
        if is_protected(row.message):
            raise errors.is_protected(row)
        return self.begin_change(call)

    def finish_delete(self, work: Work) -> Message:
        row = self.current(work)
        self._store.delete(row)
        return response(work.call.method, row.message)

    def create_now(self, call: Call) -> Message:
        """Create of a service that answers at once, with the resource or with a message that holds it."""
        row = self.create(call)
        set_status(row.message, *STEADY)
        self._store.save(row)
        return wrapped(call.method, row.message)

    def _folder_for(self, call: Call, parents: Mapping[str, str]) -> str:
        """The folder of a new resource: its parent's, or the one that the request names."""
        for name, key in parents.items():
            parent = self._store.find(key)
            if parent is None:
                raise not_found(name.removesuffix("_id").capitalize(), key)
            return parent.folder
        return self._context.folder_of(call.request)

    def _refuse_taken_name(self, row: Row) -> None:
        """Names are unique within a folder, or within the parent."""
        if not row.name or row.type in MAY_REPEAT:
            return
        scope = row.parents or {"folder_id": row.folder}
        for other in self._store.select(row.type, scope):
            if other.name == row.name and other.number != row.number:
                raise errors.name_taken(row, other, scope)

    def _get(self, call: Call) -> Message:
        message: Message = self.named(call).message
        return message

    def _update_now(self, call: Call) -> Message:
        row = self.named(call)
        apply_update(call, row.message)
        self._store.save(row)
        return wrapped(call.method, row.message)

    def _delete_now(self, call: Call) -> Message:
        row = self.named(call)
        if is_protected(row.message):
            raise errors.is_protected(row)
        self._store.delete(row)
        return wrapped(call.method, row.message)

    def _list(self, call: Call) -> Message:
        answer: Any = schema.new(call.method.output_type)
        field = next((f for f in call.method.output_type.fields if f.is_repeated and f.message_type), None)
        if field is None:
            raise errors.not_offered(call.method)
        rows = self._store.select(field.message_type.full_name, parents_in(call.request))
        conditions = parse_filter(getattr(call.request, "filter", ""), field.message_type)
        kept = [row for row in rows if all(condition(row.message) for condition in conditions)]
        page, token = paged(call.request, kept, lambda row: row.number)
        getattr(answer, field.name).extend(row.message for row in page)
        if token:
            answer.next_page_token = token
        return answer

    def _list_operations(self, call: Call) -> Message:
        answer: Any = schema.new(call.method.output_type)
        operations = self._context.operations.of(self.named(call).key)
        page, answer.next_page_token = numbered_page(call.request, operations)
        answer.operations.extend(page)
        return answer

    def _bound(self, call: Call) -> Row:
        row = self._store.find(call.request.resource_id)
        if row is None:
            raise not_found("Resource", call.request.resource_id)
        return row

    def _list_bindings(self, call: Call) -> Message:
        return self.bindings_of(self._bound(call), call)

    def bindings_of(self, row: Row, call: Call) -> Message:
        """A page of the access bindings of one resource."""
        answer = access_pb2.ListAccessBindingsResponse()
        bindings = self._context.identity.bindings(row.key)
        page, answer.next_page_token = numbered_page(call.request, bindings)
        answer.access_bindings.extend(page)
        return answer

    def _begin_bindings(self, call: Call) -> Begun:
        return Begun(self._bound(call))

    def finish_bindings(self, work: Work) -> Message:
        """Set or Update AccessBindings; the response lists what really changed."""
        identity, method, request = self._context.identity, work.call.method, work.call.request
        before = identity.bindings(work.resource)
        if method.name == "SetAccessBindings":
            after = list(request.access_bindings)
        else:
            after = _with_deltas(before, request.access_binding_deltas)
        identity.bind(work.resource, after)
        answer: Any = response(method, Empty())
        if schema.has(answer, "effective_deltas"):
            for action, bindings, others in ((access_pb2.ADD, after, before), (access_pb2.REMOVE, before, after)):
                for binding in bindings:
                    if binding not in others:
                        answer.effective_deltas.add(action=action, access_binding=binding)
        return answer


def _with_deltas(before: list[Any], deltas: Iterable[Any]) -> list[Any]:
    after = list(before)
    for delta in deltas:
        if delta.action == access_pb2.ADD and delta.access_binding not in after:
            after.append(delta.access_binding)
        if delta.action == access_pb2.REMOVE and delta.access_binding in after:
            after.remove(delta.access_binding)
    return after
