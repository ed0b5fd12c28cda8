"""How much of each kind a cloud may have, and has: `quotas.json` says what a new one may.

What one resource takes of the quotas is its service's to say; here it is only added up.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from yandex.cloud.quota import quota_pb2

from local_cloud.core.errors import ApiError
from local_cloud.core.resources import Row
from local_cloud.core.store import Store

_TABLE = json.loads((Path(__file__).parents[1] / "quotas.json").read_text())
LIMITS: Mapping[str, float] = {name: entry["limit"] for name, entry in _TABLE["limits"].items()}
SERVICES: Mapping[str, str] = _TABLE["services"]
# What one resource takes: quota -> amount, in the quota's own unit (bytes, or a number).
Holding = Callable[[Row], Mapping[str, float]]
# Of services that have no ways of their own.
_PLAIN: Mapping[str, Holding] = {
    "yandex.cloud.dns.v1.DnsZone": lambda row: {"dns.zones.count": 1},
    "yandex.cloud.storage.v1.Bucket": lambda row: {"storage.buckets.count": 1},
}


@dataclass(frozen=True)
class Shortage:
    """A quota that does not suffice: `usage` is what is taken already, `required` what is asked for besides."""

    quota: str
    limit: float
    usage: float
    required: float

    @property
    def available(self) -> float:
        return max(0, self.limit - self.usage)


class Quotas:
    """The quotas of the one cloud there is."""

    def __init__(self, store: Store, changed: Mapping[str, float]) -> None:
        self.limits: Mapping[str, float] = {**LIMITS, **changed}
        self._store = store
        self._holdings: dict[str, Holding] = dict(_PLAIN)

    def register(self, holdings: Mapping[str, Holding]) -> None:
        """Tell what resources of these types (by full name) take."""
        self._holdings.update(holdings)

    def usage(self) -> Counter[str]:
        """What is taken of each quota."""
        return self._sum(row for kind in self._holdings for row in self._store.select(kind))

    def shortages(self, *rows: Row) -> list[Shortage]:
        """The quotas that would not suffice for these: new ones (number 0), or as they would be after a change."""
        wanted = self._sum(rows)
        if not wanted:
            return []
        changed = {row.number for row in rows}
        others = (row for kind in self._holdings for row in self._store.select(kind) if row.number not in changed)
        before, usage = self.usage(), self._sum(others)
        return [
            Shortage(quota, self.limits[quota], usage[quota], amount)
            for quota, amount in wanted.items()
            if quota in self.limits and usage[quota] + amount > max(self.limits[quota], before[quota])
        ]

    def check(self, *rows: Row) -> None:
        """Raises RESOURCE_EXHAUSTED if a quota does not suffice."""
        if short := self.shortages(*rows):
            raise exceeded(short)

    def _sum(self, rows: Iterable[Row]) -> Counter[str]:
        total: Counter[str] = Counter()
        for row in rows:
            if row.type in self._holdings:
                total.update(self._holdings[row.type](row))
        return total


def exceeded(short: Iterable[Shortage]) -> ApiError:
    """The refusal of Compute and VPC: the cloud's sentence, then the figures."""
    short = list(short)
    first = short[0]
    sentence = _TABLE["limits"].get(first.quota, {}).get("refusal", f"Quota limit {first.quota} exceeded")
    figures = "; ".join(
        f"{s.quota}: limit {s.limit:.0f}, in use {s.usage:.0f}, asked for {s.required:.0f}" for s in short
    )
    return ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{sentence} ({figures})", (failure(short),))


def failure(short: Iterable[Shortage]) -> Any:
    """The detail of a refusal; `required` is the limit that would suffice."""
    detail = quota_pb2.QuotaFailure()
    for s in short:
        violation = detail.violations.add(required=int(s.usage + s.required))
        violation.metric.name, violation.metric.limit, violation.metric.usage = s.quota, int(s.limit), s.usage
    return detail
