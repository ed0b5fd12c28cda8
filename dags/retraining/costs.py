"""What the clusters of runs have cost, by records in the lake; and the budget above which no cluster is made.

`costs/YYYY-MM/<cluster id>.json` says what an hour of a cluster costs. It is written when the cluster was made and, if
that did not come about, before it is deleted; `….end.json` says all that again, when it was gone and what it has cost.
The month is the one in which it was made, in UTC. A cluster whose end nobody has recorded is counted for as long as it
may have lived.

The deployment says what an hour of a host costs, its disk included (`prices` in the variable, by the price lists of the
operator's tool). Where a price is not known an amount is null; no amount is a guess.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining import clusters, lake

PREFIX, END = "costs/", ".end"
READERS = 8  # records that are read at once
ASSUMED = timedelta(minutes=30)  # of a run's cluster, as long as none is on record
RECENT = 10  # runs, of which the longest says how long the next one takes
SWEPT = timedelta(hours=1)  # after its expiry a cluster is gone, by the DAG `sweep`


@dataclass(frozen=True)
class Spent:
    """One cluster on record. `amount` is None without a known price; `at_most`: it may have been less."""

    cluster: str
    name: str
    dag: str
    run: str
    created: datetime
    ended: datetime | None
    seconds: float
    amount: float | None
    at_most: bool


@dataclass(frozen=True)
class Estimate:
    """What a run would cost, and where its length is from."""

    amount: float
    words: str


def per_hour(prices: Mapping[str, Any], hosts: int) -> float | None:
    """An hour of a cluster with so many compute hosts, by the variable's prices; None if one is not known."""
    master, compute = prices.get("master_hour"), prices.get("compute_hour")
    return None if master is None or compute is None else master + compute * hosts


@dataclass(frozen=True)
class Ledger:
    """The records of one lake. `prices` and `budget` are the variable's; without them nothing is priced or refused."""

    s3: Any
    bucket: str
    prices: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, float] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        return str(self.prices.get("currency", ""))

    def per_hour(self, hosts: int) -> float | None:
        return per_hour(self.prices, hosts)

    # -------------------------------------------------------------------------------------------- write
    def begin(self, sdk: Any, cluster: Any) -> None:
        """Records that a cluster is there, once."""
        hosts, growing = clusters.compute_hosts(sdk, cluster.id)
        created = cluster.created_at.ToDatetime(UTC)
        told = {
            "cluster": cluster.id,
            "name": cluster.name,
            "dag": cluster.labels.get(clusters.DAG_LABEL, "retrain"),
            "run": cluster.description,
            "created": created.isoformat(timespec="seconds"),
            "expires": cluster.labels.get(clusters.EXPIRES_LABEL, ""),
            "compute_hosts": hosts,
            "per_hour": self.per_hour(hosts),
            "currency": self.currency,
            "at_most": growing,
        }
        lake.write_new(self.s3, self.bucket, key(cluster.id, created), told)

    def end(self, cluster_id: str, now: datetime) -> None:
        """Records that a cluster is gone, once; one that was never on record has none."""
        for month in (now, last_month(now)):
            if told := lake.read(self.s3, self.bucket, key(cluster_id, month)):
                seconds = (now - datetime.fromisoformat(told["created"])).total_seconds()
                amount = None if told["per_hour"] is None else round(told["per_hour"] * seconds / 3600, 4)
                ended = {"ended": now.isoformat(timespec="seconds"), "seconds": seconds, "amount": amount}
                lake.write_new(self.s3, self.bucket, key(cluster_id, month, END), told | ended)
                return

    # -------------------------------------------------------------------------------------------- read
    def month(self, now: datetime) -> list[Spent]:
        """Every cluster that was made in that month, oldest first; what is not ended is counted until `now`."""
        prefix = f"{PREFIX}{now:%Y-%m}/"
        names = set(lake.names(self.s3, self.bucket, prefix))
        # The second half has all of the first.
        wanted = [name for name in names if name.replace(".json", f"{END}.json") not in names]
        with ThreadPoolExecutor(READERS) as pool:
            found = pool.map(lambda name: lake.read(self.s3, self.bucket, prefix + name), wanted)
            return sorted((spent(told, now) for told in found if told), key=lambda one: one.created)

    def recent(self, now: datetime) -> list[Spent]:
        """Clusters of this month and the one before, oldest first."""
        return [*self.month(last_month(now)), *self.month(now)]

    def estimate(self, dag: str, per_hour: float, recent: Sequence[Spent]) -> Estimate:
        """What a run would cost: by the longest of the last ones, or as is assumed if there is none."""
        lengths = [one.seconds for one in recent if one.dag == dag and one.ended]
        if lengths:
            last = lengths[-RECENT:]
            seconds, why = max(last), f"the longest of the last {len(last)}" if len(last) > 1 else "as the last one"
        else:
            seconds, why = ASSUMED.total_seconds(), "assumed, none is on record yet"
        amount = per_hour * seconds / 3600
        words = f"{amount:.2f} {self.currency} ({per_hour:.2f} an hour, {seconds / 60:.0f} minutes: {why})"
        return Estimate(amount, words)

    # -------------------------------------------------------------------------------------------- the budget
    def over(self, dag: str, hosts: int, now: datetime, recent: Sequence[Spent] | None = None) -> str | None:
        """Why no cluster may be made now, in words for a person; None if it may, or if there is no budget.

        Args:
            recent: `recent(now)`, if it is known already.
        """
        of_run, of_month = self.budget.get("run") or 0, self.budget.get("month") or 0
        if not (of_run or of_month):
            return None
        per_hour = self.per_hour(hosts)
        if per_hour is None:
            return (
                f"There is a budget ({of_run:g} {self.currency} a run, {of_month:g} a month; 0 is none), and what an "
                "hour of this cluster costs is not known: no cluster is made. Put the price into "
                f"local_cloud/prices.json and deploy again, or take the budget away ({RAISE})."
            )
        recent = self.recent(now) if recent is None else recent
        estimate = self.estimate(dag, per_hour, recent)
        if of_run and estimate.amount > of_run:
            return (
                f"A run of {dag} would cost about {estimate.words}, and the budget of a run is {of_run:g} "
                f"{self.currency}: no cluster is made. Take fewer hosts (`compute_hosts`, when you trigger it), or "
                f"raise budget.run ({RAISE})."
            )
        so_far = of_month_of(recent, now)
        known = sum(one.amount for one in so_far if one.amount is not None)
        unknown = sum(one.amount is None for one in so_far)
        if of_month and known + estimate.amount > of_month:
            return (
                f"A run of {dag} would cost about {estimate.words}, {len(so_far)} clusters of {now:%Y-%m} have cost "
                f"{known:.2f} {self.currency}{f' ({unknown} of them without a known price)' if unknown else ''}, and "
                f"the budget of a month is {of_month:g} {self.currency}: no cluster is made. Wait for the next month, "
                f"or raise budget.month ({RAISE})."
            )
        return None


RAISE = "`budget` in terraform.tfvars, then `make bootstrap`; in the demo `make demo RUN_BUDGET=… MONTH_BUDGET=…`"


def of_month_of(found: Sequence[Spent], now: datetime) -> list[Spent]:
    """Those that were made in the month of `now`."""
    return [one for one in found if (one.created.year, one.created.month) == (now.year, now.month)]


def spent(told: Mapping[str, Any], now: datetime) -> Spent:
    """A cluster by the newest half of its record."""
    created = datetime.fromisoformat(told["created"])
    if ended := told.get("ended"):
        seconds, amount = told["seconds"], told["amount"]
    else:
        last = min(now, expiry(told["expires"], now) + SWEPT)
        seconds = max((last - created).total_seconds(), 0)
        amount = None if told["per_hour"] is None else told["per_hour"] * seconds / 3600
    return Spent(
        cluster=told["cluster"],
        name=told["name"],
        dag=told["dag"],
        run=told["run"],
        created=created,
        ended=datetime.fromisoformat(ended) if ended else None,
        seconds=seconds,
        amount=amount,
        at_most=told["at_most"] or not ended,
    )


def expiry(label: str, now: datetime) -> datetime:
    with suppress(ValueError):
        return datetime.strptime(label, clusters.LABEL_TIME).replace(tzinfo=UTC)
    return now


def last_month(now: datetime) -> datetime:
    """The last moment but one of the month before."""
    return now.replace(day=1) - timedelta(days=1)


def key(cluster_id: str, month: datetime, half: str = "") -> str:
    return f"{PREFIX}{month:%Y-%m}/{cluster_id}{half}.json"


# ------------------------------------------------------------------------------------------------ in a task
def open_ledger() -> Ledger:
    """The records of this deployment, by Airflow's connections and variable."""
    from dags.retraining import settings

    known = settings.read()
    return Ledger(lake.client(), known["lake_bucket"], known.get("prices") or {}, known.get("budget") or {})


def begun(sdk: Any, cluster_id: str) -> None:
    """Records a cluster that was made; raises nothing, for whoever deletes it records it, too."""
    try:
        if cluster := clusters.get(sdk, cluster_id):
            open_ledger().begin(sdk, cluster)
    except Exception as problem:
        print(f"what {cluster_id} costs is not on record: {type(problem).__name__}: {problem}")


def delete(sdk: Any, cluster_id: str, timeout: float = clusters.TIMEOUT) -> None:
    """Deletes a cluster (`clusters.delete`) and records what it has cost, if it can: that keeps nothing alive."""
    begun(sdk, cluster_id)
    clusters.delete(sdk, cluster_id, timeout)
    try:
        open_ledger().end(cluster_id, datetime.now(UTC))
    except Exception as problem:
        print(f"what {cluster_id} has cost is not on record: {type(problem).__name__}: {problem}")
