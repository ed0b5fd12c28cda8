"""What the DAGs are told: a key that nobody reads and a value of another kind are refused, with what is expected."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dags.retraining import settings
from local_cloud import pricing
from stack.common.release import retraining_variable
from stack.local import demo, deploy
from tests.support.variable import SETTINGS

NAME = settings.VARIABLE


@pytest.mark.parametrize("expression", ["0 6 * * 1", "*/15 * * * *", "0 0 1,15 * 1-5", "@daily", "0 0 29 2 *"])
def test_what_is_a_cron_expression(expression: str) -> None:
    assert settings.require_cron(expression) == expression


@pytest.mark.parametrize(
    "expression", ["", "every Monday", "61 6 * * 1", "0 6 * *", "0 0 6 * * 1", "0 6 * * 8", "@sometimes", "0 0 31 2 *"]
)
def test_what_is_none_is_refused_with_one_that_is(expression: str) -> None:
    with pytest.raises(ValueError, match=r"SCHEDULE is .* no cron expression .* such as SCHEDULE='0 6 \* \* 1'"):
        settings.require_cron(expression)


# ------------------------------------------------------------------------------------------------ the variable
def read(monkeypatch: pytest.MonkeyPatch, value: Any) -> dict[str, Any]:
    airflow = SimpleNamespace(variable=lambda name: value)
    monkeypatch.setitem(sys.modules, "dags.retraining.compat", airflow)  # the real one needs Airflow
    monkeypatch.setattr("dags.retraining.compat", airflow, raising=False)
    return settings.read()


def changed(**changes: Any) -> dict[str, Any]:
    return SETTINGS | changes


def test_what_a_deployment_writes_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    written = retraining_variable(
        dict.fromkeys(("lake", "jobs", "logs"), "b"),
        cluster := deploy.local_cluster("2.2", "local"),
        "r",
        "s",
        budget=demo.Choices(run_budget=50).budget,
        prices=pricing.hour_of(cluster),
        promotion=deploy.promotion(48, "weeks"),
    )
    assert deploy.promotion(0) == {"mode": "automatic"}
    assert read(monkeypatch, json.loads(json.dumps(written)))["release"] == "r"
    assert read(monkeypatch, SETTINGS)["stack"] == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (changed(qualty={}), f"{NAME} has qualty, and its keys are lake_bucket, jobs_bucket"),
        (changed(monitor={"max_ps": 0.1}), f"{NAME}.monitor has max_ps, and its keys are max_age_days"),
        (changed(monitor={"max_psi": "0.1"}), f"{NAME}.monitor.max_psi is '0.1', a number is expected"),
        (changed(quality={"refunds": "yes"}), f"{NAME}.quality.refunds is 'yes', true or false is expected"),
        (changed(quality={"late_days": True}), f"{NAME}.quality.late_days is True, a whole number is expected"),
        (changed(quality=[]), f"{NAME}.quality is [], an object is expected"),
        (
            changed(promotion={"mode": "manual"}),
            f"{NAME}.promotion.mode is 'manual', automatic or approval is expected",
        ),
        (changed(promotion={"rule": "month"}), f"{NAME}.promotion.rule is 'month', week or weeks is expected"),
        (changed(promotion={"hours": "two"}), f"{NAME}.promotion.hours is 'two', a number is expected"),
        (changed(spark={"executor.memory": "1g"}), 'entries are like "spark.name": "text"'),
        (changed(spark={"spark.executor.cores": 2}), 'entries are like "spark.name": "text"'),
        (changed(cluster=SETTINGS["cluster"] | {"max_host": 3}), f"{NAME}.cluster has max_host, and its keys are"),
        (changed(cluster=SETTINGS["cluster"] | {"disk_gib": "64"}), f"{NAME}.cluster.disk_gib is '64', a whole number"),
        ([], "is [], an object is expected"),
        ({"model": "fraud"}, "lacks lake_bucket"),
    ],
)
def test_what_nobody_reads_is_refused_where_it_was_said(monkeypatch: pytest.MonkeyPatch, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match="The Airflow variable fraud_retraining") as refused:
        read(monkeypatch, value)
    assert said in str(refused.value)
    assert "make bootstrap" in str(refused.value)


# ------------------------------------------------------------------------------------------------ beside the DAGs
def beside(monkeypatch: pytest.MonkeyPatch, folder: Path, told: Any) -> None:
    (folder / settings.FILE).write_text(json.dumps(told))
    monkeypatch.setattr(settings, "__file__", str(folder / "settings.py"))


def test_a_stack_has_names_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.named("mlflow") == "mlflow"
    beside(monkeypatch, tmp_path, {"stack": "trial"})
    assert settings.named("mlflow") == "trial-mlflow"
    assert settings.deployed()["schedule"] == settings.DEFAULTS["schedule"]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"shedule": "0 6 * * 1"}, "has shedule, and its keys are schedule, score_schedule, pool, stack"),
        ({"schedule": "soon"}, "no cron"),
    ],
)
def test_a_file_beside_the_dags_that_is_wrong_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: Any, said: str
) -> None:
    beside(monkeypatch, tmp_path, told)
    with pytest.raises(ValueError, match=said):
        settings.deployed()
