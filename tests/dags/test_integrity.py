"""Every DAG, as Managed Airflow imports it: without errors, quickly, explained, and asking nobody anything."""

import shutil
import socket
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow.txt)")

from airflow.models.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
TAGS = {"fraud"}
CHAIN = ["check", "cluster.create", "cluster.prepare", "cluster.train", "decide", "promote", "report"]


def load(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, float]:
    """The DAGs and the seconds to import them, with every socket closed to them."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a DAG file opened a socket while it was parsed")

    for name in [name for name in sys.modules if name == "dags" or name.startswith("dags.")]:
        del sys.modules[name]
    DagBag(str(ROOT / "tests" / "dags"), include_examples=False)  # Airflow's own first imports are not ours
    monkeypatch.setattr(socket.socket, "connect", refuse)
    begun = time.monotonic()
    bag = DagBag(str(ROOT / "dags"), include_examples=False)
    return bag, time.monotonic() - begun


@pytest.fixture
def bag(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load(monkeypatch)[0]


def test_dags_import_without_errors_and_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    bag, seconds = load(monkeypatch)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"retrain", "sweep"}
    assert seconds < 1


def test_every_dag_says_what_it_is_and_whose(bag: Any) -> None:
    for dag in bag.dags.values():
        for heading in ("What it makes", "If it fails", "Who owns it"):
            assert heading in dag.doc_md, dag.dag_id
        assert set(dag.tags) <= TAGS
        assert {task.owner for task in dag.tasks} == {"fraud-retraining"}


def test_a_run_is_alone_bounded_and_does_not_catch_up(bag: Any) -> None:
    for dag in bag.dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        assert dag.dagrun_timeout is not None
        assert all(task.execution_timeout is not None for task in dag.tasks)


def test_the_cluster_is_set_up_and_torn_down_around_its_jobs(bag: Any) -> None:
    dag = bag.dags["retrain"]
    create, delete = dag.get_task("cluster.create"), dag.get_task("cluster.delete")
    assert create.is_setup
    assert delete.is_teardown
    assert delete.on_failure_fail_dagrun
    for job in ("cluster.prepare", "cluster.train"):
        assert {"cluster.create"} <= dag.get_task(job).get_flat_relative_ids(upstream=True)
        assert {"cluster.delete"} <= dag.get_task(job).get_flat_relative_ids(upstream=False)


def test_the_tasks_follow_one_another(bag: Any) -> None:
    dag = bag.dags["retrain"]
    for earlier, later in pairwise(CHAIN):
        assert earlier in dag.get_task(later).upstream_task_ids, (earlier, later)


def test_a_leaf_other_than_the_teardown_decides_the_colour_of_the_run(bag: Any) -> None:
    leaves = {task.task_id for task in bag.dags["retrain"].tasks if not task.downstream_task_ids}
    assert leaves == {"cluster.delete", "report"}


def test_the_schedule_comes_from_the_file_beside_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "dags", tmp_path / "dags")
    (tmp_path / "dags" / "retraining" / "settings.json").write_text('{"schedule": "5 4 * * *"}')
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name == "dags" or name.startswith("dags.")]:
        del sys.modules[name]
    dag = DagBag(str(tmp_path / "dags"), include_examples=False).dags["retrain"]
    assert "5 4 * * *" in str(dag.timetable.timetable.serialize())
