"""Every DAG, as Managed Airflow imports it: without errors, quickly, explained, and asking nobody anything."""

import json
import shutil
import socket
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

import time_machine

from dags.retraining.compat import ASKS_PEOPLE
from tests.support.airflow import DAGS, dag_bag, forget, serialized

TAGS = {"fraud", "training", "scoring", "serving", "costs", "drift"}
CHAIN = ["check", "cluster.create", "cluster.prepare", "cluster.train", "decide", "approve", "promote", "report"]
NAMES = {"retrain", "score", "rollback", "unbar", "sweep", "monitor"} | (set() if ASKS_PEOPLE else {"approve"})
QUESTIONS = ("Variable.get", "Connection.get", "BaseHook.get_connection", "socket.connect")


@pytest.fixture(scope="module")
def warm() -> None:
    """Airflow's own first imports, the provider's among them, are not ours."""
    dag_bag(DAGS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a DAG file asked while it was parsed; every question is refused."""
    questions: list[str] = []

    def refuse(name: str) -> Any:
        def asking(*_: Any, **__: Any) -> None:
            questions.append(name)
            raise AssertionError(f"a DAG file called {name} while it was parsed")

        return asking

    for question in QUESTIONS:
        name, method = question.split(".")
        for owner in owners(name):
            monkeypatch.setattr(owner, method, refuse(question))
    return questions


def owners(name: str) -> list[Any]:
    """The classes of that name, in every place where this Airflow keeps one."""
    if name == "socket":
        return [socket.socket]
    import importlib

    found = []
    for module in ("airflow.sdk", "airflow.models", "airflow.hooks.base", "airflow.sdk.bases.hook"):
        try:
            owner = getattr(importlib.import_module(module), name, None)
        except ImportError:
            continue
        method = {"Variable": "get", "Connection": "get", "BaseHook": "get_connection"}[name]
        if owner is not None and hasattr(owner, method):
            found.append(owner)
    assert found or name == "Connection", f"this Airflow has no {name} to watch"
    return found


@pytest.fixture
def bag(warm: None, asked: list[str]) -> Any:
    forget()
    return dag_bag(DAGS)


def test_dags_import_without_errors_or_questions_and_within_a_second(warm: None, asked: list[str]) -> None:
    forget()
    begun = time.process_time()
    bag = dag_bag(DAGS)
    seconds = time.process_time() - begun
    assert (bag.import_errors, asked) == ({}, [])
    assert set(bag.dags) == NAMES
    assert seconds < 1


@pytest.mark.parametrize("question", ["Variable.get('x')", "connection('x')", "socket"])
def test_a_question_at_parse_time_would_be_noticed(warm: None, asked: list[str], tmp_path: Path, question: str) -> None:
    """The gate itself: a copy of the DAGs that asks something is an import error."""
    code = {
        "Variable.get('x')": "from dags.retraining import compat; compat.variable('x')",
        "connection('x')": "from dags.retraining import compat; compat.connection('x')",
        "socket": "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
    }[question]
    (tmp_path / "curious_dag.py").write_text(f"from airflow.models import DagModel  # a DAG\n{code}\n")
    assert len(dag_bag(tmp_path).import_errors) == 1
    assert len(asked) == 1


def test_the_clock_changes_nothing(warm: None) -> None:
    def stored() -> dict[str, str]:
        forget()
        return {name: json.dumps(serialized(dag), sort_keys=True) for name, dag in dag_bag(DAGS).dags.items()}

    with time_machine.travel(datetime(2020, 2, 29, 23, 59), tick=False):
        then = stored()
    with time_machine.travel(datetime(2031, 7, 1, 3, 4), tick=False):
        assert stored() == then
    assert set(then) == NAMES


def test_every_dag_says_what_it_is_and_whose(bag: Any) -> None:
    for dag in bag.dags.values():
        for heading in ("What it makes", "If it fails", "Who owns it"):
            assert f"### {heading}" in dag.doc_md, dag.dag_id
        assert set(dag.tags) <= TAGS
        assert "fraud" in dag.tags
        assert {task.owner for task in dag.tasks} == {"fraud-retraining"}


def test_a_run_is_alone_bounded_and_does_not_catch_up(bag: Any) -> None:
    for dag in bag.dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        assert dag.dagrun_timeout is not None
        for task in dag.tasks:
            assert timedelta(0) < task.execution_timeout <= dag.dagrun_timeout, task.task_id
            assert task.pool == "default_pool"


def test_a_failed_run_is_told(bag: Any) -> None:
    for dag in bag.dags.values():
        (callback,) = (
            dag.on_failure_callback if isinstance(dag.on_failure_callback, list) else [dag.on_failure_callback]
        )
        assert callback.__qualname__ == "failed", dag.dag_id
        assert serialized(dag)["dag"]["has_on_failure_callback"] is True


def test_jobs_are_not_repeated_and_clean_up_is(bag: Any) -> None:
    retries = {task.task_id: task.retries for task in bag.dags["retrain"].tasks}
    assert (retries["cluster.prepare"], retries["cluster.train"]) == (0, 0)
    assert (retries["cluster.create"], retries["cluster.delete"]) == (1, 3)


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


def test_a_person_can_say_what_is_wanted(bag: Any) -> None:
    params = bag.dags["retrain"].params
    assert dict(params) == {"force": False, "as_of": None, "dry_run": False, "compute_hosts": None}
    assert all(params.get_param(name).description for name in params)


def test_schedule_and_pool_come_from_the_file_beside_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(DAGS, tmp_path / "dags")
    (tmp_path / "dags" / "retraining" / "settings.json").write_text('{"schedule": "5 4 * * *", "pool": "fraud"}')
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    dag = dag_bag(tmp_path / "dags").dags["retrain"]
    assert "5 4 * * *" in json.dumps(serialized(dag))
    assert {task.pool for task in dag.tasks} == {"fraud"}
    forget()
