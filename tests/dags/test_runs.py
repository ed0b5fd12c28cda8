"""Whole runs of `retrain` by Airflow itself (`dag.test`), with our operators against the cloud API."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import clusters, operators, registry
from tests.dags.world import FAILED, SKIPPED, SUCCESS, UPSTREAM, World


def decides(world: World, monkeypatch: pytest.MonkeyPatch, action: str, **more: Any) -> None:
    """What the training job will have written."""
    decision = {
        "action": action,
        "winner": "2",
        "reason": "because",
        "champion": {"version": "1"},
        "run_id": "r",
        "mlflow_run_id": "m",
        **more,
    }
    monkeypatch.setattr(registry, "read_decision", lambda client, experiment, run: decision)


def test_new_data_make_a_new_champion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote")
    world.put("raw/2018-04-01.txt", b"rows")
    seen: list[Any] = []
    monkeypatch.setattr(operators.RunJob, "pre_execute", lambda *_, **__: seen.extend(world.alive()))
    state, tasks, run = world.run("retrain")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    cluster = seen[0]
    assert {one.id for one in seen} == {cluster.id}  # one cluster for both jobs
    assert (len(cluster.name) <= 63, cluster.description) == (True, run.run_id)
    assert {key: cluster.labels[key] for key in ("owner", "run")} == {"owner": "fraud-retraining", "run": cluster.name}
    expires = datetime.strptime(cluster.labels["expires"], clusters.LABEL_TIME).replace(tzinfo=UTC)
    assert timedelta(hours=5.9) < expires - datetime.now(UTC) <= timedelta(hours=6)
    assert world.alive() == []
    assert world.arguments("train")[-4:] == ["--experiment", "e", "--model", "fraud"]
    assert world.models.aliases == {"champion": "2", "previous": "1"}
    assert world.keys("retrained/") == ["2018-04-01.txt.json"]
    (alert,) = world.alerts
    assert alert.startswith("*retrain: promote*\nbecause\nhttp://mlflow.test/#/experiments/7/runs/m")


def test_nothing_new_skips_the_run_visibly(world: World) -> None:
    world.put("raw/2018-04-01.txt", b"rows")
    world.put("retrained/2018-04-01.txt.json", {})
    state, tasks, _ = world.run("retrain")
    assert (state, set(tasks.values()), world.alerts) == (SUCCESS, {SKIPPED}, [])


def test_a_file_that_came_again_with_other_content_is_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "keep", winner="1")
    world.put("raw/2018-04-01.txt", b"rows")
    assert world.run("retrain")[0] == SUCCESS
    time.sleep(1.1)  # the store tells times by the second
    world.put("raw/2018-04-01.txt", b"rows")  # the same content: nothing to do
    assert set(world.run("retrain")[1].values()) == {SKIPPED}
    world.put("raw/2018-04-01.txt", b"rows with more labels")
    assert world.run("retrain")[1]["report"] == SUCCESS
    world.put("raw/notes.txt", b"rows")
    state, tasks, _ = world.run("retrain")
    assert (state, tasks["check"], world.alive()) == (FAILED, FAILED, [])


def test_a_dry_run_compares_and_leaves_everything_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote", winner="unregistered", dry_run=True)
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("retrain", dry_run=True, as_of="2018-05-01", compute_hosts=3)
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert world.arguments("train")[-3:] == ["--as-of", "2018-05-01", "--dry-run"]
    assert (world.models.aliases, world.keys("retrained/")) == ({"champion": "1"}, [])
    assert world.alerts[0].startswith("*retrain: promote (dry run)*")


def test_a_job_that_fails_makes_the_run_red_and_its_cluster_goes(world: World) -> None:
    world.put("raw/2018-04-01.txt", b"rows")
    (world.jobs / "prepare.py").write_text("raise SystemExit('broken rows')")
    state, tasks, _ = world.run("retrain")
    assert (state, world.alive()) == (FAILED, [])
    assert tasks == {
        "check": SUCCESS,
        "cluster.create": SUCCESS,
        "cluster.prepare": FAILED,
        "cluster.train": UPSTREAM,
        "cluster.delete": SUCCESS,
        "decide": UPSTREAM,
        "approve": UPSTREAM,
        "promote": UPSTREAM,
        "report": UPSTREAM,
    }
    assert (world.models.aliases, world.keys("retrained/")) == ({"champion": "1"}, [])


def test_a_champion_that_has_changed_since_makes_the_run_red(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote", champion={"version": "0"})
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("retrain")
    assert (state, tasks["promote"], tasks["report"]) == (FAILED, FAILED, UPSTREAM)
    assert (world.models.aliases, world.alive()) == ({"champion": "1"}, [])
