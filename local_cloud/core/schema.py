"""What protobuf descriptors say about the cloud's services: methods, resources, keys, and the mapping between messages.

Modules of generated code are imported when the first call names their package: all 1,076 of them at once take 0.6 s
and 40 MB.
"""

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import yandex.cloud
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from yandex.cloud.api import operation_pb2 as operation_options

ROOT = "yandex.cloud"
OPERATION = "yandex.cloud.operation.Operation"
_POOL = descriptor_pool.Default()


@functools.cache
def load_package(package: str) -> tuple[ServiceDescriptor, ...]:
    """Import the generated modules of one package, for example `yandex.cloud.lockbox.v1`; returns its services."""
    folder = Path(next(iter(yandex.cloud.__path__)), *package.removeprefix(ROOT).strip(".").split("."))
    names = [
        f"{package}.{module.name}" for module in pkgutil.iter_modules([str(folder)]) if module.name.endswith("_pb2")
    ]
    return tuple(
        service for name in names for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values()
    )


@functools.cache
def packages() -> tuple[str, ...]:
    """Every package of the cloud's API."""
    return tuple(module.name for module in pkgutil.walk_packages(yandex.cloud.__path__, f"{ROOT}.") if module.ispkg)


def find_method(path: str) -> MethodDescriptor | None:
    """`/yandex.cloud.vpc.v1.NetworkService/Get` -> its descriptor, or None if there is no such method."""
    service, _, method = path.lstrip("/").partition("/")
    if not service.startswith(ROOT + "."):
        return None
    load_package(service.rpartition(".")[0])
    try:
        return _POOL.FindServiceByName(service).methods_by_name.get(method)
    except KeyError:
        return None


def message_class(descriptor: Descriptor) -> type[Message]:
    """The Python class of a message type."""
    return message_factory.GetMessageClass(descriptor)


def new(descriptor: Descriptor) -> Message:
    """An empty message of that type."""
    return message_class(descriptor)()


def find_type(name: str) -> Descriptor:
    """A message type by its full name; raises `KeyError` if there is none."""
    load_package(name.rpartition(".")[0])
    return _POOL.FindMessageTypeByName(name)


def name_of(method: MethodDescriptor) -> str:
    """`yandex.cloud.vpc.v1.NetworkService/Get`."""
    return f"{method.containing_service.full_name}/{method.name}"


def timing_key(method: MethodDescriptor) -> str:
    """`yandex.cloud.dataproc.v1.ClusterService/Create` -> `dataproc.cluster.create`."""
    parts = name_of(method).removeprefix(ROOT + ".").replace("/", ".").split(".")
    return ".".join(part.removesuffix("Service") for part in parts if not re.fullmatch(r"v\d\w*", part)).lower()


def is_operation(method: MethodDescriptor) -> bool:
    return bool(method.output_type.full_name == OPERATION)


def operation_types(method: MethodDescriptor) -> tuple[Descriptor | None, Descriptor | None]:
    """The message types of the operation's metadata and response, from the method's option."""
    option = method.GetOptions().Extensions[operation_options.operation]
    return _relative(method, option.metadata), _relative(method, option.response)


def _relative(method: MethodDescriptor, name: str) -> Descriptor | None:
    """Resolve a type name as protobuf does: from the innermost package outwards."""
    if not name:
        return None
    scope = method.containing_service.full_name.split(".")
    for depth in range(len(scope) - 1, -1, -1):
        try:
            return _POOL.FindMessageTypeByName(".".join([*scope[:depth], name]))
        except KeyError:
            continue
    return None


@functools.cache
def resource_of(service: ServiceDescriptor) -> Descriptor | None:
    """The resource that a service keeps: what Create makes, or else what Get returns."""
    create, get = service.methods_by_name.get("Create"), service.methods_by_name.get("Get")
    if create is not None:
        if is_operation(create):
            return operation_types(create)[1]
        inner = [
            f.message_type
            for f in create.output_type.fields
            if f.message_type and "id" in f.message_type.fields_by_name
        ]
        return inner[0] if inner else create.output_type
    return get.output_type if get is not None else None


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def string_fields(descriptor: Descriptor) -> list[str]:
    return [f.name for f in descriptor.fields if f.type == FieldDescriptor.TYPE_STRING and not f.is_repeated]


def has(message: Message, field: str) -> bool:
    return field in message.DESCRIPTOR.fields_by_name


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def key_fields(service: ServiceDescriptor) -> list[str]:
    """The request fields that name one resource of the service; the last one is its own, the others its parents'.

    `GetJobRequest{cluster_id, job_id}` -> `["cluster_id", "job_id"]`.
    """
    for verb in ("Get", "Delete", "Update"):
        method = service.methods_by_name.get(verb)
        if method is not None:
            return [
                name for name in string_fields(method.input_type) if name.endswith(("_id", "_name")) or name == "name"
            ]
    return []


def own_id(service: ServiceDescriptor, resource: Descriptor) -> str:
    """The resource's field that holds its identifier; an empty string if parent and name are all that it has."""
    for name in ("id", *key_fields(service)[-1:]):
        if name.endswith("id") and name in string_fields(resource):
            return name
    return ""


def key_in(service: ServiceDescriptor, message: Message) -> tuple[str, dict[str, str]]:
    """The key of the resource that a request names, and its parents' ids. No key in it: an empty string."""
    names = [name for name in key_fields(service) if has(message, name)]
    values = {name: getattr(message, name) for name in names}
    resource = resource_of(service)
    if resource is None or not names:
        return "", values
    own = f"{snake(resource.name)}_id" if f"{snake(resource.name)}_id" in values else names[-1]
    parents = {name: value for name, value in values.items() if name != own}
    if own_id(service, resource):
        return values[own], parents
    return "/".join([*parents.values(), values[own]]), parents


def target(source: str, destination: Descriptor) -> FieldDescriptor | None:
    """The resource's field that a request's field sets: of the same name, or without its `_spec(s)`."""
    candidates = (source, re.sub(r"_specs$", "s", source), re.sub(r"_specs?(?=_|$)", "", source))
    return next((destination.fields_by_name[c] for c in candidates if c in destination.fields_by_name), None)


def merge(source: Message, destination: Message) -> None:
    """Copy every field that is set and has a counterpart of the same shape."""
    if source.DESCRIPTOR is destination.DESCRIPTOR:
        destination.MergeFrom(source)
        return
    for field, _ in source.ListFields():
        other = target(field.name, destination.DESCRIPTOR)
        if other is not None:
            _copy(source, field, destination, other)


def _copy(source: Message, field: FieldDescriptor, destination: Message, other: FieldDescriptor) -> None:
    if field.is_repeated != other.is_repeated or is_map(field) != is_map(other) or field.cpp_type != other.cpp_type:
        return
    value: Any = getattr(source, field.name)
    if is_map(field):
        getattr(destination, other.name).MergeFrom(value)
    elif field.message_type and field.is_repeated:
        for item in value:
            merge(item, getattr(destination, other.name).add())
    elif field.message_type:
        getattr(destination, other.name).SetInParent()
        merge(value, _configuration(getattr(destination, other.name), field.message_type))
    elif field.is_repeated:
        getattr(destination, other.name).extend(value)
    else:
        setattr(destination, other.name, value)


def _configuration(destination: Message, given: Descriptor) -> Message:
    """Managed databases keep what the user gave beside what is in effect: the first is the request's counterpart."""
    field = destination.DESCRIPTOR.fields_by_name.get("user_config")
    if field is not None and field.message_type is given:
        return getattr(destination, "user_config")  # noqa: B009 (the type is known at run time only)
    return destination


def apply_mask(source: Message, path: list[str], destination: Message) -> bool:
    """Set one path of an update mask; False if the path names nothing that both messages have."""
    field = source.DESCRIPTOR.fields_by_name.get(path[0])
    other = target(path[0], destination.DESCRIPTOR)
    if field is None or other is None:
        return False
    if len(path) > 1:
        if not field.message_type or field.is_repeated or not other.message_type or other.is_repeated:
            return False
        return apply_mask(getattr(source, field.name), path[1:], getattr(destination, other.name))
    destination.ClearField(other.name)
    if field.is_repeated or not field.has_presence or source.HasField(field.name):
        _copy(source, field, destination, other)
    return True
