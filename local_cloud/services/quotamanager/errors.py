"""What the quota manager refuses."""

from collections.abc import Collection

from local_cloud.core.errors import ApiError, invalid, not_found


def unknown_type(kind: str, known: str) -> ApiError:
    return invalid(f"resource type {kind!r} has no quotas here; {known} has")


def cloud_not_found(cloud: str) -> ApiError:
    return not_found("Cloud", cloud)


def unknown_service(service: str, known: Collection[str]) -> ApiError:
    return invalid(f"service: {service!r} has no quotas; those that have are {sorted(known)}")


def quota_not_found(quota: str) -> ApiError:
    return not_found("Quota", quota)
