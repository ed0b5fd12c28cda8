"""The verbs that all services share, made from descriptors: Create, Get, List, Update, Delete, actions, bindings."""

import base64
import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.access import access_pb2

from local_cloud import schema
from local_cloud.errors import ApiError, already_exists, invalid, not_found, precondition, unimplemented
from local_cloud.operations import Call, Verb, timestamp
from local_cloud.store import Row, belongs, new_id, set_status, status_of

Query = Callable[[Call], Message]

# The status that an action's resource has while the operation runs, and afterwards: the first its type knows.
TRANSIENT = {
    "Create": ("CREATING", "PROVISIONING"),
    "Update": ("UPDATING",),
    "Delete": ("DELETING", "STOPPING"),
    "Start": ("STARTING",),
    "Stop": ("STOPPING",),
    "Restart": ("RESTARTING",),
}
STEADY = ("RUNNING", "ACTIVE", "READY", "AVAILABLE", "ENABLED", "CREATED")
AFTER = {"Stop": ("STOPPED",), "Deactivate": ("INACTIVE",)}
ACTIONS = ("Start", "Stop", "Restart", "Activate", "Deactivate", "Resume", "Move")
# Children whose names may repeat within a parent.
MAY_REPEAT = {"yandex.cloud.dataproc.v1.Job"}
DEFAULT_PAGE = 100


def generic(method: MethodDescriptor) -> Verb | Query:
    """The handler of a method that nobody wrote one for; raises UNIMPLEMENTED where its name tells nothing."""
    if schema.is_operation(method):
        handler: Verb | Query | None = _VERBS.get(method.name) or (_ACTION if method.name in ACTIONS else None)
    else:
        handler = _QUERIES.get(method.name) or (_list if method.name.startswith("List") else None)
    if handler is None or (
        schema.resource_of(method.containing_service) is None and not method.name.endswith("AccessBindings")
    ):
        raise unimplemented(f"{schema.name_of(method)} is not offered by this endpoint")
    return handler


def resource_type(call: Call) -> Descriptor:
    descriptor = schema.resource_of(call.method.containing_service)
    assert descriptor is not None, call.method.full_name
    return descriptor


def named(call: Call) -> Row:
    """The resource that the request names; raises NOT_FOUND."""
    key, parents = schema.key_in(call.method.containing_service, call.request)
    row = call.cloud.store.get(resource_type(call).full_name, key)
    for name, value in parents.items():
        if not belongs(row, name, value):
            raise not_found(f"{row.kind} of {name} {value!r}", key)
    return row


def create(call: Call) -> Row:
    """Insert the resource that a Create request describes, in its first status."""
    descriptor, service = resource_type(call), call.method.containing_service
    message: Any = schema.new(descriptor)
    schema.merge(call.request, message)
    spec = getattr(call.request, f"{schema.snake(descriptor.name)}_spec", None)
    if spec is not None:
        schema.merge(spec, message)
    own = schema.own_id(service, descriptor)
    if own:
        setattr(message, own, new_id(descriptor.file.package))
    elif not schema.has(message, "name"):
        raise unimplemented(f"{descriptor.full_name} has neither an id nor a name; this endpoint cannot keep it")
    if schema.has(message, "created_at"):
        message.created_at.CopyFrom(timestamp())
    set_status(message, *TRANSIENT["Create"], *STEADY)
    keys = [name for name in schema.key_fields(service) if name.endswith("_id") and schema.has(call.request, name)]
    parents = {name: value for name in keys if (value := getattr(call.request, name))}
    key = getattr(message, own) if own else "/".join([*parents.values(), message.name])
    row = Row(0, descriptor.full_name, key, _home(call, parents), parents, message)
    refuse_twin(call, row)
    return call.cloud.store.insert(message, key, row.folder, parents)


def _home(call: Call, parents: dict[str, str]) -> str:
    """The folder of a new resource: its parent's, or the one that the request names."""
    for name, key in parents.items():
        parent = call.cloud.store.find(key)
        if parent is None:
            raise not_found(name.removesuffix("_id").capitalize(), key)
        return parent.folder
    return call.cloud.folder_of(call.request)


def refuse_twin(call: Call, row: Row) -> None:
    """Names are unique within a folder, or within the parent."""
    if not row.name or row.type in MAY_REPEAT:
        return
    scope = row.parents or {"folder_id": row.folder}
    for other in call.cloud.store.select(row.type, scope):
        if other.name == row.name and other.number != row.number:
            where = ", ".join(f"{name.removesuffix('_id')} {value}" for name, value in scope.items())
            raise already_exists(f"{row.kind} with name {row.name!r} already exists in {where} (id {other.key})")


def settle(call: Call) -> Message:
    """End of Create or an action: the resource reaches its lasting status and is the response."""
    with call.cloud.store.transaction():
        row = current(call)
        set_status(row.message, *AFTER.get(call.method.name, STEADY))
        call.cloud.store.save(row)
    return response(call, row.message)


def current(call: Call) -> Row:
    """The resource that the operation is about."""
    return call.cloud.store.get(resource_type(call).full_name, call.resource)


def response(call: Call, message: Message) -> Message:
    """What the operation's option says that its response is: the resource, or another type that stays empty."""
    _, descriptor = schema.operation_types(call.method)
    if descriptor is None:
        return Empty()
    return message if descriptor is message.DESCRIPTOR else schema.new(descriptor)


def undo_create(call: Call, error: ApiError) -> None:
    """A failed Create leaves a resource in ERROR where the type knows that status, and nothing otherwise."""
    with call.cloud.store.transaction():
        row = call.cloud.store.find(call.resource)
        if row is None:
            return
        before = status_of(row.message)
        set_status(row.message, "ERROR")
        if before and status_of(row.message) == "ERROR":
            call.cloud.store.save(row)
        else:
            call.cloud.store.delete(row)


def begin_change(call: Call) -> Row:
    """Mark the named resource as changing; raises FAILED_PRECONDITION while another operation changes it."""
    row = named(call)
    status = status_of(row.message)
    busy = {status for names in TRANSIENT.values() for status in names}
    if status in busy:
        raise precondition(f"{row.kind} {row.key!r} is {status}: wait until the running operation has ended")
    call.previous = status
    set_status(row.message, *TRANSIENT.get(call.method.name, ()))
    call.cloud.store.save(row)
    return row


def undo_change(call: Call, error: ApiError) -> None:
    """A failed change leaves the resource as it was."""
    with call.cloud.store.transaction():
        row = call.cloud.store.find(call.resource)
        if row is not None:
            set_status(row.message, call.previous)
            call.cloud.store.save(row)


def begin_update(call: Call) -> Row:
    """Check the mask and the new name before anything is promised."""
    row = named(call)
    changed = type(row.message).FromString(row.message.SerializeToString())
    apply_update(call, changed)
    refuse_twin(call, Row(row.number, row.type, row.key, row.folder, row.parents, changed))
    return begin_change(call)


def apply_update(call: Call, message: Message) -> None:
    """Apply the update mask; without one, every field that the request sets."""
    request = call.request
    keys = {*schema.key_fields(call.method.containing_service), "update_mask"}
    paths = list(request.update_mask.paths) if schema.has(request, "update_mask") else []
    for path in paths or [field.name for field, _ in request.ListFields() if field.name not in keys]:
        if path in keys or not schema.apply_mask(request, path.split("."), message):
            raise invalid(f"update_mask: {path!r} is not a field of {message.DESCRIPTOR.name} that can be updated")


def finish_update(call: Call) -> Message:
    with call.cloud.store.transaction():
        row = current(call)
        apply_update(call, row.message)
        if schema.has(row.message, "modified_at"):
            row.message.modified_at.CopyFrom(timestamp())
        set_status(row.message, call.previous)
        call.cloud.store.save(row)
    return response(call, row.message)


def begin_delete(call: Call) -> Row:
    row = named(call)
    if getattr(row.message, "deletion_protection", False) is True:
        raise precondition(f"{row.kind} {row.key!r} has deletion protection; switch it off by Update first")
    return begin_change(call)


def finish_delete(call: Call) -> Message:
    row = current(call)
    call.cloud.store.delete(row)
    return response(call, row.message)


def _get(call: Call) -> Message:
    return named(call).message


def create_now(call: Call) -> Message:
    """Create of a service that answers at once, with the resource or with a message that holds it."""
    row = create(call)
    set_status(row.message, *STEADY)
    call.cloud.store.save(row)
    return _wrapped(call, row.message)


def _delete_now(call: Call) -> Message:
    row = named(call)
    call.cloud.store.delete(row)
    return _wrapped(call, row.message)


def _update_now(call: Call) -> Message:
    row = named(call)
    apply_update(call, row.message)
    call.cloud.store.save(row)
    return _wrapped(call, row.message)


def _wrapped(call: Call, message: Message) -> Message:
    output = call.method.output_type
    if output is message.DESCRIPTOR:
        return message
    answer = schema.new(output)
    for field in output.fields:
        if field.message_type is message.DESCRIPTOR:
            getattr(answer, field.name).CopyFrom(message)
    return answer


def _list(call: Call) -> Message:
    """List: parents and `filter` narrow, `page_size` and `page_token` page."""
    answer: Any = schema.new(call.method.output_type)
    field = next((f for f in call.method.output_type.fields if f.is_repeated and f.message_type), None)
    if field is None:
        raise unimplemented(f"{schema.name_of(call.method)} is not offered by this endpoint")
    rows = narrowed(call, field.message_type)
    page, token = paged(call, rows, lambda row: row.number)
    getattr(answer, field.name).extend(row.message for row in page)
    if token:
        answer.next_page_token = token
    return answer


def narrowed(call: Call, kind: Descriptor) -> list[Row]:
    """The rows of a type that the request's parents and filter leave."""
    parents = {
        name: value
        for name in schema.string_fields(call.request.DESCRIPTOR)
        if name.endswith("_id") and (value := getattr(call.request, name))
    }
    rows = call.cloud.store.select(kind.full_name, parents)
    conditions = parse_filter(getattr(call.request, "filter", ""), kind)
    return [row for row in rows if all(condition(row.message) for condition in conditions)]


def paged(call: Call, items: list[Any], position: Callable[[Any], int]) -> tuple[list[Any], str]:
    """One page and the token of the next; a token is opaque to callers and holds the position it continues after."""
    token = getattr(call.request, "page_token", "")
    try:
        after = int(base64.urlsafe_b64decode(token.encode())) if token else 0
    except ValueError:
        raise invalid(f"page_token: {token!r} was not given out by a List of this service") from None
    size = getattr(call.request, "page_size", 0) or DEFAULT_PAGE
    rest = [item for item in items if position(item) > after]
    page = rest[:size]
    token = base64.urlsafe_b64encode(str(position(page[-1])).encode()).decode() if len(rest) > size else ""
    return page, token


_CONDITION = re.compile(r"""\s*([\w.-]+)\s*(!?=)\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))\s*$""")


def parse_filter(text: str, kind: Descriptor) -> list[Callable[[Message], bool]]:
    """`name="a" AND labels.run="b"` -> predicates; raises INVALID_ARGUMENT for what is not of that form."""
    return [_condition(part, kind) for part in re.split(r"\s+AND\s+", text) if part.strip()]


def _condition(text: str, kind: Descriptor) -> Callable[[Message], bool]:
    match = _CONDITION.match(text)
    if match is None:
        raise invalid(f'filter: {text!r} is not of the form name="value" (also !=, and several joined by AND)')
    path, operator = match[1].split(".", 1), match[2]
    value = next(group for group in match.groups()[2:] if group is not None)
    field = kind.fields_by_name.get(path[0])
    if field is None or (len(path) == 2 and not schema.is_map(field)):
        raise invalid(f"filter: {kind.name} has no field {match[1]!r}")

    def holds(message: Message) -> bool:
        actual = getattr(message, path[0])
        if len(path) == 2:
            actual = actual.get(path[1], "")
        if field.enum_type is not None:
            actual = field.enum_type.values_by_number[actual].name
        return bool((str(actual) == value) == (operator == "="))

    return holds


def _list_operations(call: Call) -> Message:
    row = named(call)
    answer: Any = schema.new(call.method.output_type)
    numbered = list(enumerate(call.cloud.operations.of(row.key), start=1))
    page, answer.next_page_token = paged(call, numbered, lambda item: item[0])
    answer.operations.extend(operation for _, operation in page)
    return answer


def _bound(call: Call) -> Row:
    row = call.cloud.store.find(call.request.resource_id)
    if row is None:
        raise not_found("Resource", call.request.resource_id)
    return row


def _list_bindings(call: Call) -> Message:
    row = _bound(call)
    answer = access_pb2.ListAccessBindingsResponse()
    numbered = list(enumerate(call.cloud.identity.bindings(row.key), start=1))
    page, answer.next_page_token = paged(call, numbered, lambda item: item[0])
    answer.access_bindings.extend(binding for _, binding in page)
    return answer


def _finish_bindings(call: Call) -> Message:
    """Set or Update AccessBindings; the response lists what really changed."""
    identity, resource, request = call.cloud.identity, call.resource, call.request
    before = identity.bindings(resource)
    if call.method.name == "SetAccessBindings":
        after = list(request.access_bindings)
    else:
        after = _with_deltas(before, request.access_binding_deltas)
    identity.bind(resource, after)
    answer: Any = response(call, Empty())
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


CREATE = Verb(create, settle, undo_create)
DELETE = Verb(begin_delete, finish_delete, undo_change)
_ACTION = Verb(begin_change, settle, undo_change)
_BIND = Verb(_bound, _finish_bindings)
_VERBS = {
    "Create": CREATE,
    "Update": Verb(begin_update, finish_update, undo_change),
    "Delete": DELETE,
    "SetAccessBindings": _BIND,
    "UpdateAccessBindings": _BIND,
}
_QUERIES: dict[str, Query] = {
    "Create": create_now,
    "Get": _get,
    "List": _list,
    "Update": _update_now,
    "Delete": _delete_now,
    "ListOperations": _list_operations,
    "ListAccessBindings": _list_bindings,
}
