"""Of a folder in which several deployments live, each one's list has its own things alone, whatever they are called."""

from types import SimpleNamespace
from typing import Any

import pytest

from stack.cloud import leftovers
from stack.cloud.settings import Settings
from tests.support.cloud import FOLDER

OWNER = {"owner": "fraud-retraining"}


def thing(name: str, bucket: str = "", **labels: str) -> Any:
    return SimpleNamespace(name=name, id=f"id-{name}", labels=labels, bucket=bucket)


THERE = {
    "machine": [thing("fraud-mlflow", stack="fraud"), thing("fraud-two-mlflow", stack="fraud-two"), thing("of-others")],
    "bucket": [thing(f"fraud-lake-{FOLDER}"), thing(f"fraud-two-lake-{FOLDER}"), thing("fraud-lake-elsewhere")],
    "secret": [
        thing("airflow/connections/fraud-mlflow", stack="fraud"),
        thing("airflow/connections/fraud-two-mlflow", stack="fraud-two"),
        thing("fraud-by-hand"),
        thing("fraud-two-by-hand"),
        thing("fraudulent"),
    ],
    "Data Proc cluster": [
        thing("fraud-retrain-1", f"fraud-logs-{FOLDER}", **OWNER),
        thing("fraud-retrain-2", f"fraud-two-logs-{FOLDER}", **OWNER),
        thing("fraud-retrain-3", "logs-of-the-demo", **OWNER),
    ],
}


def names(monkeypatch: pytest.MonkeyPatch, prefix: str) -> dict[str, bool]:
    """Name of each thing of that deployment -> whether it is certain."""
    monkeypatch.setattr(leftovers, "listed", lambda sdk, folder_id, kind: THERE.get(kind, []))
    return {each.name: each.certain for each in leftovers.ours(None, Settings(FOLDER, prefix))}


def test_one_prefix_may_begin_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, "fraud-two") == {
        "fraud-two-mlflow": True,
        f"fraud-two-lake-{FOLDER}": True,
        "airflow/connections/fraud-two-mlflow": True,
        "fraud-two-by-hand": False,
        "fraud-retrain-2": True,
    }


def test_the_shorter_one_has_nothing_of_the_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, "fraud") == {
        "fraud-mlflow": True,
        f"fraud-lake-{FOLDER}": True,
        "fraud-lake-elsewhere": False,
        "airflow/connections/fraud-mlflow": True,
        "fraud-by-hand": False,
        "fraud-retrain-1": True,
    }


def test_who_is_not_there_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, "fra") == {}
    assert names(monkeypatch, "fraud-t") == {}


def test_what_is_merely_called_so_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(leftovers.Leftover("secret", "fraud-by-hand", "e6q", certain=False)).endswith("(e6q, by its name alone)")
    assert str(leftovers.Leftover("secret", "fraud-x", "e6q")).endswith("(e6q)")
