"""What Cloud DNS refuses."""

from typing import Any

from local_cloud.core.errors import ApiError, already_exists, invalid, not_found
from local_cloud.core.resources import Row


def not_absolute(name: str, value: str) -> ApiError:
    return invalid(f"{name}: {value!r} is no absolute name, expected one with a dot at its end")


def outside(name: str, value: str, zone: Row) -> ApiError:
    return invalid(f"{name}: {value!r} is not in the zone {zone.message.zone!r}")


def no_visibility() -> ApiError:
    return invalid("private_visibility, public_visibility: at least one of them must be set")


def no_data(name: str) -> ApiError:
    return invalid(f"{name}.data: has no entry, expected 1 to 100")


def record_not_found(zone: str, name: str, kind: str) -> ApiError:
    return not_found(f"Record set of zone {zone!r}", f"{name} {kind}")


def another_record(record: Any) -> ApiError:
    return invalid(f"deletions: the record set {record.name!r} {record.type} is another one than is to be deleted")


def record_exists(record: Any) -> ApiError:
    return already_exists(f"additions: there is a record set {record.name!r} {record.type} already")
