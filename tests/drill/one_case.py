"""One case of the drill: what befalls a run, and what must be true when it has ended."""

import time
from collections.abc import Callable
from itertools import combinations

from local_cloud.report import Usage
from tests.drill import findings
from tests.drill.cases import Case
from tests.drill.stack import Before, DrillStack


def prove(drill: DrillStack, case: Case, record: Callable[..., None]) -> None:
    drill.change_engine(case.engine)
    drill.use(hours=case.hours)
    drill.upload(case.dags)
    drill.inject(*case.rules)
    begun, before = time.monotonic(), None
    try:
        before = drill.bring_file()
        run_id = drill.wait_for_new_run(before.runs)
        case.act(drill, run_id)
        state = drill.wait_for_end(run_id)["state"]
        seconds = time.monotonic() - begun
        drill.inject()  # what was refused is refused no longer
        deleted_by = findings.who_deleted(drill, run_id)
        alerted = findings.was_alerted(drill, run_id, seconds=3 if case.green else 45)
        record(
            case=case.name,
            done=case.done,
            jobs="stand-in",
            state=state,
            deleted_by=deleted_by,
            seconds=round(seconds),
            alert=alerted,
            champion=f"{before.champion or 'none'} -> {drill.champion() or 'none'}",
        )
        assert [cluster.name for cluster in drill.clusters_alive()] == []
        clusters = findings.clusters_of(drill, run_id)
        assert not overlapping(clusters), clusters
        assert state == ("success" if case.green else "failed"), findings.summary(drill, run_id)
        the_run_tells_the_truth(drill, run_id, before, state)
        assert alerted == (state == "failed"), drill.webhook.texts
    finally:
        drill.reset(before)


def overlapping(clusters: list[Usage]) -> list[tuple[Usage, Usage]]:
    """Pairs of clusters that lived at the same time."""
    end = {one.id: one.deleted or float("inf") for one in clusters}
    pairs = combinations(sorted(clusters, key=lambda one: one.created), 2)
    return [(one, other) for one, other in pairs if other.created < end[one.id]]


def the_run_tells_the_truth(drill: DrillStack, run_id: str, before: Before, state: str) -> None:
    """Green: the decision is carried out and the file marked as used. Red: nothing moved that was not decided."""
    tasks = drill.airflow.tasks(run_id)
    name = findings.name_of(drill, run_id)
    done = {task for task, instance in tasks.items() if instance["state"] == "success"}
    decision = drill.airflow.xcom(run_id, "decide") if "decide" in done else {}
    winner = decision.get("winner")
    assert drill.champion() == (winner if "promote" in done else before.champion)
    assert drill.used_by(before.file) == (name if "report" in done else None)
    if state == "success":
        assert done == set(tasks)
        assert decision["mlflow_run_id"] in findings.finished_runs(drill, name)
        assert winner not in (None, before.champion)
