"""Versions, payloads and generated passwords."""

import secrets
import string
from collections.abc import Iterable
from typing import Any

from yandex.cloud.lockbox.v1 import payload_pb2, secret_pb2

from local_cloud.core.resources import Row, new_id, timestamp
from local_cloud.services.lockbox import errors

SECRET, VERSION = "yandex.cloud.lockbox.v1.Secret", "yandex.cloud.lockbox.v1.Version"
WEEK = 7 * 24 * 3600
# Of all values of a version together; source: docs/lockbox/concepts/limits.
MOST_BYTES = 64 << 10


def wants_version(request: Any) -> bool:
    """Whether a Create makes the secret's first version; raises INVALID_ARGUMENT.

    `create_version`, where it is set, holds whatever else is asked for: Terraform's provider always says false, so that
    a secret made by it has no password before a `yandex_lockbox_secret_version`.
    """
    entries, password = bool(request.version_payload_entries), request.HasField("password_payload_specification")
    if entries and password:
        raise errors.two_payloads()
    if not request.HasField("create_version"):
        return entries or password
    if request.create_version.value and not (entries or password):
        raise errors.no_payload()
    return bool(request.create_version.value)


def new_version(secret: Row, entries: Iterable[Any], description: str) -> tuple[Any, Any]:
    """A version of a secret and its payload: the given entries and, if the secret asks for one, a new password."""
    payload = payload_pb2.Payload()
    for entry in entries:
        kind = entry.WhichOneof("value")
        if kind is None:
            raise errors.no_value(entry.key)
        payload.entries.add(key=entry.key, **{kind: getattr(entry, kind)})
    version = secret_pb2.Version(
        id=new_id(VERSION), secret_id=secret.key, description=description, status=secret_pb2.Version.ACTIVE
    )
    if secret.message.HasField("password_payload_specification"):
        specification = secret.message.password_payload_specification
        payload.entries.add(key=specification.password_key, text_value=new_password(specification))
        version.password_payload_specification.CopyFrom(specification)
    size = sum(len(entry.binary_value) or len(entry.text_value.encode()) for entry in payload.entries)
    if size > MOST_BYTES:
        raise errors.payload_too_large(size, MOST_BYTES)
    version.payload_entry_keys.extend(entry.key for entry in payload.entries)
    version.created_at.CopyFrom(timestamp())
    payload.version_id = version.id
    return version, payload


def new_password(specification: Any) -> str:
    """A random password with at least one character of every asked class; by default all classes, 36 characters."""
    punctuation = specification.included_punctuation or string.punctuation
    wanted = {
        "include_uppercase": string.ascii_uppercase,
        "include_lowercase": string.ascii_lowercase,
        "include_digits": string.digits,
        "include_punctuation": "".join(c for c in punctuation if c not in specification.excluded_punctuation),
    }
    classes = [
        letters
        for name, letters in wanted.items()
        if letters and (not specification.HasField(name) or getattr(specification, name).value)
    ]
    length = specification.length or 36
    if not classes or length < len(classes):
        raise errors.password_too_short(length, len(classes))
    letters = [secrets.choice(letters) for letters in classes]
    letters += [secrets.choice("".join(classes)) for _ in range(length - len(classes))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)
