"""The part of Terraform's plugin protocol that the stand-in answers: its messages, and values by their schema."""

from collections.abc import Callable
from typing import Any

import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Json = dict[str, Any]
UNKNOWN = msgpack.ExtType(0, b"\0")
ERROR, WARNING = 1, 2  # severities
# Numbers of the fields: docs/plugin-protocol/tfplugin6.8.proto of Terraform. What nobody reads or writes is left out.
MESSAGES: dict[str, dict[int, str]] = {
    "Empty": {},
    "TypeName": {1: "string type_name"},
    "Schema": {1: "int64 version", 2: "Block block"},
    "Block": {2: "repeated Attribute attributes", 3: "repeated NestedBlock block_types", 6: "bool deprecated"},
    "NestedBlock": {
        1: "string type_name",
        2: "Block block",
        3: "int32 nesting",
        4: "int64 min_items",
        5: "int64 max_items",
    },
    "Attribute": {
        1: "string name",
        2: "bytes type",
        4: "bool required",
        5: "bool optional",
        6: "bool computed",
        7: "bool sensitive",
        9: "bool deprecated",
        10: "Object nested_type",
        11: "bool write_only",
    },
    "Object": {1: "repeated Attribute attributes", 3: "int32 nesting"},
    "SchemaEntry": {1: "string key", 2: "Schema value"},
    "MetadataResponse": {3: "repeated TypeName data_sources", 4: "repeated TypeName resources"},
    "SchemaResponse": {
        1: "Schema provider",
        2: "repeated SchemaEntry resource_schemas",
        3: "repeated SchemaEntry data_source_schemas",
    },
    "RawState": {1: "bytes json"},
    "UpgradeRequest": {3: "RawState raw"},
    "UpgradeResponse": {1: "Value state"},
    "ValidateRequest": {1: "string type_name", 2: "Value config"},
    "ValidateResponse": {1: "repeated Diagnostic diagnostics"},
    "Value": {1: "bytes msgpack", 2: "bytes json"},
    "Diagnostic": {1: "int32 severity", 2: "string summary", 3: "string detail"},
    "ReadRequest": {1: "string type_name", 2: "Value state"},
    "ReadResponse": {1: "Value state", 2: "repeated Diagnostic diagnostics"},
    "ChangeRequest": {1: "string type_name", 2: "Value prior", 3: "Value new", 4: "Value config"},
    "Step": {1: "string attribute_name"},
    "Path": {1: "repeated Step steps"},
    "PlanResponse": {
        1: "Value state",
        2: "repeated Path requires_replace",
        4: "repeated Diagnostic diagnostics",
        5: "bool legacy_type_system",
    },
    "ApplyResponse": {1: "Value state", 3: "repeated Diagnostic diagnostics", 4: "bool legacy_type_system"},
}


def messages() -> dict[str, Any]:
    """A message class for each entry of MESSAGES; only numbers and wire types count."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="stand_in.proto", package="stand_in", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, declaration in fields.items():
            *label, type_name, field_name = declaration.split()
            field = message.field.add(name=field_name, number=number)
            field.label = kind.LABEL_REPEATED if label else kind.LABEL_OPTIONAL
            if type_name in MESSAGES:
                field.type, field.type_name = kind.TYPE_MESSAGE, f".stand_in.{type_name}"
            else:
                field.type = kind.Type.Value(f"TYPE_{type_name.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"stand_in.{name}")) for name in MESSAGES}


MESSAGE = messages()


def load(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, strict_map_key=False) if value.msgpack else None


def dump(value: Any) -> Any:
    return MESSAGE["Value"](msgpack=msgpack.packb(value))


def members(nesting: str, value: Any) -> list[Any]:
    if nesting in ("single", "group"):
        return [value]
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def walk(spec: Json, value: Any, visit: Callable[[str, Json, Any], Any]) -> None:
    """Replaces every attribute of a block or object, at any depth, by what `visit(name, spec, value)` returns."""
    if not isinstance(value, dict):
        return
    for name, attribute in spec.get("attributes", {}).items():
        value[name] = visit(name, attribute, value.get(name))
        if nested := attribute.get("nested_type"):
            for member in members(nested["nesting_mode"], value[name]):
                walk(nested, member, visit)
    for name, inner in spec.get("block_types", {}).items():
        for member in members(inner["nesting_mode"], value.get(name)):
            walk(inner["block"], member, visit)


def planned(_: str, attribute: Json, value: Any) -> Any:
    if attribute.get("write_only"):
        return None
    return UNKNOWN if value is None and attribute.get("computed") else value


def unwritten(_: str, attribute: Json, value: Any) -> Any:
    return None if attribute.get("write_only") else value


def defaulted(values: Any, defaults: Json) -> None:
    """Sets what the provider sets where a configuration says nothing: path of an attribute -> value."""
    for path, value in defaults.items():
        *parents, name = path.split(".")
        places = [values] if values else []
        for parent in parents:
            inner = [place[parent] for place in places if isinstance(place.get(parent), dict | list)]
            places = [each for block in inner for each in (block if isinstance(block, list) else [block])]
        for place in places:
            if place.get(name) is None:
                place[name] = value


def recognised(block: Json, prior: Json, new: Json) -> None:
    """Members of sets that are as they were keep what was computed of them, such as an id."""
    for name, inner in block.get("block_types", {}).items():
        if inner["nesting_mode"] != "set":
            continue
        said = [each for each, spec in inner["block"].get("attributes", {}).items() if not spec.get("computed")]
        was = {repr([each[key] or None for key in said]): each for each in prior[name] or []}
        new[name] = [was.get(repr([each[key] or None for key in said]), each) for each in new[name] or []]


def keep(prior: Json, new: Json, paths: tuple[str, ...]) -> None:
    """Blocks of which the configuration has none stay as they were."""
    for path in paths:
        name, _, rest = path.partition(".")
        if rest:
            for was, will in zip(prior[name] or [], new[name] or [], strict=False):
                keep(was, will, (rest,))
        elif not new[name]:
            new[name] = prior[name]
