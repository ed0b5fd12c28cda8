"""Every fault and every kill -9 against the live scheduler: no cluster leaks, none is doubled, no run lies."""

import time
from collections.abc import Callable
from itertools import combinations

import pytest

from local_cloud.report import Usage
from tests.drill.cases import CASES, Case
from tests.drill.rig import Before, Rig


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.reduced] * case.reduced) for case in CASES]
)
def test_case(drill: Rig, case: Case, record: Callable[..., None]) -> None:
    drill.use(hours=case.hours)
    drill.upload(case.dags)
    drill.faults(*case.rules)
    begun, before = time.monotonic(), None
    try:
        before = drill.bring()
        run_id = drill.new_run(before.runs)
        case.act(drill, run_id)
        state = drill.ended(run_id)["state"]
        seconds = time.monotonic() - begun
        drill.faults()  # what was refused is refused no longer
        by = drill.who_deleted(run_id)
        alerted = drill.was_alerted(run_id, patience=3 if case.green else 45)
        record(
            place=CASES.index(case),
            case=case.name,
            done=case.done,
            jobs="stand-in",
            state=state,
            deleted_by=by,
            seconds=round(seconds),
            alert=alerted,
            champion=f"{before.champion or 'none'} -> {drill.champion() or 'none'}",
        )
        assert [cluster.name for cluster in drill.alive()] == []
        assert not overlapping(drill.clusters(run_id)), drill.clusters(run_id)
        assert state == ("success" if case.green else "failed"), drill.summary(run_id)
        the_run_tells_the_truth(drill, run_id, before, state)
        assert alerted == (state == "failed"), drill.alerts
    finally:
        drill.reset(before)


def overlapping(clusters: list[Usage]) -> list[tuple[Usage, Usage]]:
    """Pairs of clusters that lived at the same time."""
    end = {one.id: one.deleted or float("inf") for one in clusters}
    pairs = combinations(sorted(clusters, key=lambda one: one.created), 2)
    return [(one, other) for one, other in pairs if other.created < end[one.id]]


def the_run_tells_the_truth(drill: Rig, run_id: str, before: Before, state: str) -> None:
    """Green: the decision is carried out and the file marked as used. Red: nothing moved that was not decided."""
    tasks = drill.airflow.tasks(run_id)
    name = drill.name_of(run_id)
    done = {task for task, instance in tasks.items() if instance["state"] == "success"}
    decision = drill.airflow.xcom(run_id, "decide") if "decide" in done else {}
    winner = decision.get("winner")
    assert drill.champion() == (winner if "promote" in done else before.champion)
    assert drill.marker(before.file) == (name if "report" in done else None)
    if state == "success":
        assert done == set(tasks)
        assert decision["mlflow_run_id"] in drill.finished_runs(name)
        assert winner not in (None, before.champion)
