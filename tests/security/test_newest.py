"""Probes of the newest advisories (autumn of 2026): deserialisation, and routes that authorise nobody.

CVE-2026-116692, CVE-2026-115886 and ZDI's advisories of 3 November 2026 have no public text that we could read: these
probes are for the kind that each is said to be. A canary on loopback is the prize, or a job that begins.
"""

import json
import pickle
from typing import Any
from urllib.request import urlopen

import pytest

from tests.security.probing import name, refused
from tests.support.mlflow_server import Server


class Asks:
    """Whoever unpickles it asks the canary."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __reduce__(self) -> tuple[Any, ...]:
        return urlopen, (self.address,)


MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_model: python_model.pkl
    cloudpickle_version: 3.1.1
    env: {}
"""


def test_the_payload_bites(canary: tuple[str, list[str]]) -> None:
    address, asked = canary
    pickle.loads(pickle.dumps(Asks(f"{address}/self")))  # our own
    assert asked == ["/self"]
    asked.clear()


def test_the_server_unpickles_nothing(server: Server, experiment: str, run: str, canary: tuple[str, list[str]]) -> None:
    """CVE-2026-116692's kind: a model, a scorer, a dataset that somebody may upload is code once it is loaded."""
    address, asked = canary
    payload, folder = pickle.dumps(Asks(f"{address}/stolen")), f"{experiment}/{run}/artifacts/model"
    for file, content in (("python_model.pkl", payload), ("MLmodel", MLMODEL.encode()), ("x.pkl", payload)):
        path = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/{file}"
        assert server.call("PUT", path, "trainer", content).status == 200
    source = {"name": server.model, "source": f"mlflow-artifacts:/{folder}", "run_id": run}
    version = server.made("trainer", "model-versions/create", source)["model_version"]["version"]
    scorer = {"experiment_id": experiment, "name": name("probe"), "serialized_scorer": payload.hex()}
    reads: list[tuple[str, str, Any]] = [
        ("GET", f"/model-versions/get-artifact?name={server.model}&version={version}&path=python_model.pkl", None),
        ("GET", f"/model-versions/get-artifact?name={server.model}&version={version}&path=MLmodel", None),
        ("GET", f"/get-artifact?run_id={run}&path=model/x.pkl", None),
        ("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}&path=model", None),
        ("POST", "/api/3.0/mlflow/scorers/register", scorer),
        ("GET", f"/api/3.0/mlflow/scorers/list?experiment_id={experiment}", None),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke", scorer | {"trace_ids": ["tr-1"]}),
        (
            "POST",
            "/ajax-api/3.0/mlflow/genai/evaluate/invoke",
            {"experiment_id": experiment, "trace_ids": ["tr-1"], "serialized_scorers": [payload.hex()]},
        ),
        ("POST", "/invocations", {"dataframe_split": {"columns": [], "data": []}}),
    ]
    for method, path, body in reads:
        for user in ("trainer", "admin"):
            server.call(method, path, user, body, {"Origin": server.url})
    assert asked == []


JOBS: list[tuple[str, str]] = [
    ("POST", "/ajax-api/3.0/mlflow/issues/invoke"),
    ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
    ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke"),
    ("GET", "/ajax-api/3.0/mlflow/jobs/00000000-0000-0000-0000-000000000000"),
    ("PATCH", "/ajax-api/3.0/mlflow/jobs/cancel/00000000-0000-0000-0000-000000000000"),
    ("POST", "/ajax-api/3.0/jobs/"),
    ("POST", "/ajax-api/3.0/jobs/search"),
    ("POST", "/api/3.0/mlflow/prompt-optimization/jobs"),
    ("GET", "/api/3.0/mlflow/prompt-optimization/jobs/x"),
    ("DELETE", "/api/3.0/mlflow/prompt-optimization/jobs/x"),
    ("POST", "/api/3.0/mlflow/prompt-optimization/jobs/x/cancel"),
    ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
]


@pytest.mark.parametrize(("method", "path"), JOBS)
def test_jobs_begin_and_end_for_nobody(server: Server, hidden: tuple[str, str], method: str, path: str) -> None:
    """CVE-2026-115886's kind: whoever has an account starts, reads or ends work in another's experiment."""
    body = {
        "experiment_id": hidden[0],
        "job_name": "invoke_scorer",
        "params": {},
        "trace_ids": ["tr-1"],
        "serialized_scorer": "x",
        "serialized_scorers": [],
        "categories": ["x"],
        "provider": "openai",
        "model": "x",
    }
    for spelling in (
        path,
        path.replace("/mlflow/", "/mlflow//", 1),
        f"{path.rstrip('/')}/",
        path.replace("3.0", "2.0"),
    ):
        for user in (None, "viewer"):
            answer = server.call(method, spelling, user, body if method != "GET" else None, {"Origin": server.url})
            assert refused(answer, 308), f"{method} {spelling} as {user}: {answer.status} {answer.text[:200]}"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_issue_of_another_is_closed(server: Server, hidden: tuple[str, str], method: str) -> None:
    """CVE-2026-115886's kind, on the routes of issues."""
    body = {"experiment_id": hidden[0], "name": "x", "description": "x", "severity": "high", "status": "resolved"}
    made = server.api("admin", "issues", body, version="3.0")
    issue = made.json().get("issue", {}).get("issue_id", "iss-1") if made.status == 200 else "iss-1"
    for path in (f"issues/{issue}", f"issues/{issue}/", f"issues//{issue}", f"x/issues/{issue}"):
        answer = server.api("viewer", path, body if method != "GET" else None, method, "3.0")
        assert refused(answer, 308), f"{method} {path}: {answer.status} {answer.text[:200]}"
    for path, sent in (("issues", body), ("issues/search", {"experiment_id": hidden[0]})):
        answer = server.api("viewer", path, sent, version="3.0")
        assert refused(answer) or "issue_id" not in answer.text, f"{path}: {answer.status} {answer.text[:200]}"


DOTS = (
    "./{path}",
    "%2e/{path}",
    "{experiment}/./{rest}",
    "{experiment}/%2e/{rest}",
    ".//{path}",
    "..;/{path}",
    "x/..;/{path}",
)


@pytest.mark.parametrize("dots", DOTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_dot_opens_no_artifact(server: Server, hidden: tuple[str, str], dots: str, method: str) -> None:
    """The experiment is the first segment of the path: with a dot before it, whose permission is asked?"""
    experiment, run = hidden
    rest = f"{run}/artifacts/secret.txt"
    kept = server.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{rest}", "admin", b"the prize")
    assert kept.status == 200, kept.text
    path = dots.format(path=f"{experiment}/{rest}", experiment=experiment, rest=rest)
    for prefix in ("/api/2.0", "/ajax-api/2.0"):
        answer = server.call(
            method, f"{prefix}/mlflow-artifacts/artifacts/{path}", "viewer", b"other" if method == "PUT" else None
        )
        assert b"the prize" not in answer.body
        assert answer.status >= 400, f"{method} {path}: {answer.status}"
        listed = server.call("GET", f"{prefix}/mlflow-artifacts/artifacts?path={path.rpartition('/')[0]}", "viewer")
        assert "secret.txt" not in listed.text
    there = server.call("GET", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{rest}", "admin")
    assert there.body == b"the prize"


@pytest.mark.parametrize("wild", ["%", "_", "*", "%25", "?", "[a-z]*", "hidden-%"])
def test_a_wildcard_is_a_name(server: Server, hidden: tuple[str, str], wild: str) -> None:
    """What matches many in SQL or in a grant is one name, or none: of an experiment, a model, a user."""
    experiment, run = hidden
    got = server.call("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={wild}", "viewer")
    assert got.status in (400, 403, 404), f"{got.status} {got.text[:200]}"
    for path in (f"registered-models/get?name={wild}", f"users/get?username={wild}"):
        answer = server.api("viewer", path)
        assert answer.status in (400, 403, 404), f"{path}: {answer.status} {answer.text[:200]}"
    assert server.api("viewer", f"experiments/get?experiment_id={wild}").status in (400, 403, 404)
    for statement in (f"name LIKE '{wild}'", f"name ILIKE '{wild}'"):
        found = server.api("viewer", "experiments/search", {"max_results": 100, "filter": statement})
        assert f'"{experiment}"' not in found.text
    assert run not in server.api("viewer", "runs/search", {"experiment_ids": [wild, "*"]}).text
    model = server.api("trainer", "registered-models/create", {"name": wild})
    if "*" in wild:
        assert model.status == 400, f"{model.status} {model.text[:200]}"
        for body in ({"name": server.model, "new_name": wild}, {"name": server.model, "newName": wild}):
            assert server.api("admin", "registered-models/rename", body).status == 400
        twice = json.dumps(json.dumps({"name": wild})).encode()
        assert server.call("POST", "/api/2.0/mlflow/registered-models/create", "trainer", twice).status == 400
    try:
        # The maker manages what is called so, and nothing else that the name would match.
        body = {"name": server.model}
        assert server.api("trainer", "registered-models/delete", body, "DELETE").status == 403
        grant = {"username": "trainer", "resource_type": "experiment", "resource_id": wild, "permission": "MANAGE"}
        assert server.api("trainer", "users/permissions/grant", grant, version="3.0").status in (400, 403, 404)
        assert server.api("trainer", "experiments/delete", {"experiment_id": experiment}).status == 403
    finally:
        if model.status == 200:
            server.api("admin", "registered-models/delete", {"name": wild}, "DELETE")
    assert server.api("viewer", f"registered-models/get?name={server.model}").status == 200


@pytest.mark.parametrize("wild", ["*", "%", "_", "admin%", "vi_wer"])
def test_a_wildcard_is_no_account(server: Server, wild: str) -> None:
    asked = server.call("GET", "/api/2.0/mlflow/users/current", wild, password=server.passwords["viewer"])
    assert asked.status == 401
