"""What Managed PostgreSQL refuses."""

from collections.abc import Collection

import grpc

from local_cloud.core.errors import ApiError, already_exists, invalid, precondition
from local_cloud.core.quotas import Shortage, failure
from local_cloud.core.resources import Row, status_of


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


def disk_shrinks(size: int, now: int) -> ApiError:
    return invalid(f"config_spec.resources.disk_size: {size >> 30} GB is less than the {now >> 30} GB that hosts have")


def last_host(cluster: Row) -> ApiError:
    return precondition(f"Cluster {cluster.key!r} would have no host left")


def host_of_another(cluster: Row, name: str) -> ApiError:
    return invalid(f"host_name: {name!r} is no host of cluster {cluster.key!r}")


def not_running(cluster: Row) -> ApiError:
    return precondition(f"Cluster {cluster.key!r} is {status_of(cluster.message)}, RUNNING is expected")


def owner(user: Row, databases: Collection[str]) -> ApiError:
    return precondition(f"User {user.name!r} owns {', '.join(databases)}; delete that first")


def renamed(name: str) -> ApiError:
    return invalid(f"new_database_name: {name!r} cannot be called otherwise")


def connections(asked: int, most: int) -> ApiError:
    return precondition(f"conn_limit: the limits of all users are {asked} together, the server has {most}")


def name_taken(kind: str, name: str, cluster: Row) -> ApiError:
    return already_exists(f"{kind.rpartition('.')[2]} with name {name!r} already exists in cluster {cluster.key}")


def no_server_of(version: str, offered: Collection[str]) -> ApiError:
    return precondition(f"config_spec.version: this host runs PostgreSQL {', '.join(offered)}, not {version or 'any'}")


def one_host(hosts: int) -> ApiError:
    return precondition(f"host_specs: this host runs one server for a cluster, not {hosts}")
