"""What each account may do: viewer cannot write, trainer cannot delete, airflow promotes and no more."""

import os
import time
from typing import Any

import pytest

from tests.support.mlflow_server import Server

WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "experiments/create", {"name": "a-new-one"}),
    ("POST", "experiments/update", {"experiment_id": "{experiment}", "new_name": "other"}),
    ("POST", "experiments/set-experiment-tag", {"experiment_id": "{experiment}", "key": "k", "value": "v"}),
    ("POST", "runs/create", {"experiment_id": "{experiment}"}),
    ("POST", "runs/update", {"run_id": "{run}", "status": "FAILED"}),
    ("POST", "runs/log-metric", {"run_id": "{run}", "key": "k", "value": 1, "timestamp": 1}),
    ("POST", "runs/log-parameter", {"run_id": "{run}", "key": "k", "value": "v"}),
    ("POST", "runs/log-batch", {"run_id": "{run}", "metrics": [{"key": "k", "value": 1, "timestamp": 1, "step": 0}]}),
    ("POST", "runs/log-inputs", {"run_id": "{run}", "datasets": []}),
    ("POST", "runs/set-tag", {"run_id": "{run}", "key": "k", "value": "v"}),
    ("POST", "runs/delete-tag", {"run_id": "{run}", "key": "k"}),
    ("POST", "registered-models/create", {"name": "a-new-one"}),
    ("PATCH", "registered-models/update", {"name": "{model}", "description": "x"}),
    ("POST", "registered-models/rename", {"name": "{model}", "new_name": "x"}),
    ("POST", "registered-models/set-tag", {"name": "{model}", "key": "k", "value": "v"}),
    ("POST", "registered-models/alias", {"name": "{model}", "alias": "champion", "version": "1"}),
    ("PATCH", "model-versions/update", {"name": "{model}", "version": "1", "description": "x"}),
    ("POST", "model-versions/create", {"name": "{model}", "source": "runs:/{run}/model"}),
    ("POST", "users/create", {"username": "somebody", "password": "correct-horse-battery"}),
    ("PATCH", "users/update-admin", {"username": "viewer", "is_admin": True}),
    ("PATCH", "users/update-password", {"username": "admin", "password": "correct-horse-battery"}),
]
DELETES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "experiments/delete", {"experiment_id": "{experiment}"}),
    ("POST", "runs/delete", {"run_id": "{run}"}),
    ("DELETE", "registered-models/delete", {"name": "{model}"}),
    ("DELETE", "model-versions/delete", {"name": "{model}", "version": "1"}),
    ("DELETE", "registered-models/alias", {"name": "{model}", "alias": "champion"}),
    ("DELETE", "users/delete", {"username": "viewer"}),
]


def filled(text: Any, values: dict[str, str]) -> Any:
    if isinstance(text, dict):
        return {key: filled(value, values) for key, value in text.items()}
    return text.format(**values) if isinstance(text, str) else text


@pytest.fixture(scope="module")
def values(server: Server, experiment: str, run: str) -> dict[str, str]:
    """Ids for the bodies; version 1 of the model exists."""
    source = {"name": server.model, "source": f"mlflow-artifacts:/{experiment}/{run}/artifacts/model", "run_id": run}
    server.made("trainer", "model-versions/create", source)
    return {"experiment": experiment, "run": run, "model": server.model}


@pytest.mark.parametrize(
    ("method", "path", "body"), WRITES + DELETES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_viewer_cannot_write(server: Server, values: dict[str, str], method: str, path: str, body: Any) -> None:
    answer = server.api("viewer", filled(path, values), filled(body, values), method)
    assert answer.status == 403, f"{answer.status} {answer.text[:200]}"


@pytest.mark.parametrize(("method", "path", "body"), DELETES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("user", ["trainer", "airflow"])
def test_trainer_and_airflow_cannot_delete(
    server: Server, values: dict[str, str], user: str, method: str, path: str, body: Any
) -> None:
    answer = server.api(user, filled(path, values), filled(body, values), method)
    assert answer.status == 403, f"{answer.status} {answer.text[:200]}"


@pytest.mark.parametrize("user", ["viewer", "trainer", "airflow"])
def test_artifacts_are_not_deleted(server: Server, experiment: str, run: str, user: str) -> None:
    """CVE-2024-4263: EDIT does not mean to delete."""
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/note.txt"
    assert server.call("DELETE", path, user).status == 403
    assert server.call("GET", path, "viewer").body == b"a note"
    if user == "viewer":
        assert server.call("PUT", path, user, b"other").status == 403


def test_an_upload_that_does_not_fit_is_refused_at_once(server: Server, experiment: str) -> None:
    """An exbibyte is announced, and nothing of it waited for."""
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/large.bin"
    answer = server.call("PUT", path, "trainer", b"x", {"Content-Length": str(1 << 60)})
    assert answer.status == 507, answer.text
    assert "no space left" in answer.json()["message"]


def test_a_new_password_holds_and_the_old_one_does_not(server: Server) -> None:
    """Verified passwords are kept for ten seconds, by each worker for itself."""
    user, old, new = f"passing-{os.urandom(4).hex()}", "correct-horse-battery", "battery-horse-correct"
    server.made("admin", "users/create", {"username": user, "password": old})
    asks = ("GET", "/api/2.0/mlflow/users/current", user)
    assert server.call(*asks, password=old).status == 200
    server.api("admin", "users/update-password", {"username": user, "password": new}, method="PATCH")
    time.sleep(11)
    assert {server.call(*asks, password=old).status for _ in range(6)} == {401}
    assert server.call(*asks, password=new).status == 200
    server.api("admin", "users/delete", {"username": user}, method="DELETE")


def test_viewer_reads(server: Server, experiment: str, run: str) -> None:
    assert server.api("viewer", f"runs/get?run_id={run}").status == 200
    assert server.api("viewer", f"registered-models/get?name={server.model}").status == 200


def test_trainer_writes(server: Server, values: dict[str, str]) -> None:
    server.made("trainer", "runs/log-metric", {"run_id": values["run"], "key": "ap", "value": 0.7, "timestamp": 1})
    # The training job asks for its model whether or not it exists.
    again = server.api("trainer", "registered-models/create", {"name": server.model})
    assert (again.status, again.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    assert server.api("airflow", "registered-models/create", {"name": "another"}).status == 403


def test_trainer_describes(server: Server, values: dict[str, str]) -> None:
    """What its pages say is the job's: experiment, model, version and a run's data."""
    kind = {"experiment_id": values["experiment"], "key": "mlflow.experimentKind", "value": "custom_model_development"}
    server.made("trainer", "experiments/set-experiment-tag", kind)
    data = {"name": "train", "digest": "abc", "source_type": "s3", "source": '{"uri": "s3a://lake/prepared"}'}
    inputs = {"run_id": values["run"], "datasets": [{"dataset": data, "tags": []}]}
    server.made("trainer", "runs/log-inputs", inputs)
    for path, of in (("registered-models", {}), ("model-versions", {"version": "1"})):
        body = {"name": server.model, "description": "words", **of}
        assert server.api("trainer", f"{path}/update", body, "PATCH").status == 200


def test_airflow_promotes(server: Server, values: dict[str, str]) -> None:
    server.made("airflow", "registered-models/alias", {"name": server.model, "alias": "champion", "version": "1"})
    tag = {"name": server.model, "version": "1", "key": "promoted", "value": "probe"}
    server.made("airflow", "model-versions/set-tag", tag)
    found = server.api("viewer", f"registered-models/alias?name={server.model}&alias=champion")
    assert found.json()["model_version"]["version"] == "1"
    alias = {"name": server.model, "alias": "champion"}
    assert server.api("admin", "registered-models/alias", alias, "DELETE").status == 200
