"""What Managed PostgreSQL refuses."""

from collections.abc import Collection

import grpc

from local_cloud.core.errors import ApiError, invalid
from local_cloud.core.quotas import Shortage, failure


def not_enough_quota(short: Collection[Shortage]) -> ApiError:
    """The managed databases' own sentence and code."""
    lacking = ", ".join(f"{s.quota}: {s.required - s.available:.0f}" for s in short)
    message = f'Quota limits exceeded, not enough "{lacking}". Please contact support to request extra resource quota.'
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message, (failure(short),))


def version(value: str, offered: Collection[str]) -> ApiError:
    return invalid(f"config_spec.version: PostgreSQL {value!r} is not offered; offered are {sorted(offered)}")


def preset(value: str) -> ApiError:
    return invalid(f"config_spec.resources.resource_preset_id: {value!r} is no host class; a name such as s3-c2-m8 is")


def disk_type(value: str, known: Collection[str]) -> ApiError:
    return invalid(f"config_spec.resources.disk_type_id: unknown disk type {value!r}; known are {sorted(known)}")


def disk_size(kind: str, size: float, low: int, high: int, unit: int) -> ApiError:
    step = f" in steps of {unit} GB" if unit > 1 else ""
    return invalid(
        f"config_spec.resources.disk_size: {size:g} GB of {kind}, expected {low} to {high} GB for each host{step}"
    )


def hosts(kind: str, count: int, least: int, most: int) -> ApiError:
    return invalid(f"host_specs: {count} hosts with {kind}, expected {least} to {most}")


def user_name(value: str) -> ApiError:
    return invalid(
        f"user_specs: {value!r} is no name of a user: up to 63 letters, digits, hyphens and underscores, not pg_…, "
        "and not one of the service's own (admin, postgres, monitor, repl, mdb_…)"
    )


def password_length(user: str, length: int) -> ApiError:
    return invalid(f"user_specs: the password of {user!r} has {length} characters, expected 8 to 128")
