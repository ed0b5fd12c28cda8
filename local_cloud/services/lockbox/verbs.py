"""The verbs of secrets, their versions and their payloads."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message
from yandex.cloud.lockbox.v1 import payload_pb2, payload_service_pb2, secret_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.errors import not_found
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, belongs, timestamp
from local_cloud.services.base import Service
from local_cloud.services.lockbox import errors
from local_cloud.services.lockbox.models import SECRET, VERSION, WEEK, new_version, wants_version

_SECRETS, _PAYLOADS = "yandex.cloud.lockbox.v1.SecretService", "yandex.cloud.lockbox.v1.PayloadService"


class Lockbox(Service):
    def handlers(self) -> Mapping[str, Handler]:
        shared = self.resources
        return {
            f"{_SECRETS}/Create": Verb(self._create, shared.finish, shared.undo_create),
            f"{_SECRETS}/Delete": Verb(shared.begin_delete, self._delete, shared.undo_change),
            f"{_SECRETS}/AddVersion": Verb(self._add_version, self._make_current),
            f"{_SECRETS}/SetCurrentVersion": Verb(self._begin_version, self._make_current),
            f"{_SECRETS}/ScheduleVersionDestruction": Verb(self._begin_version, self._schedule_destruction),
            f"{_SECRETS}/CancelVersionDestruction": Verb(self._begin_version, self._cancel_destruction),
            f"{_PAYLOADS}/Get": self._payload,
            f"{_PAYLOADS}/GetEx": self._payload_as_map,
        }

    def holdings(self) -> Mapping[str, Holding]:
        return {SECRET: lambda row: {"lockbox.secrets.count": 1}}

    def _create(self, call: Call) -> Begun:
        row, request = self.resources.create(call), call.request
        if wants_version(request):
            version = self._insert_version(row, request.version_payload_entries, request.version_description)
            row.message.current_version.CopyFrom(version.message)
            self.store.save(row)
        return Begun(row)

    def _delete(self, work: Work) -> Message:
        for version in self.store.children(work.resource):
            self.store.execute("DELETE FROM payloads WHERE version = ?", version.key)
        return self.resources.finish_delete(work)

    def _add_version(self, call: Call) -> Begun:
        secret = self.store.get(SECRET, call.request.secret_id)
        entries = {}
        if call.request.base_version_id:
            base = self.store.get(VERSION, call.request.base_version_id)
            entries = {entry.key: entry for entry in self._entries(base.key)}
        # A changed entry without a value drops the base's entry of that key.
        entries |= {entry.key: entry for entry in call.request.payload_entries}
        kept = [entry for entry in entries.values() if entry.WhichOneof("value")]
        return Begun(self._insert_version(secret, kept, call.request.description))

    def _insert_version(self, secret: Row, entries: Iterable[Any], description: str) -> Row:
        version, payload = new_version(secret, entries, description)
        row = self.store.insert(version, version.id, secret.folder, {"secret_id": secret.key})
        self.store.execute("INSERT INTO payloads VALUES (?,?)", version.id, payload.SerializeToString())
        return row

    def _begin_version(self, call: Call) -> Begun:
        row = self.store.get(VERSION, call.request.version_id)
        if not belongs(row, "secret_id", call.request.secret_id):
            raise errors.version_not_found(call.request.secret_id, row.key)
        return Begun(row)

    def _make_current(self, work: Work) -> Message:
        with self.store.transaction():
            version = self.store.get(VERSION, work.resource)
            secret = self.store.get(SECRET, version.message.secret_id)
            secret.message.current_version.CopyFrom(version.message)
            self.store.save(secret)
        return version.message

    def _schedule_destruction(self, work: Work) -> Message:
        seconds = work.call.request.pending_period.ToTimedelta().total_seconds() or WEEK
        row = self.store.get(VERSION, work.resource)
        row.message.status = secret_pb2.Version.SCHEDULED_FOR_DESTRUCTION
        row.message.destroy_at.CopyFrom(timestamp(row.message.created_at.ToSeconds() + seconds))
        self.store.save(row)
        return row.message

    def _cancel_destruction(self, work: Work) -> Message:
        row = self.store.get(VERSION, work.resource)
        row.message.status = secret_pb2.Version.ACTIVE
        row.message.ClearField("destroy_at")
        self.store.save(row)
        return row.message

    def _payload(self, call: Call) -> Message:
        return self._payload_of(self.store.get(SECRET, call.request.secret_id), call.request.version_id)

    def _payload_as_map(self, call: Call) -> Message:
        secret = self._identified(call.request)
        payload = self._payload_of(secret, call.request.version_id)
        entries = {entry.key: entry.binary_value or entry.text_value.encode() for entry in payload.entries}
        return payload_service_pb2.GetExResponse(secret_id=secret.key, version_id=payload.version_id, entries=entries)

    def _identified(self, request: Any) -> Row:
        """The secret that a GetEx request names, by id or by folder and name."""
        if request.WhichOneof("identifier") != "folder_and_name":
            return self.store.get(SECRET, request.secret_id)
        name = request.folder_and_name.secret_name
        for row in self.store.select(SECRET, {"folder_id": request.folder_and_name.folder_id}):
            if row.name == name:
                return row
        raise not_found("Secret", name)

    def _payload_of(self, secret: Row, version_id: str) -> Any:
        if secret.message.status == secret_pb2.Secret.INACTIVE:
            raise errors.secret_inactive(secret.key)
        version_id = version_id or secret.message.current_version.id
        if not version_id:
            raise errors.no_version(secret.key)
        version = self.store.get(VERSION, version_id)
        if not belongs(version, "secret_id", secret.key):
            raise errors.version_not_found(secret.key, version_id)
        if version.message.status != secret_pb2.Version.ACTIVE:
            raise errors.version_not_active(version_id)
        return payload_pb2.Payload(version_id=version_id, entries=self._entries(version_id))

    def _entries(self, version_id: str) -> Any:
        rows = self.store.execute("SELECT data FROM payloads WHERE version = ?", version_id)
        return payload_pb2.Payload.FromString(rows[0]["data"]).entries
