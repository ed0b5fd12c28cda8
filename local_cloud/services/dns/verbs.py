"""Zones are shared verbs; their record sets are changed together, all of them or none."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.dns.v1 import dns_zone_service_pb2 as service

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.resources import Row
from local_cloud.services.base import Service
from local_cloud.services.dns import errors
from local_cloud.services.dns.models import RECORD_SET, ZONE, check_records, check_zone, key, of_the_zone, same
from local_cloud.services.generic.listing import paged
from local_cloud.services.generic.models import response

NETWORK = "yandex.cloud.vpc.v1.Network"
_ZONES = "yandex.cloud.dns.v1.DnsZoneService"


class Dns(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            f"{_ZONES}/Create": Verb(self._create, self.resources.finish, self.resources.undo_create),
            f"{_ZONES}/UpdateRecordSets": Verb(self._begin, self._done),
            f"{_ZONES}/UpsertRecordSets": Verb(self._begin_upsert, self._done),
            f"{_ZONES}/GetRecordSet": self._get,
            f"{_ZONES}/ListRecordSets": self._list,
        }

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {f"{_ZONES}/Create": self._check_zone}

    def _check_zone(self, call: Call) -> None:
        check_zone(call.request)
        for network in call.request.private_visibility.network_ids:
            self.store.get(NETWORK, network)

    def _create(self, call: Call) -> Begun:
        zone = self.resources.create(call)
        self._add(zone, of_the_zone(zone.message))
        return Begun(zone)

    def _begin(self, call: Call) -> Begun:
        zone = self._zone(call)
        check_records(zone, call.request.additions, "additions")
        self._delete(zone, call.request.deletions)
        self._add(zone, call.request.additions)
        return Begun(zone)

    def _begin_upsert(self, call: Call) -> Begun:
        zone, request = self._zone(call), call.request
        for field in ("replacements", "merges"):
            check_records(zone, getattr(request, field), field)
        self._delete(zone, request.deletions)
        for record in request.replacements:
            if found := self.store.find(key(zone.key, record)):
                self.store.delete(found)
            self._add(zone, [record])
        for record in request.merges:
            if found := self.store.find(key(zone.key, record)):
                found.message.data.extend(value for value in record.data if value not in found.message.data)
                self.store.save(found)
            else:
                self._add(zone, [record])
        return Begun(zone)

    def _zone(self, call: Call) -> Row:
        return self.store.get(ZONE, call.request.dns_zone_id)

    def _delete(self, zone: Row, records: Iterable[Any]) -> None:
        for record in records:
            found = self.store.find(key(zone.key, record))
            if found is None:
                raise errors.record_not_found(zone.key, record.name, record.type)
            if not same(found.message, record):
                raise errors.another_record(record)
            self.store.delete(found)

    def _add(self, zone: Row, records: Iterable[Any]) -> None:
        for record in records:
            if self.store.find(key(zone.key, record)):
                raise errors.record_exists(record)
            self.store.insert(record, key(zone.key, record), zone.folder, {"dns_zone_id": zone.key})

    def _done(self, work: Work) -> Message:
        if lab := self.context.lab:
            records = (row.message for row in self.store.select(RECORD_SET))
            names = {each.name.rstrip("."): each.data[0] for each in records if each.type == "A"}
            lab.name("dns", names)
        return response(work.call.method, Empty())

    def _get(self, call: Call) -> Message:
        zone, request = self._zone(call), call.request
        found = self.store.find(key(zone.key, request))
        if found is None:
            raise errors.record_not_found(zone.key, request.name, request.type)
        message: Message = found.message
        return message

    def _list(self, call: Call) -> Message:
        rows = self.store.select(RECORD_SET, {"dns_zone_id": self._zone(call).key})
        page, token = paged(call.request, rows, lambda row: row.number)
        sets = [row.message for row in page]
        return service.ListDnsZoneRecordSetsResponse(record_sets=sets, next_page_token=token)
