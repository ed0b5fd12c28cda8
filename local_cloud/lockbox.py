"""Lockbox: secrets, their versions, and payloads that are kept apart from everything that is listed or logged."""

import secrets
import string
from typing import Any

from google.protobuf.message import Message
from yandex.cloud.lockbox.v1 import payload_pb2, payload_service_pb2, secret_pb2

from local_cloud import service
from local_cloud.errors import invalid, not_found, precondition
from local_cloud.operations import Call, Verb, timestamp
from local_cloud.store import Row, belongs, new_id

SECRET, VERSION = "yandex.cloud.lockbox.v1.Secret", "yandex.cloud.lockbox.v1.Version"
_WEEK = 7 * 24 * 3600


def handlers() -> dict[str, Any]:
    secret, payload = "yandex.cloud.lockbox.v1.SecretService", "yandex.cloud.lockbox.v1.PayloadService"
    return {
        f"{secret}/Create": Verb(_create, service.settle, service.undo_create),
        f"{secret}/Delete": Verb(service.begin_delete, _delete, service.undo_change),
        f"{secret}/AddVersion": Verb(_add_version, _finish_version),
        f"{secret}/SetCurrentVersion": Verb(_version, _set_current),
        f"{secret}/ScheduleVersionDestruction": Verb(_version, _schedule),
        f"{secret}/CancelVersionDestruction": Verb(_version, _keep),
        f"{payload}/Get": _payload,
        f"{payload}/GetEx": _payload_as_map,
    }


def _create(call: Call) -> Row:
    row, request = service.create(call), call.request
    if request.version_payload_entries or row.message.HasField("password_payload_specification"):
        row.message.current_version.CopyFrom(
            _new_version(call, row, request.version_payload_entries, request.version_description)
        )
        call.cloud.store.save(row)
    return row


def _delete(call: Call) -> Message:
    for version in call.cloud.store.children(call.resource):
        call.cloud.store.execute("DELETE FROM payloads WHERE version = ?", version.key)
    return service.finish_delete(call)


def _add_version(call: Call) -> Row:
    secret = call.cloud.store.get(SECRET, call.request.secret_id)
    entries = {}
    if call.request.base_version_id:
        base = call.cloud.store.get(VERSION, call.request.base_version_id)
        entries = {entry.key: entry for entry in _entries(call, base.key)}
    # A changed entry without a value drops the base's entry of that key.
    entries |= {entry.key: entry for entry in call.request.payload_entries}
    kept = [entry for entry in entries.values() if entry.WhichOneof("value")]
    version = _new_version(call, secret, kept, call.request.description)
    return call.cloud.store.get(VERSION, version.id)


def _finish_version(call: Call) -> Message:
    with call.cloud.store.transaction():
        version = call.cloud.store.get(VERSION, call.resource)
        secret = call.cloud.store.get(SECRET, version.message.secret_id)
        secret.message.current_version.CopyFrom(version.message)
        call.cloud.store.save(secret)
    return version.message


def _new_version(call: Call, secret: Row, entries: Any, description: str) -> Any:
    payload = payload_pb2.Payload()
    for entry in entries:
        which = entry.WhichOneof("value")
        if which is None:
            raise invalid(f"payload entry {entry.key!r} has neither text_value nor binary_value")
        payload.entries.add(key=entry.key, **{which: getattr(entry, which)})
    specification = secret.message.password_payload_specification
    if secret.message.HasField("password_payload_specification"):
        payload.entries.add(key=specification.password_key, text_value=_password(specification))
    version = secret_pb2.Version(
        id=new_id(VERSION),
        secret_id=secret.key,
        description=description,
        status=secret_pb2.Version.ACTIVE,
        payload_entry_keys=[entry.key for entry in payload.entries],
    )
    version.created_at.CopyFrom(timestamp())
    if secret.message.HasField("password_payload_specification"):
        version.password_payload_specification.CopyFrom(specification)
    payload.version_id = version.id
    call.cloud.store.insert(version, version.id, secret.folder, {"secret_id": secret.key})
    call.cloud.store.execute("INSERT INTO payloads VALUES (?,?)", version.id, payload.SerializeToString())
    return version


def _password(specification: Any) -> str:
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
        raise invalid(
            f"password_payload_specification: length {length} cannot hold {len(classes)} classes of characters"
        )
    letters = [secrets.choice(letters) for letters in classes]
    letters += [secrets.choice("".join(classes)) for _ in range(length - len(classes))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def _version(call: Call) -> Row:
    row = call.cloud.store.get(VERSION, call.request.version_id)
    if not belongs(row, "secret_id", call.request.secret_id):
        raise not_found(f"Version of secret {call.request.secret_id!r}", row.key)
    return row


def _set_current(call: Call) -> Message:
    return _finish_version(call)


def _schedule(call: Call) -> Message:
    seconds = call.request.pending_period.ToTimedelta().total_seconds() or _WEEK
    row = call.cloud.store.get(VERSION, call.resource)
    row.message.status = secret_pb2.Version.SCHEDULED_FOR_DESTRUCTION
    row.message.destroy_at.CopyFrom(timestamp(row.message.created_at.ToSeconds() + seconds))
    call.cloud.store.save(row)
    return row.message


def _keep(call: Call) -> Message:
    row = call.cloud.store.get(VERSION, call.resource)
    row.message.status = secret_pb2.Version.ACTIVE
    row.message.ClearField("destroy_at")
    call.cloud.store.save(row)
    return row.message


def _payload(call: Call) -> Message:
    secret = call.cloud.store.get(SECRET, call.request.secret_id)
    return _payload_of(call, secret, call.request.version_id)


def _payload_as_map(call: Call) -> Message:
    request = call.request
    if request.WhichOneof("identifier") == "folder_and_name":
        found = call.cloud.store.select(SECRET, {"folder_id": request.folder_and_name.folder_id})
        secret = next((row for row in found if row.name == request.folder_and_name.secret_name), None)
        if secret is None:
            raise not_found("Secret", request.folder_and_name.secret_name)
    else:
        secret = call.cloud.store.get(SECRET, request.secret_id)
    payload = _payload_of(call, secret, request.version_id)
    entries = {entry.key: entry.binary_value or entry.text_value.encode() for entry in payload.entries}
    return payload_service_pb2.GetExResponse(secret_id=secret.key, version_id=payload.version_id, entries=entries)


def _payload_of(call: Call, secret: Row, version_id: str) -> Any:
    if secret.message.status == secret_pb2.Secret.INACTIVE:
        raise precondition(f"Secret {secret.key!r} is INACTIVE; activate it first")
    version_id = version_id or secret.message.current_version.id
    if not version_id:
        raise precondition(f"Secret {secret.key!r} has no version yet")
    version = call.cloud.store.get(VERSION, version_id)
    if not belongs(version, "secret_id", secret.key):
        raise not_found(f"Version of secret {secret.key!r}", version_id)
    if version.message.status != secret_pb2.Version.ACTIVE:
        raise precondition(f"Version {version_id!r} is not ACTIVE")
    return payload_pb2.Payload(version_id=version_id, entries=_entries(call, version_id))


def _entries(call: Call, version_id: str) -> Any:
    rows = call.cloud.store.execute("SELECT data FROM payloads WHERE version = ?", version_id)
    return payload_pb2.Payload.FromString(rows[0]["data"]).entries
