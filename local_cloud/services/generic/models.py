"""Resources as descriptors tell them: their type, their key, their statuses, and how a request describes one."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from local_cloud.core import schema
from local_cloud.core.calls import Call
from local_cloud.core.errors import unimplemented
from local_cloud.core.resources import Row, new_id, set_status, timestamp
from local_cloud.services.generic import errors

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
# The status that a resource which has statuses must have for an action; whatever else is done asks for no such thing.
BEFORE = {"Stop": "RUNNING", "Start": "STOPPED"}
MANAGED = {"yandex.cloud.mdb.postgresql.v1.Cluster", "yandex.cloud.airflow.v1.Cluster"}
BUSY = frozenset(status for statuses in TRANSIENT.values() for status in statuses)
# Children whose names may repeat within a parent.
MAY_REPEAT = {"yandex.cloud.dataproc.v1.Job"}


def resource_type(method: MethodDescriptor) -> Descriptor:
    """The resource that the method's service keeps."""
    descriptor = schema.resource_of(method.containing_service)
    assert descriptor is not None, method.full_name
    return descriptor


def described(call: Call) -> tuple[Any, str, dict[str, str]]:
    """The resource that a Create request describes, in its first status: its message, its key, its parents' ids."""
    descriptor, service = resource_type(call.method), call.method.containing_service
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
    return message, key, parents


def needed_status(row: Row, method: MethodDescriptor, otherwise: str) -> str:
    """The status in which the method may begin. A managed cluster that is stopped takes no change."""
    if method.name == "Update" and row.type in MANAGED:
        return "RUNNING"
    return BEFORE.get(method.name, otherwise)


def is_protected(message: Any) -> bool:
    """Whether deletion protection is on: a bool in most resources, a BoolValue in databases and their users."""
    protection = getattr(message, "deletion_protection", False)
    return bool(getattr(protection, "value", protection))


def apply_update(call: Call, message: Message) -> None:
    """Apply the request's update mask to a resource; without one, every field that the request sets."""
    request = call.request
    keys = {*schema.key_fields(call.method.containing_service), "update_mask"}
    paths = list(request.update_mask.paths) if schema.has(request, "update_mask") else []
    paths = paths or [field.name for field, _ in request.ListFields() if field.name not in keys]
    if wrong := keys.intersection(paths):
        raise errors.not_updatable(wrong.pop(), message.DESCRIPTOR.name)
    apply_paths(request, paths, message)


def apply_paths(source: Message, paths: Iterable[str], message: Message) -> None:
    """Set these paths of a resource; raises INVALID_ARGUMENT for one that it has not."""
    for path in paths:
        if not schema.apply_mask(source, path.split("."), message):
            raise errors.not_updatable(path, message.DESCRIPTOR.name)


def response(method: MethodDescriptor, message: Message) -> Message:
    """What the operation's option says that its response is: the resource, or another type that stays empty."""
    _, descriptor = schema.operation_types(method)
    if descriptor is None:
        return Empty()
    return message if descriptor is message.DESCRIPTOR else schema.new(descriptor)


def wrapped(method: MethodDescriptor, message: Message) -> Message:
    """The answer of a method that answers at once: the resource, or a message that holds it."""
    output = method.output_type
    if output is message.DESCRIPTOR:
        return message
    answer = schema.new(output)
    for field in output.fields:
        if field.message_type is message.DESCRIPTOR:
            getattr(answer, field.name).CopyFrom(message)
    return answer
