"""Record sets as the store keeps them: beside each other below their zone, by name and type."""

from collections.abc import Iterable, Iterator
from typing import Any

from yandex.cloud.dns.v1 import dns_zone_pb2

from local_cloud.core.resources import Row
from local_cloud.services.dns import errors

ZONE, RECORD_SET = (f"yandex.cloud.dns.v1.{name}" for name in ("DnsZone", "RecordSet"))
SERVERS = ("ns1.yandexcloud.net.", "ns2.yandexcloud.net.")


def key(zone: str, record: Any) -> str:
    return f"{zone}/{record.name}/{record.type}"


def of_the_zone(zone: Any) -> Iterator[Any]:
    """The record sets that each zone has and nobody deletes: its name servers and its authority."""
    yield dns_zone_pb2.RecordSet(name=zone.zone, type="NS", ttl=3600, data=SERVERS)
    authority = f"{SERVERS[0]} mx.cloud.yandex.net. 1 10800 900 604800 900"
    yield dns_zone_pb2.RecordSet(name=zone.zone, type="SOA", ttl=3600, data=[authority])


def check_zone(request: Any) -> None:
    """Raises INVALID_ARGUMENT for a new zone that is no absolute name or that nobody could see."""
    if not request.zone.endswith("."):
        raise errors.not_absolute("zone", request.zone)
    if not (request.HasField("private_visibility") or request.HasField("public_visibility")):
        raise errors.no_visibility()


def check_records(zone: Row, records: Iterable[Any], field: str) -> None:
    """Raises INVALID_ARGUMENT for new record sets that are not of this zone or have no data."""
    for number, record in enumerate(records):
        name = f"{field}[{number}]"
        if not record.name.endswith("."):
            raise errors.not_absolute(f"{name}.name", record.name)
        if not f".{record.name}".endswith(f".{zone.message.zone}"):
            raise errors.outside(f"{name}.name", record.name, zone)
        if not record.data:
            raise errors.no_data(name)


def same(one: Any, other: Any) -> bool:
    """Whether a deletion names this very record set: its data in any order, and its time to live."""
    return sorted(one.data) == sorted(other.data) and one.ttl == other.ttl
