"""A new key has a version; all else is shared. A key that is deleted is gone at once, and its versions with it: in the
cloud they can be had back for three days, by their owner alone."""

from collections.abc import Mapping

from yandex.cloud.kms.v1 import symmetric_key_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb
from local_cloud.core.resources import new_id, timestamp
from local_cloud.services.base import Service

KEY = "yandex.cloud.kms.v1.SymmetricKey"


class Kms(Service):
    def handlers(self) -> Mapping[str, Handler]:
        create = Verb(self._create, self.resources.finish, self.resources.undo_create)
        return {f"{KEY}Service/Create": create}

    def _create(self, call: Call) -> Begun:
        row = self.resources.create(call)
        key, kind = row.message, symmetric_key_pb2.SymmetricKeyVersion
        version = kind(id=new_id(KEY), key_id=row.key, status=kind.ACTIVE, primary=True)
        version.algorithm = key.default_algorithm
        version.created_at.CopyFrom(timestamp())
        key.primary_version.CopyFrom(version)
        self.store.save(row)
        return Begun(row)
