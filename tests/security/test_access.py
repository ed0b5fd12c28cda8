"""Probes of the published MLflow advisories since 2023: who may come in, and what is open to them.

Each sends what an attacker would and fails if the answer gives what the advisory promised.
"""

import pytest

from tests.security.probing import name, refused
from tests.support.mlflow_server import Server


def test_nobody_makes_an_account(server: Server) -> None:
    """GHSA-4qq5: accounts are made by admins, by no form and from no other site."""
    account = {"username": name("intruder"), "password": "correct-horse-battery"}
    for version in ("2.0", "3.0"):
        for prefix in ("api", "ajax-api"):
            path = f"/{prefix}/{version}/mlflow/users/create"
            for user in (None, "viewer", "trainer", "airflow"):
                assert refused(server.call("POST", path, user, account)), f"{path} as {user}"
    form = f"username={account['username']}&password={account['password']}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    for path in ("/api/2.0/mlflow/users/create-ui", "/signup"):
        for user in (None, "viewer", "admin"):
            assert refused(server.call("POST", path, user, form, headers)), f"{path} as {user}"
    assert server.api("admin", f"users/get?username={account['username']}").status == 404


@pytest.mark.parametrize("password", ["password1234", "password", "admin", "mlflow", "default", "changeme", "x" * 5000])
def test_no_default_password(server: Server, password: str) -> None:
    """CVE-2026-2635."""
    assert refused(server.call("GET", "/api/2.0/mlflow/users/current", "admin", password=password))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/2.0/mlflow/experiments/search?max_results=1",
        "/ajax-api/2.0/mlflow/experiments/search?max_results=1",
        "/api/2.0/mlflow/registered-models/search",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/graphql",
        "/version",
        "/ajax-api/3.0/jobs",
        "/api/3.0/jobs/1",
        "/v1/traces",
        "/api/3.0/mlflow/traces/x",
        "/gateway/x/invocations",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/api/2.0/mlflow/webhooks",
        "/api/2.0/mlflow/users/get?username=admin",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/api/3.0/mlflow/scorers/online-configs",
        "/ajax-api/3.0/mlflow/assistant",
        "/health/../api/2.0/mlflow/experiments/search",
        "//api/2.0/mlflow/experiments/search?max_results=1",
        "/%2e/version",
        "/static-files/../api/2.0/mlflow/users/current",
        "/favicon.ico/../version",
        "/api/2.0/mlflow/users/current",
        "/health%2f..%2fapi%2f2.0%2fmlflow%2fexperiments%2fsearch",
        "/mcp",
        "/invocations",
        "/ping",
    ],
)
def test_nothing_without_credentials(server: Server, path: str) -> None:
    """CVE-2026-2652, CVE-2025-14297, CVE-2026-0545, CVE-2026-0596: no route is open, of FastAPI or GraphQL."""
    tricks: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic Og=="},
        {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "X-Forwarded-For": "127.0.0.1"},
        {"X-MLflow-Internal-Gateway-Auth": "admin"},
        {"Cookie": "session=admin"},
        {"X-Original-URL": "/health"},
        {"X-HTTP-Method-Override": "GET"},
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        for headers in tricks:
            answer = server.call(method, path, None, b"{}" if method in ("POST", "PUT", "PATCH") else None, headers)
            assert refused(answer, 404), f"{method} {path} {headers}: {answer.status} {answer.text[:200]}"


def test_only_health_is_open(server: Server) -> None:
    assert server.call("GET", "/health").status == 200
    if server.behind_proxy:
        for path in ("/static-files/index.html", "/favicon.ico", "/api/3.0/mlflow/server-info"):
            assert server.call("GET", path).status == 401, path


def test_graphql_keeps_permissions(server: Server, hidden: tuple[str, str]) -> None:
    """CVE-2025-14297: GraphQL gives nothing that REST would not."""
    query = f'query {{ mlflowGetRun(input: {{runId: "{hidden[1]}"}}) {{ run {{ info {{ runName runId }} }} }} }}'
    search = (
        f'query {{ mlflowSearchRuns(input: {{experimentIds: ["{hidden[0]}"]}}) {{ runs {{ info {{ runName }} }} }} }}'
    )
    for text in (query, search):
        headers = {"Origin": server.url}
        assert b"hidden-run" in server.call("POST", "/graphql", "admin", {"query": text}, headers).body
        assert b"hidden-run" not in server.call("POST", "/graphql", "viewer", {"query": text}, headers).body


def test_denied_experiment_is_closed(server: Server, hidden: tuple[str, str]) -> None:
    """CVE-2026-8147 (traces) and its like: a reader who is denied an experiment reaches nothing in it."""
    experiment, run = hidden
    trace = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}]}
    calls: list[tuple[str, str, str, object]] = [
        ("GET", "2.0", f"experiments/get?experiment_id={experiment}", None),
        ("GET", "2.0", f"runs/get?run_id={run}", None),
        ("GET", "2.0", f"artifacts/list?run_id={run}", None),
        ("GET", "2.0", f"traces?experiment_ids={experiment}", None),
        ("POST", "3.0", "traces/search", trace),
        ("POST", "3.0", "traces/delete-traces", {"experiment_id": experiment, "max_timestamp_millis": 1}),
        ("POST", "2.0", "traces/delete-traces", {"experiment_id": experiment, "max_timestamp_millis": 1}),
        ("POST", "2.0", "runs/create", {"experiment_id": experiment}),
    ]
    for method, version, path, body in calls:
        answer = server.api("viewer", path, body, method, version)
        assert answer.status == 403, f"{method} {path}: {answer.status} {answer.text[:200]}"
    found = server.api("viewer", "runs/search", {"experiment_ids": [experiment]})
    assert run not in found.text
    assert "hidden-run" not in found.text


@pytest.mark.parametrize("user", ["viewer", "trainer", "airflow"])
def test_jobs_are_off(server: Server, user: str) -> None:
    """CVE-2026-0545: the job API runs nothing for anybody."""
    for path in ("/ajax-api/3.0/jobs", "/api/3.0/jobs", "/ajax-api/3.0/jobs/", "/api/3.0/mlflow/jobs"):
        for method, body in (("POST", {"job_name": "x", "params": {}}), ("GET", None)):
            assert refused(server.call(method, path, user, body, {"Origin": server.url})), f"{method} {path}"
