"""One resource as the store keeps it: its message, its identifiers, its status."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from local_cloud.core import schema

# The cloud's identifiers begin with three letters that tell the service.
ID_PREFIXES = {"dataproc": "c9q", "compute": "fhm", "vpc": "enp", "lockbox": "e6q", "iam": "aje", "operation": "cec"}
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


def new_id(package: str) -> str:
    """Twenty characters, as the cloud's: a prefix of the service (`yandex.cloud.<service>…`) and a random rest."""
    service = package.removeprefix(schema.ROOT + ".").split(".")[0]
    return ID_PREFIXES.get(service, "bpf") + "".join(secrets.choice(_ALPHABET) for _ in range(17))


@dataclass
class Row:
    """One resource: its message, the folder it counts to, and the ids of its parents that the message itself lacks."""

    number: int
    type: str
    key: str
    folder: str
    parents: dict[str, str]
    message: Any
    created: float = 0.0
    deleted: float | None = None

    @property
    def name(self) -> str:
        return str(getattr(self.message, "name", ""))

    @property
    def kind(self) -> str:
        """The last part of the type's name, for messages to people."""
        return self.type.rpartition(".")[2]


def status_of(message: Message) -> str:
    """The name of the message's status, or an empty string for a resource that has none."""
    field = message.DESCRIPTOR.fields_by_name.get("status")
    if field is None or field.enum_type is None or field.is_repeated:
        return ""
    return str(field.enum_type.values_by_number[getattr(message, "status")].name)  # noqa: B009


def set_status(message: Message, *candidates: str) -> None:
    """Set the first of the candidates that the resource's type knows; a type without a status stays as it is."""
    field = message.DESCRIPTOR.fields_by_name.get("status")
    if field is not None and field.enum_type is not None and not field.is_repeated:
        for candidate in candidates:
            if candidate in field.enum_type.values_by_name:
                setattr(message, "status", field.enum_type.values_by_name[candidate].number)  # noqa: B010
                return


def belongs(row: Row, name: str, value: str) -> bool:
    """Whether the resource has this parent: in its own field, or among those it was created under."""
    if name == "folder_id":
        return row.folder == value
    return bool(value in (row.parents.get(name), getattr(row.message, name, None)))


def timestamp(seconds: float | None = None) -> Timestamp:
    """A protobuf time of a UNIX time in seconds, by default of now."""
    result = Timestamp()
    result.FromMilliseconds(int((time.time() if seconds is None else seconds) * 1000))
    return result
