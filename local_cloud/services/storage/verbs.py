"""Buckets by their names. What the object store has is what there is: a bucket is made and deleted there, too."""

from collections.abc import Mapping
from functools import cached_property

from google.protobuf.message import Message
from yandex.cloud.storage.v1 import bucket_pb2, bucket_service_pb2

from local_cloud.core import schema
from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.errors import not_found
from local_cloud.core.object_store import ObjectStoreClient
from local_cloud.core.resources import Row, new_id, timestamp
from local_cloud.services.base import Service
from local_cloud.services.generic.listing import paged
from local_cloud.services.generic.models import apply_update, response
from local_cloud.services.storage import errors

BUCKET = "yandex.cloud.storage.v1.Bucket"
CLASS = "STANDARD"
_BUCKETS = "yandex.cloud.storage.v1.BucketService"


class Storage(Service):
    def handlers(self) -> Mapping[str, Handler]:
        bind = Verb(lambda call: Begun(self._owner(call)), self.resources.finish_bindings)
        return {
            f"{_BUCKETS}/Create": Verb(self._create, self._answer, at_once=True),
            f"{_BUCKETS}/Get": lambda call: self._bucket(call.request.name).message,
            f"{_BUCKETS}/List": self._list,
            f"{_BUCKETS}/Update": Verb(self._update, self._answer, at_once=True),
            f"{_BUCKETS}/Delete": Verb(self._delete, self._answer, at_once=True),
            f"{_BUCKETS}/GetHTTPSConfig": self._https,
            f"{_BUCKETS}/ListAccessBindings": lambda call: self.resources.bindings_of(self._owner(call), call),
            f"{_BUCKETS}/SetAccessBindings": bind,
            f"{_BUCKETS}/UpdateAccessBindings": bind,
        }

    @cached_property
    def _objects(self) -> ObjectStoreClient | None:
        configured = self.context.config.object_store
        return ObjectStoreClient(configured) if configured else None

    def _buckets(self) -> dict[str, Row]:
        """Name -> bucket; what the object store has no longer, or has besides, is so here, too."""
        rows = {row.key: row for row in self.store.select(BUCKET)}
        if self._objects is None:
            return rows
        there = self._objects.buckets()
        for name in set(rows) - set(there):
            self.store.delete(rows.pop(name))
        return rows | {name: self._insert(name, self.context.config.folder_id) for name in there if name not in rows}

    def _bucket(self, name: str) -> Row:
        if found := self._buckets().get(name):
            return found
        raise not_found("Bucket", name)

    def _owner(self, call: Call) -> Row:
        """The bucket whose `resource_id` is named: rights are not given by a bucket's name."""
        for row in self._buckets().values():
            if row.message.resource_id == call.request.resource_id:
                return row
        raise not_found("Resource", call.request.resource_id)

    def _insert(self, name: str, folder: str) -> Row:
        bucket = bucket_pb2.Bucket(id=name, name=name, folder_id=folder, default_storage_class=CLASS)
        bucket.resource_id = new_id(BUCKET)
        bucket.versioning = bucket_pb2.VERSIONING_DISABLED
        bucket.created_at.CopyFrom(timestamp())
        return self.store.insert(bucket, name, folder, {})

    def _create(self, call: Call) -> Begun:
        request = call.request
        if request.name in self._buckets():
            raise errors.bucket_exists(request.name)
        row = Row(0, BUCKET, request.name, self.context.folder_of(request), {}, bucket_pb2.Bucket())
        self.context.quotas.check(row)
        if self._objects is not None and not self._objects.make(request.name):
            raise errors.bucket_exists(request.name)
        row = self._insert(request.name, row.folder)
        schema.merge(request, row.message)
        self.store.save(row)
        return Begun(row)

    def _update(self, call: Call) -> Begun:
        row = self._bucket(call.request.name)
        apply_update(call, row.message)
        self.store.save(row)
        return Begun(row)

    def _delete(self, call: Call) -> Begun:
        row = self._bucket(call.request.name)
        if self._objects is not None and not self._objects.remove(row.key):
            raise errors.not_empty(row.key)
        self.store.delete(row)
        return Begun(row)

    def _answer(self, work: Work) -> Message:
        found = self.store.find(work.resource)
        return response(work.call.method, found.message if found else bucket_pb2.Bucket())

    def _list(self, call: Call) -> Message:
        rows = [row for row in self._buckets().values() if row.folder == call.request.folder_id]
        page, token = paged(call.request, sorted(rows, key=lambda row: row.number), lambda row: row.number)
        buckets = [row.message for row in page]
        return bucket_service_pb2.ListBucketsResponse(buckets=buckets, next_page_token=token)

    def _https(self, call: Call) -> Message:
        raise errors.no_certificate(self._bucket(call.request.name).key)
