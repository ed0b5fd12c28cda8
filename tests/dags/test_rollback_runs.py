"""Whole runs of `rollback` and `unbar` by Airflow itself, with a real booster where the registry has its models."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

import numpy as np
import xgboost

from dags.retraining import history, loading
from tests.dags.world import FAILED, SKIPPED, SUCCESS, UPSTREAM, World

MLMODEL = "flavors:\n  xgboost:\n    data: model.ubj\nmodel_id: m\n"


def save(folder: Path, rows: list[list[float | None]] | None = None) -> None:
    """A model as MLflow logs it: a native booster, and the example whose columns are in another order."""
    draw = np.random.default_rng(1)
    data = xgboost.DMatrix(draw.random((50, 2)), draw.integers(0, 2, 50), feature_names=["a", "b"])
    folder.mkdir()
    xgboost.train({"objective": "binary:logistic"}, data, 3).save_model(str(folder / "model.ubj"))
    (folder / "MLmodel").write_text(MLMODEL)
    example = {"columns": ["b", "a"], "data": rows or [[0.1, 0.9], [None, 0.5]]}
    (folder / "serving_input_example.json").write_text(json.dumps({"dataframe_split": example}))


@pytest.fixture
def served(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Version 2 has replaced version 1; both lie in a folder by their names."""
    import mlflow.artifacts

    for version in ("1", "2"):
        save(tmp_path / version)
    monkeypatch.setattr(
        mlflow.artifacts, "download_artifacts", lambda artifact_uri, dst_path: str(tmp_path / artifact_uri[-1])
    )
    book = history.Book(world.s3, "lake", world.models, "fraud")
    book.observe()
    book.carry_out(history.Change(history.PROMOTE, "2", "run r", "better", "1"))
    return world


def records(world: World) -> list[history.Record]:
    return history.Book(world.s3, "lake", world.models, "fraud").records()


def test_a_rollback_goes_back_once_and_tells(served: World) -> None:
    state, tasks, run = served.run("rollback", why="it finds nothing")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert served.models.aliases == {"champion": "1", "previous": "2"}
    assert served.models.tags["2"]["barred"] == "it finds nothing"
    last = records(served)[-1]
    assert (last.told["action"], last.told["from"], last.told["to"]) == ("rollback", "2", "1")
    assert last.told["by"].endswith(f"run {run.run_id}")
    assert served.alerts[-1].startswith("*rollback to version 1*\n")
    state, tasks, _ = served.run("rollback", why="it finds nothing")
    assert (state, tasks) == (FAILED, {"choose": FAILED, "move": UPSTREAM})
    assert (served.models.aliases["champion"], len(records(served))) == ("1", 3)


def test_a_version_that_cannot_be_loaded_moves_nothing(served: World, tmp_path: Path) -> None:
    (tmp_path / "1" / "model.ubj").write_bytes(b"no model")
    state, tasks, _ = served.run("rollback", why="it finds nothing", to="1")
    assert (state, tasks["choose"], served.models.aliases["champion"]) == (FAILED, FAILED, "2")
    with pytest.raises(history.Refused, match="Version 1 of `fraud` cannot serve: XGBoostError"):
        loading.check("fraud", "1")


def test_the_example_is_scored_by_the_boosters_own_order(tmp_path: Path) -> None:
    save(tmp_path / "m", [[0.2, 0.7]])
    booster = xgboost.Booster(model_file=str(tmp_path / "m" / "model.ubj"))
    expected = booster.predict(xgboost.DMatrix(np.array([[0.7, 0.2]]), feature_names=["a", "b"]))
    assert loading.score_example(tmp_path / "m") == [float(expected[0])]


def test_a_bar_is_lifted_by_a_run_of_its_own(served: World) -> None:
    served.run("rollback", why="it finds nothing")
    state, tasks, _ = served.run("unbar", version="2", why="it was the data")
    assert (state, tasks) == (SUCCESS, {"lift": SUCCESS})
    assert history.bars(served.models, "fraud") == {}
    assert (records(served)[-1].told["action"], served.models.aliases["champion"]) == ("unbar", "1")
    assert served.run("unbar", version="2", why="again")[1] == {"lift": SKIPPED}


@pytest.mark.parametrize("conf", [{}, {"why": ""}, {"why": "it finds nothing", "to": "two"}])
def test_a_rollback_without_a_reason_or_to_no_version_does_not_begin(served: World, conf: Any) -> None:
    with pytest.raises(Exception, match=r"why|to|two|valid"):
        served.run("rollback", **conf)
    assert served.models.aliases["champion"] == "2"


def test_the_monitor_tells_of_a_champion_that_was_moved_by_hand(served: World) -> None:
    served.models.aliases["champion"] = "7"
    assert served.run("monitor")[1]["measure"] == SUCCESS
    (told,) = [alert for alert in served.alerts if "moved by other means" in alert]
    assert "champion: version 2 -> 7" in told
    assert records(served)[-1].told["action"] == "observed"
