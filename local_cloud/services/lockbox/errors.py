"""What Lockbox refuses."""

from local_cloud.core.errors import ApiError, invalid, not_found, precondition


def no_value(key: str) -> ApiError:
    return invalid(f"payload entry {key!r} has neither text_value nor binary_value")


def two_payloads() -> ApiError:
    return invalid("version_payload_entries and password_payload_specification: only one of them may be set")


def no_payload() -> ApiError:
    return invalid("create_version: is true, so version_payload_entries or password_payload_specification is required")


def payload_too_large(size: int, most: int) -> ApiError:
    return invalid(f"payload_entries: the values have {size} bytes together, expected at most {most}")


def password_too_short(length: int, classes: int) -> ApiError:
    return invalid(f"password_payload_specification: length {length} cannot hold {classes} classes of characters")


def version_not_found(secret: str, version: str) -> ApiError:
    return not_found(f"Version of secret {secret!r}", version)


def secret_inactive(secret: str) -> ApiError:
    return precondition(f"Secret {secret!r} is INACTIVE; activate it first")


def no_version(secret: str) -> ApiError:
    return precondition(f"Secret {secret!r} has no version yet")


def version_not_active(version: str) -> ApiError:
    return precondition(f"Version {version!r} is not ACTIVE")
