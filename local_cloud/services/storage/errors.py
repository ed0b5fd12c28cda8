"""What Object Storage's API refuses."""

from local_cloud.core.errors import ApiError, already_exists, not_found, precondition


def bucket_exists(name: str) -> ApiError:
    return already_exists(f"Bucket {name!r} exists already; names are taken in the whole cloud")


def not_empty(name: str) -> ApiError:
    return precondition(f"Bucket {name!r} is not empty")


def no_certificate(name: str) -> ApiError:
    return not_found("HTTPS configuration of bucket", name)
