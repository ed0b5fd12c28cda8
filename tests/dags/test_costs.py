"""What whole runs cost: on record whatever ends them, and none starts above the budget."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import costs, lake, plan
from tests.dags.test_runs import decides
from tests.dags.world import FAILED, SUCCESS, UPSTREAM, VARIABLE, World

PRICES = {"currency": "RUB", "master_hour": 6.0, "compute_hour": 10.0}


def told(monkeypatch: pytest.MonkeyPatch, **budget: float) -> None:
    """What the deployment says of money."""
    value = VARIABLE | {"prices": PRICES, "budget": budget}
    monkeypatch.setenv("AIRFLOW_VAR_FRAUD_RETRAINING", json.dumps(value))


def month(world: World) -> list[costs.Spent]:
    return costs.Ledger(world.s3, "lake", PRICES).month(datetime.now(UTC))


def test_a_run_leaves_what_it_has_cost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch)
    decides(world, monkeypatch, "keep", winner="1")
    world.put("raw/2018-04-01.txt", b"rows")
    _, _, run = world.run("retrain")
    (found,) = month(world)
    assert (found.dag, found.run, found.ended is not None, found.at_most) == ("retrain", run.run_id, True, False)
    assert found.amount == pytest.approx(16 * found.seconds / 3600, abs=0.001)
    assert found.name == plan.run_name(run.run_id, found_begun(run))


def found_begun(run: Any) -> datetime:
    from dags.retraining import compat

    return compat.moment(run)


@pytest.mark.parametrize(
    ("budget", "which"), [({"run": 7.9}, "budget.run"), ({"run": 8, "month": 15.9}, "budget.month")]
)
def test_above_the_budget_no_cluster_is_made_and_people_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, budget: dict[str, float], which: str
) -> None:
    told(monkeypatch, **budget)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    begun = {"cluster": "c", "name": "n", "dag": "score", "run": "r", "created": now, "expires": "", "per_hour": 16.0}
    end = {"at_most": False, "ended": now, "seconds": 1800, "amount": 8.0}
    lake.write_new(world.s3, "lake", costs.key("c", datetime.now(UTC), costs.END), begun | end)
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("retrain")
    assert (state, tasks["cluster.create"], tasks["cluster.train"]) == (FAILED, FAILED, UPSTREAM)
    assert world.alive() == []
    assert [one.cluster for one in month(world)] == ["c"]
    first, second = world.alerts
    assert first.startswith("*retrain did not start: over the budget*\nA run of retrain would cost about 8.00 RUB")
    assert f"raise {which}" in first
    assert second.startswith("*retrain failed")


def test_a_larger_budget_and_a_cleared_task_are_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is within the budget now is made, whatever the plan was made under."""
    decides(world, monkeypatch, "keep", winner="1")
    world.put("raw/2018-04-01.txt", b"rows")
    told(monkeypatch, run=7.9)
    assert world.run("retrain")[0] == FAILED
    told(monkeypatch, run=8)
    assert world.run("retrain")[0] == SUCCESS
