"""The checks that the cloud's own protobuf options ask for: required, pattern, length, size, value, map_key, …"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from yandex.cloud import validation_pb2 as rules

from local_cloud.core import schema
from local_cloud.core.errors import invalid

# The service takes these although its own options forbid them: the vendor's SDK and tutorials send them by default.
NOT_ENFORCED = {
    ("yandex.cloud.dataproc.v1.CreateJobRequest.name", "pattern"),
    ("yandex.cloud.dataproc.v1.AutoscalingConfig.measurement_duration", "required"),
}
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)?"


def check(message: Any, path: str = "") -> None:
    """Raises INVALID_ARGUMENT that names the field, its value and what is expected, for the first violation."""
    for field in message.DESCRIPTOR.fields:
        _check_field(message, field, path + field.name)
    for group in message.DESCRIPTOR.oneofs:
        if group.GetOptions().Extensions[rules.exactly_one] and message.WhichOneof(group.name) is None:
            names = [field.name for field in group.fields]
            raise invalid(f"{path}{group.name}: exactly one of {names} must be set")


def _check_field(message: Any, field: FieldDescriptor, name: str) -> None:
    options, value = field.GetOptions().Extensions, getattr(message, field.name)
    given = message.HasField(field.name) if field.has_presence else bool(value)
    if options[rules.required] and not given and (field.full_name, "required") not in NOT_ENFORCED:
        raise invalid(f"{name}: is required")
    if not given:
        return
    if schema.is_map(field):
        _check_map(field, value, name)
    elif field.is_repeated:
        check_bounds(options[rules.size], len(value), name, "number of entries")
        for index, item in enumerate(value):
            _check_value(field, item, f"{name}[{index}]")
    else:
        _check_value(field, value, name)


def _check_map(field: FieldDescriptor, value: Any, name: str) -> None:
    options = field.GetOptions().Extensions
    check_bounds(options[rules.size], len(value), name, "number of entries")
    keys = options[rules.map_key]
    for key, item in value.items():
        _check_text(keys.pattern, keys.length, key, f"{name}: key {key!r}")
        if isinstance(item, str):
            _check_text(options[rules.pattern], options[rules.length], item, f"{name}[{key!r}]")
        elif isinstance(item, Message):
            check(item, f"{name}[{key!r}].")


def _check_value(field: FieldDescriptor, value: Any, name: str) -> None:
    options = field.GetOptions().Extensions
    if isinstance(value, Duration):
        check_bounds(options[rules.value], value.ToTimedelta().total_seconds(), name, "duration in seconds")
    elif isinstance(value, Message):
        check(value, f"{name}.")
    elif isinstance(value, str):
        pattern = "" if (field.full_name, "pattern") in NOT_ENFORCED else options[rules.pattern]
        _check_text(pattern, options[rules.length], value, name)
    elif isinstance(value, bytes):
        check_bounds(options[rules.length], len(value), name, "length")
    else:
        check_bounds(options[rules.value], value, name, "value")


def _check_text(pattern: str, length: str, value: str, name: str) -> None:
    check_bounds(length, len(value), name, "length")
    if pattern and not re.fullmatch(pattern, value):
        raise invalid(f"{name}: {value!r} does not match the pattern {pattern}")


def check_bounds(rule: str, actual: float, name: str, what: str) -> None:
    if rule and not any(holds(actual) for holds in _alternatives(rule)):
        raise invalid(f"{name}: {what} is {actual:g}, expected {rule}")


def _alternatives(rule: str) -> Iterable[Callable[[float], bool]]:
    """`1-63`, `<=50`, `>0`, `36`, `1m-10m` and lists of those -> predicates; an unknown form allows everything."""
    for part in rule.split(","):
        yield _predicate(part.strip())


def _predicate(rule: str) -> Callable[[float], bool]:
    if between := re.fullmatch(f"{_NUMBER}-{_NUMBER}", rule):
        low, high = _seconds(between[1], between[2]), _seconds(between[3], between[4])
        return lambda actual: low <= actual <= high
    if bound := re.fullmatch(rf"(<=|>=|<|>|)\s*{_NUMBER}", rule):
        limit, sign = _seconds(bound[2], bound[3]), bound[1]
        return {
            "<=": lambda actual: actual <= limit,
            "<": lambda actual: actual < limit,
            ">=": lambda actual: actual >= limit,
            ">": lambda actual: actual > limit,
            "": lambda actual: actual == limit,
        }[sign]
    return lambda actual: True


def _seconds(number: str, unit: str | None) -> float:
    return float(number) * _UNITS[unit or ""]
