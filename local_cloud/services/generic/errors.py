"""What the shared verbs refuse."""

from collections.abc import Mapping

from google.protobuf.descriptor import MethodDescriptor

from local_cloud.core import schema
from local_cloud.core.errors import ApiError, already_exists, invalid, precondition, unimplemented
from local_cloud.core.resources import Row


def not_offered(method: MethodDescriptor) -> ApiError:
    return unimplemented(f"{schema.name_of(method)} is not offered by this endpoint")


def name_taken(row: Row, other: Row, scope: Mapping[str, str]) -> ApiError:
    place = ", ".join(f"{name.removesuffix('_id')} {value}" for name, value in scope.items())
    return already_exists(f"{row.kind} with name {row.name!r} already exists in {place} (id {other.key})")


def busy(row: Row, status: str) -> ApiError:
    return precondition(f"{row.kind} {row.key!r} is {status}: wait until the running operation has ended")


def not_so(row: Row, status: str, verb: str, wanted: str) -> ApiError:
    return precondition(f"{row.kind} {row.key!r} is {status}, {wanted} is expected for {verb}")


def is_protected(row: Row) -> ApiError:
    return precondition(f"{row.kind} {row.key!r} has deletion protection; switch it off by Update first")


def not_updatable(path: str, kind: str) -> ApiError:
    return invalid(f"update_mask: {path!r} is not a field of {kind} that can be updated")
