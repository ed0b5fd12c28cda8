"""Whole runs of `sweep` and `monitor` by Airflow itself: what they ask it, and what they ask it for."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import lake, monitoring, operators, plan
from tests.dags.world import SKIPPED, SUCCESS, VARIABLE, World


def test_the_sweep_asks_airflow_which_runs_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = world.run("retrain")[2]
    going = world.bag.dags["sweep"].test().run_id  # any run that Airflow does not know as one of `retrain`

    def create(run_id: str, dag: str = "retrain") -> str:
        run = plan.Run(run_id, datetime.now(UTC))
        spec = plan.cluster(VARIABLE, plan.run_name(run_id, run.begun, dag=dag), run, dag)
        return operators.CreateCluster(task_id="create", spec=spec).execute(
            {"task_instance": SimpleNamespace(xcom_push=lambda **_: None)}
        )

    for run_id in (ended.run_id, going):
        create(run_id)
    active = {create(queued("active", "retrain")), create(queued("active-score", "score"), "score")}
    create("active", "score")  # a run of that name goes on, but of another DAG
    state, _, _ = world.run("sweep")
    assert (state, {one.id for one in world.alive()}) == (SUCCESS, active)
    assert world.alerts[-1].startswith("*sweep deleted 3 cluster(s)")
    assert f"its run {ended.run_id!r} of retrain has ended" in world.alerts[-1]


def queued(run_id: str, dag_id: str) -> str:
    """Makes a run of a DAG that waits for its turn, as a trigger does."""
    from airflow.api.common.trigger_dag import trigger_dag

    with_origin: dict[str, Any] = {}
    try:
        from airflow.utils.types import DagRunTriggeredByType

        with_origin["triggered_by"] = DagRunTriggeredByType.TEST
    except ImportError:
        pass
    trigger_dag(dag_id, run_id=run_id, **with_origin)
    return run_id


def rows(amount: float, count: int = 500) -> bytes:
    """A raw file whose amounts lie around `amount`."""
    lines = [f"{n},2018-04-01 {n % 24:02}:00:00,1,1,{amount * (1 + n % 50 / 10):.2f},0,0,0,0" for n in range(count)]
    return "\n".join(["# header", *lines, ""]).encode()


REFERENCE = {
    "model": "fraud",
    "version": "1",
    "run_id": "r1",
    "as_of": "2018-05-06",
    "average_precision": 0.7,
    "windows": {"train": ["2018-04-01", "2018-04-14"], "delay": ["x", "x"], "test": ["2018-04-22", "2018-04-28"]},
    "histograms": {"score": {"edges": [0.1], "counts": [90, 10, 0]}},
}


def states_of_retrain(run_id: str) -> list[str]:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return [str(run.state) for run in session.query(DagRun).filter_by(dag_id="retrain", run_id=run_id)]


def test_the_monitor_asks_once_for_a_retrain_when_two_windows_drift(world: World) -> None:
    world.put("monitor/reference/fraud-1.json", REFERENCE)
    for day, amount in (("04-01", 10), ("04-22", 10), ("04-29", 10), ("05-06", 90), ("05-13", 90)):
        world.put(f"raw/2018-{day}.txt", rows(amount))
    state, tasks, _ = world.run("monitor")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    run_id = "monitor__2018-05-13.txt:v1"
    assert states_of_retrain(run_id) == ["queued"]
    assert "monitor asks for a retrain" in world.alerts[-1]
    assert lake.read(world.s3, "lake", monitoring.STATE)["asked"] == ["2018-05-06.txt:v1", "2018-05-13.txt:v1"]
    assert world.run("monitor")[1] == {"measure": SUCCESS, "ask": SKIPPED, "retrain": SKIPPED, "remember": SKIPPED}
    world.s3.delete_object(Bucket="lake", Key=monitoring.STATE)  # the memory is lost: the run's name is still taken
    assert world.run("monitor")[1] == {"measure": SUCCESS, "ask": SUCCESS, "retrain": SKIPPED, "remember": SUCCESS}
    assert states_of_retrain(run_id) == ["queued"]


def test_the_monitor_asks_for_a_retrain_when_the_champion_does_worse_in_service(world: World) -> None:
    world.put("monitor/reference/fraud-1.json", REFERENCE)
    for day in ("04-01", "04-22", "04-29"):
        world.put(f"raw/2018-{day}.txt", rows(10))
    served = {"average_precision": 0.5, "interval": [0.4, 0.6], "promised": 0.7, "worse": True}
    for monday in ("2018-04-30", "2018-05-07"):
        week = {"model": "fraud", "week": [monday, "x"], "versions": {"1": served, "2": served | {"worse": False}}}
        world.put(f"service/{monday}.json", week)
    world.put("service/made.json", {})
    state, tasks, _ = world.run("monitor")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert states_of_retrain("monitor__service-2018-05-07:v1") == ["queued"]
    assert (
        "average precision 0.500 in service, 95 % interval 0.400 to 0.600; the champion won with 0.700"
        in (world.alerts[-1])
    )


def test_the_monitor_is_content_with_data_like_those_of_the_training(world: World) -> None:
    world.put("monitor/reference/fraud-1.json", REFERENCE)
    for day in ("04-01", "04-22", "04-29", "05-06"):
        world.put(f"raw/2018-{day}.txt", rows(10))
    state, tasks, _ = world.run("monitor")
    assert (state, tasks["measure"], tasks["retrain"], world.alerts) == (SUCCESS, SUCCESS, SKIPPED, [])
