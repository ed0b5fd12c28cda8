"""What runs have cost, by records that outlive whoever died, and the budget above which none starts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from moto import mock_aws

from dags.retraining import clusters, costs, lake
from dags.retraining.costs import Ledger

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
PRICES = {"currency": "RUB", "master_hour": 6.0, "compute_hour": 10.0}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setattr(clusters, "compute_hosts", lambda _sdk, cluster_id: (2, cluster_id.startswith("growing")))
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        yield client


def ledger(s3: Any, prices: dict[str, Any] = PRICES, **budget: float) -> Ledger:
    return Ledger(s3, "lake", prices, budget)


def cluster(name: str, created: datetime, dag: str = "retrain") -> Any:
    """As the cloud tells of it."""
    stamp = Timestamp()
    stamp.FromDatetime(created)
    expires = (created + timedelta(hours=6)).strftime(clusters.LABEL_TIME)
    labels = {clusters.DAG_LABEL: dag, clusters.EXPIRES_LABEL: expires}
    return SimpleNamespace(id=name, name=f"fraud-{name}", labels=labels, description=f"run-{name}", created_at=stamp)


def lived(book: Ledger, name: str, created: datetime, minutes: float, dag: str = "retrain") -> None:
    book.begin(None, cluster(name, created, dag))
    book.end(name, created + timedelta(minutes=minutes))


def test_a_cluster_costs_its_hours_times_its_hosts(s3: Any) -> None:
    book = ledger(s3)
    lived(book, "one", NOW - timedelta(hours=3), 30)
    (found,) = book.month(NOW)
    assert (found.seconds, found.amount, found.at_most) == (1800, pytest.approx((6 + 2 * 10) / 2), False)
    assert (found.name, found.dag, found.run) == ("fraud-one", "retrain", "run-one")


def test_twice_is_once_whatever_is_said_the_second_time(s3: Any) -> None:
    book = ledger(s3)
    lived(book, "one", NOW - timedelta(hours=3), 30)
    lived(ledger(s3, PRICES | {"master_hour": 1000.0}), "one", NOW - timedelta(hours=3), 90)
    assert [one.amount for one in book.month(NOW)] == [pytest.approx(13)]


def test_an_end_that_nobody_recorded_is_counted_until_the_sweep_and_said_so(s3: Any) -> None:
    book = ledger(s3)
    book.begin(None, cluster("lost", NOW - timedelta(hours=9)))
    book.begin(None, cluster("alive", NOW - timedelta(hours=1)))
    lost, alive = book.month(NOW)
    assert (lost.ended, lost.seconds, lost.amount, lost.at_most) == (None, 7 * 3600, pytest.approx(7 * 26), True)
    assert (alive.seconds, alive.amount) == (3600, pytest.approx(26))


def test_a_month_has_what_was_made_in_it_even_if_it_ended_in_the_next(s3: Any) -> None:
    book, midnight = ledger(s3), datetime(2026, 11, 1, tzinfo=UTC)
    lived(book, "over-midnight", midnight - timedelta(minutes=10), 30)
    lived(book, "later", midnight, 60)
    assert [one.cluster for one in book.month(NOW)] == ["later"]
    (october,) = book.month(costs.last_month(NOW))
    assert (october.cluster, october.amount) == ("over-midnight", pytest.approx(13))
    assert costs.last_month(datetime(2026, 1, 1, tzinfo=UTC)).month == 12


def test_a_cluster_that_grew_cost_at_most_what_its_largest_size_costs(s3: Any) -> None:
    book = ledger(s3)
    lived(book, "growing", NOW - timedelta(hours=3), 30)
    assert [one.at_most for one in book.month(NOW)] == [True]


def test_what_has_no_known_price_has_no_amount(s3: Any) -> None:
    book = ledger(s3, {"currency": "RUB", "master_hour": 6.0})
    lived(book, "one", NOW - timedelta(hours=3), 30)
    assert [one.amount for one in book.month(NOW)] == [None]
    assert lake.read(s3, "lake", "costs/2026-11/one.end.json")["amount"] is None


# ------------------------------------------------------------------------------------------------ the budget
@pytest.mark.parametrize("budget", [{}, {"run": 0, "month": 0}])
def test_without_a_budget_nothing_is_refused_nor_asked(budget: dict[str, float]) -> None:
    assert Ledger(None, "lake", {}, budget).over("retrain", 100, NOW) is None


def test_a_run_above_its_budget_is_refused_with_the_figures_and_the_way_on(s3: Any) -> None:
    said = ledger(s3, run=12.9).over("retrain", 2, NOW)
    assert said is not None
    assert "about 13.00 RUB (26.00 an hour, 30 minutes: assumed, none is on record yet)" in said
    assert "the budget of a run is 12.9 RUB: no cluster is made" in said
    assert "raise budget.run (`budget` in terraform.tfvars" in said
    assert ledger(s3, run=13).over("retrain", 2, NOW) is None
    assert ledger(s3, run=12.9).over("retrain", 1, NOW) is None, "a smaller cluster is within it"


def test_the_longest_of_the_last_ten_runs_says_how_long_the_next_one_takes(s3: Any) -> None:
    book = ledger(s3, run=20)
    lived(book, "long-ago", NOW - timedelta(days=20), 300)
    for day in range(11, 1, -1):
        lived(book, f"c{day}", NOW - timedelta(days=day), 12 + day)
    lived(book, "other", NOW - timedelta(days=1), 500, dag="score")
    assert (
        book.estimate("retrain", 26, book.recent(NOW)).words
        == "9.97 RUB (26.00 an hour, 23 minutes: the longest of the last 10)"
    )
    assert book.over("retrain", 2, NOW) is None
    assert "minutes: as the last one)" in (book.over("score", 2, NOW) or "")


def test_a_month_that_is_used_up_starts_no_run(s3: Any) -> None:
    book = ledger(s3, month=100)
    for day in (3, 2, 1):
        lived(book, f"c{day}", NOW - timedelta(days=day), 70)
    said = book.over("score", 2, NOW)
    assert said is not None
    assert "3 clusters of 2026-11 have cost 91.00 RUB, and the budget of a month is 100 RUB" in said
    assert "budget.month" in said
    assert book.over("score", 2, NOW + timedelta(days=10)) is None, "the next month begins anew"
    assert ledger(s3, month=104).over("score", 2, NOW) is None


def test_a_budget_without_a_price_refuses_rather_than_guesses(s3: Any) -> None:
    said = ledger(s3, {"currency": "RUB"}, month=100).over("retrain", 2, NOW)
    assert "what an hour of this cluster costs is not known: no cluster is made" in (said or "")


# ------------------------------------------------------------------------------------------------ at a deletion
@pytest.fixture
def cloud(s3: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Cluster id -> what the cloud has; a deletion takes it away."""
    there: dict[str, Any] = {}
    monkeypatch.setattr(clusters, "get", lambda _, cluster_id: there.get(cluster_id))
    monkeypatch.setattr(clusters, "delete", lambda _, cluster_id, _timeout: there.pop(cluster_id, None))
    monkeypatch.setattr(costs, "open_ledger", lambda: ledger(s3))
    return there


def test_a_deletion_records_what_its_creation_could_not(s3: Any, cloud: dict[str, Any]) -> None:
    cloud["one"] = cluster("one", datetime.now(UTC) - timedelta(minutes=6))
    costs.delete(None, "one")
    (found,) = ledger(s3).month(datetime.now(UTC))
    assert (cloud, found.ended is not None, found.amount) == ({}, True, pytest.approx(2.6, abs=0.1))


def test_a_lake_that_is_away_keeps_no_cluster_alive(
    cloud: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud["one"] = cluster("one", NOW)

    def away() -> Ledger:
        raise ConnectionError("away")

    monkeypatch.setattr(costs, "open_ledger", away)
    costs.delete(None, "one")
    assert cloud == {}
    assert "what one has cost is not on record: ConnectionError: away" in capsys.readouterr().out


def test_records_are_small_texts_that_anybody_can_read(s3: Any) -> None:
    lived(ledger(s3), "one", NOW - timedelta(hours=3), 30)
    body = s3.get_object(Bucket="lake", Key="costs/2026-11/one.json")["Body"].read()
    assert json.loads(body)["per_hour"] == 26.0
