"""The checks that the cloud's own protobuf options ask for: required, pattern, length, size, value, map_key, …

Services whose stubs carry no options are checked by `rules.json`, which has what their definitions say.
"""

import fnmatch
import functools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from yandex.cloud import validation_pb2 as rules

from local_cloud.core import schema
from local_cloud.core.errors import invalid

# The service takes these although its own options forbid them: the vendor's SDK and tutorials send them by default, and
# Terraform's provider makes a PostgreSQL without users and databases.
NOT_ENFORCED = {
    ("yandex.cloud.dataproc.v1.CreateJobRequest.name", "pattern"),
    ("yandex.cloud.dataproc.v1.AutoscalingConfig.measurement_duration", "required"),
    ("yandex.cloud.mdb.postgresql.v1.CreateClusterRequest.database_specs", "required"),
    ("yandex.cloud.mdb.postgresql.v1.CreateClusterRequest.user_specs", "required"),
}
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)?"


_DOCUMENTED = json.loads((Path(__file__).parent / "rules.json").read_text())


@dataclass(frozen=True)
class Rules:
    """What a field's value must be; an empty string is no rule. Those of keys are a map's."""

    required: bool = False
    pattern: str = ""
    length: str = ""
    size: str = ""
    value: str = ""
    key_pattern: str = ""
    key_length: str = ""


def rules_of(field: FieldDescriptor) -> Rules:
    """The field's options, and over them what `rules.json` says of it."""
    options = field.GetOptions().Extensions
    keys = options[rules.map_key]
    own = Rules(
        required=options[rules.required] and (field.full_name, "required") not in NOT_ENFORCED,
        pattern="" if (field.full_name, "pattern") in NOT_ENFORCED else options[rules.pattern],
        length=options[rules.length],
        size=options[rules.size],
        value=options[rules.value],
        key_pattern=keys.pattern,
        key_length=keys.length,
    )
    return replace(own, **documented(field.full_name))


@functools.cache
def documented(name: str) -> dict[str, Any]:
    """What `rules.json` says of a field, by its full name."""
    fitting = [rule for pattern, rule in _DOCUMENTED["fields"].items() if fnmatch.fnmatchcase(name, pattern)]
    return {key: value for rule in fitting for key, value in rule.items()}


def check(message: Any, path: str = "") -> None:
    """Raises INVALID_ARGUMENT that names the field, its value and what is expected, for the first violation."""
    for field in message.DESCRIPTOR.fields:
        _check_field(message, field, path + field.name)
    for group in message.DESCRIPTOR.oneofs:
        exactly_one = group.GetOptions().Extensions[rules.exactly_one] or group.full_name in _DOCUMENTED["exactly_one"]
        if exactly_one and message.WhichOneof(group.name) is None:
            names = [field.name for field in group.fields]
            raise invalid(f"{path}{group.name}: exactly one of {names} must be set")


def _check_field(message: Any, field: FieldDescriptor, name: str) -> None:
    rule, value = rules_of(field), getattr(message, field.name)
    given = message.HasField(field.name) if field.has_presence else bool(value)
    if rule.required and not given:
        raise invalid(f"{name}: is required")
    if not given:
        return
    if schema.is_map(field):
        _check_map(rule, value, name)
    elif field.is_repeated:
        check_bounds(rule.size, len(value), name, "number of entries")
        for index, item in enumerate(value):
            _check_value(rule, item, f"{name}[{index}]")
    else:
        _check_value(rule, value, name)


def _check_map(rule: Rules, value: Any, name: str) -> None:
    check_bounds(rule.size, len(value), name, "number of entries")
    for key, item in value.items():
        _check_text(rule.key_pattern, rule.key_length, str(key), f"{name}: key {key!r}")
        if isinstance(item, str):
            _check_text(rule.pattern, rule.length, item, f"{name}[{key!r}]")
        elif isinstance(item, Message):
            check(item, f"{name}[{key!r}].")


def _check_value(rule: Rules, value: Any, name: str) -> None:
    if isinstance(value, Duration):
        check_bounds(rule.value, value.ToTimedelta().total_seconds(), name, "duration in seconds")
    elif isinstance(value, Message):
        check(value, f"{name}.")
    elif isinstance(value, str):
        _check_text(rule.pattern, rule.length, value, name)
    elif isinstance(value, bytes):
        check_bounds(rule.length, len(value), name, "length")
    else:
        check_bounds(rule.value, value, name, "value")


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
