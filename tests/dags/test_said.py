"""What a person says to a DAG is done or refused; what went wrong with the cloud is the last line of a task's log."""

import json
import logging
import os
from types import SimpleNamespace

import grpc
import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from dags.retraining import compat, operators, settings
from tests.dags.test_runs import decides
from tests.dags.world import FAILED, SKIPPED, SUCCESS, UPSTREAM, World
from tests.support.airflow import DAGS, dag_bag
from tests.support.cloud import FOLDER

NEEDED = {  # what must be said
    "rollback": {"why": "because"},
    "unbar": {"version": "1", "why": "because"},
    "approve": {"version": "1", "answer": "approved", "why": "because"},
}


@pytest.mark.parametrize("dag_id", sorted(dag_bag(DAGS).dags))
def test_a_key_that_the_dag_does_not_know_fails_the_run_before_anything_is_done(world: World, dag_id: str) -> None:
    state, tasks, _ = world.run(dag_id, Force=True, **NEEDED.get(dag_id, {}))
    assert state == FAILED
    assert FAILED in tasks.values()
    assert set(tasks.values()) <= {FAILED, UPSTREAM, SKIPPED}
    assert world.alive() == []
    assert world.keys("monitor/") == []


def test_it_is_named_with_what_is_expected(world: World) -> None:
    dag = world.bag.dags["retrain"]
    context = {"dag": dag, "dag_run": SimpleNamespace(conf={"Force": True, "as_of": None})}
    with pytest.raises(compat.AirflowFailException, match=r"of retrain has Force; its keys are force, as_of, dry_run"):
        settings.require_known(context)
    with pytest.raises(compat.AirflowFailException, match=r"of sweep has force; it takes none"):
        settings.require_known(
            {"dag": world.bag.dags["sweep"], "dag_run": SimpleNamespace(conf={"force": True})},
        )
    for conf in ({}, None, {"force": True}):
        settings.require_known({"dag": dag, "dag_run": SimpleNamespace(conf=conf)})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("force", ["yes", 1]),
        ("dry_run", ["no"]),
        ("as_of", ["2018-13-01", "tomorrow", "20180701", 20180701]),
        ("compute_hosts", ["3", 0, 33, 1.5]),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_when_the_run_is_asked_for(world: World, name: str, values: list) -> None:
    """By Airflow itself, form, REST and command line: it validates the parameters of a run before it makes the run."""
    params = world.bag.dags["retrain"].params
    for value in values:
        with pytest.raises(Exception, match=r"Failed validating|is not a"):
            params.get_param(name).resolve(value)


def test_a_whole_number_of_hosts_is_one(world: World) -> None:
    """JSON knows one kind of number only: a form may say 2.0."""
    assert world.bag.dags["retrain"].params.get_param("compute_hosts").resolve(2.0) == 2


def test_an_unknown_key_of_the_variable_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told = settings.read()
    told.pop("stack")
    monkeypatch.setenv("AIRFLOW_VAR_FRAUD_RETRAINING", json.dumps(told | {"qualty": {}}))
    with pytest.raises(ValueError, match="has qualty, and its keys are"):
        settings.read()


# ------------------------------------------------------------------------------------------------ two stacks
@pytest.fixture
def of_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "deployed", lambda: settings.DEFAULTS | {"stack": "trial"})


def connection(login: str) -> str:
    return json.dumps({"conn_type": "generic", "login": login})


def test_each_stack_has_its_own_connections(world: World, of_trial: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ALERT_SLACK", connection("of all"))
    assert compat.connection("alert_slack").login == "of all", "made by hand, under the bare name"
    monkeypatch.setenv("AIRFLOW_CONN_TRIAL-ALERT_SLACK", connection("of trial"))
    assert compat.connection("alert_slack").login == "of trial"
    with pytest.raises(compat.AirflowNotFoundException):
        compat.connection("alert_telegram")


def test_each_stack_has_its_own_variable(world: World, of_trial: None, monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.loads(os.environ["AIRFLOW_VAR_FRAUD_RETRAINING"])
    monkeypatch.setenv("AIRFLOW_VAR_TRIAL-FRAUD_RETRAINING", json.dumps(value | {"release": "of trial"}))
    assert settings.read()["release"] == "of trial"
    assert settings.read()["stack"] == "trial"


# ------------------------------------------------------------------------------------------------ the last line
def test_the_last_line_of_a_failed_task_is_a_sentence(world: World, caplog: pytest.LogCaptureFixture) -> None:
    method = "yandex.cloud.dataproc.v1.ClusterService/List"
    world.cloud.faults({"method": method, "when": "call", "code": "FAILED_PRECONDITION", "message": "it is\noff"})
    with pytest.raises(grpc.RpcError) as refused:
        operators.patient_hook().sdk.client(ClusterServiceStub).List(ListClustersRequest(folder_id=FOLDER))
    with caplog.at_level(logging.ERROR, "airflow.task"):
        settings.say_why({"exception": refused.value})
        settings.say_why({"exception": KeyError("a fault of ours keeps its traceback")})
    (said,) = [record.getMessage() for record in caplog.records if record.name == "airflow.task"]
    assert said.startswith("The cloud did not do it: FAILED_PRECONDITION, it is off. The message says what")


def test_every_task_of_every_dag_says_why_and_refuses_what_it_does_not_know(world: World) -> None:
    for dag in world.bag.dags.values():
        for task in dag.tasks:
            callbacks = task.on_failure_callback
            names = [each.__qualname__ for each in (callbacks if isinstance(callbacks, list | tuple) else [callbacks])]
            assert names == ["say_why"], task.task_id
            assert task._pre_execute_hook.__qualname__ == "require_known", task.task_id


def test_a_run_in_a_cloud_that_is_not_consistent_yet_comes_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is new to it: clusters, jobs and operations are not found at first, and calls are too many."""
    decides(world, monkeypatch, "keep", winner="1")
    world.put("raw/2018-04-01.txt", b"rows")
    world.cloud.faults(
        {"method": "*/Get", "when": "new", "code": "NOT_FOUND", "message": "not yet", "times": 2},
        {"method": "*JobService/Create", "when": "new", "code": "PERMISSION_DENIED", "message": "not yet", "times": 2},
        {"method": "*ClusterService/Delete", "when": "new", "code": "UNAVAILABLE", "message": "away", "times": 2},
        {"method": "*ClusterService/Create", "when": "after", "code": "UNAVAILABLE", "message": "lost", "times": 1},
        {"method": "*ClusterService/List", "when": "call", "code": "RESOURCE_EXHAUSTED", "message": "many", "times": 2},
    )
    state, tasks, _ = world.run("retrain")
    assert (state, set(tasks.values()), world.alive()) == (SUCCESS, {SUCCESS}, [])
