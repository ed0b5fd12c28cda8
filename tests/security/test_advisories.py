"""One probe for every published MLflow advisory since 2023 that concerns a tracking server; none may be open.

Each sends what an attacker would and fails if the answer gives what the advisory promised. `/etc/passwd` (its line of
root) is the prize of all that read files; a canary on loopback is the prize of all that make the server ask.
"""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

import pytest

from tests.support.mlflow_server import Answer, Server

CLIMBS = (
    "../../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "%252e%252e%252f%252e%252e%252f%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "....//....//....//....//etc/passwd",
    "..%5c..%5c..%5c..%5cetc%5cpasswd",
    "file:///etc/passwd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
)
SOURCES = (
    "file:///etc",
    "/etc",
    "//proc/self/root/etc",
    "file://localhost/etc",
    "mlflow-artifacts:/../../../../etc",
    "mlflow-artifacts:/%2e%2e/%2e%2e/etc",
    "dbfs:/../../../../etc",
    "models:/fraud/../../../etc",
    "runs:/../../../etc",
    "http:///#/../../../../../../etc",
    "s3://bucket/#/../../../../etc",
    "file:///etc?x=#",
    "ftp://127.0.0.1/etc",
    "mlflow-artifacts://127.0.0.1/../../etc",
    "file:\\\\\\etc",
    "FILE:///etc",
)


def leaks(answer: Answer) -> bool:
    return b"root:x:0:0" in answer.body


def refused(answer: Answer, *more: int) -> bool:
    return answer.status in (400, 401, 403, 404, 405, 421, *more)


def name(prefix: str) -> str:
    return f"{prefix}-{os.urandom(4).hex()}"


@pytest.fixture
def model(server: Server) -> Iterator[str]:
    """A registered model of the admin's own, removed afterwards."""
    made = name("probe")
    server.made("admin", "registered-models/create", {"name": made})
    yield made
    server.api("admin", "registered-models/delete", {"name": made}, method="DELETE")


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    """Address of a listener on loopback, and the paths that somebody asked it for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}", asked
    listener.shutdown()
    listener.server_close()


# ------------------------------------------------------------------------------------------------ files by paths
@pytest.mark.parametrize("climb", CLIMBS)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/get-artifact?path={climb}&run_uuid={run}", id="issue 7166, CVE-2023-1177"),
        pytest.param("/ajax-api/2.0/mlflow/get-artifact?path={climb}&run_uuid={run}", id="CVE-2023-1177 (ajax)"),
        pytest.param("/api/2.0/mlflow/artifacts/list?run_id={run}&path={climb}", id="CVE-2023-1176"),
        pytest.param("/api/2.0/mlflow-artifacts/artifacts/{climb}", id="CVE-2023-6018, CVE-2024-1560"),
        pytest.param("/api/2.0/mlflow-artifacts/artifacts?path={climb}", id="CVE-2024-1560 (list)"),
        pytest.param("/model-versions/get-artifact?name=fraud&version=1&path={climb}", id="CVE-2023-1177 (model)"),
        pytest.param(
            "/ajax-api/2.0/mlflow/logged-models/m-0/artifacts/files?artifact_file_path={climb}", id="logged model"
        ),
    ],
)
def test_path_reads_no_file(server: Server, run: str, path: str, climb: str) -> None:
    for user in ("admin", "viewer"):
        answer = server.call("GET", path.format(climb=climb, run=run), user)
        if answer.status == 308:  # two slashes in a row: the same path with one
            answer = server.call("GET", urlsplit(answer.headers["location"]).path, user)
        assert not leaks(answer), answer.text[:200]
        assert refused(answer, 500) or b"passwd" not in answer.body, f"{answer.status} {answer.text[:300]}"


# A backslash, four dots, a leading slash: legal names of an artifact below the experiment's own place.
@pytest.mark.parametrize("climb", [climb for climb in CLIMBS if climb.startswith(("../", "..%2f", "%25", "%2e"))])
def test_path_writes_and_deletes_no_file(server: Server, experiment: str, climb: str) -> None:
    """CVE-2023-6018, CVE-2024-1560: PUT and DELETE of a path that climbs."""
    for path in (climb, f"{experiment}/{climb}"):
        for method, body in (("PUT", b"x"), ("DELETE", None)):
            answer = server.call(method, f"/api/2.0/mlflow-artifacts/artifacts/{path}", "trainer", body)
            assert refused(answer), f"{method} {path}: {answer.status} {answer.text[:200]}"


@pytest.mark.parametrize("source", SOURCES)
def test_model_source_reads_no_file(server: Server, model: str, source: str) -> None:
    """CVE-2023-1177, CVE-2023-6977 (`//proc`), CVE-2024-1558, CVE-2024-8859 (`dbfs:`), CVE-2026-2614 (`is_prompt`)."""
    for tags in ([], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]):
        body = {"name": model, "source": source, "tags": tags}
        made = server.api("admin", "model-versions/create", body)
        if made.status != 200:
            assert made.status == 400, made.text[:300]
            continue
        version = made.json()["model_version"]["version"]
        for path in ("passwd", "etc/passwd", "../passwd"):
            query = f"name={model}&version={version}&path={path}"
            for route in ("/model-versions/get-artifact", "/ajax-api/2.0/mlflow/model-versions/get-artifact"):
                assert not leaks(server.call("GET", f"{route}?{query}", "admin")), source


@pytest.mark.parametrize("location", SOURCES)
def test_experiment_location_is_the_admins_to_choose(server: Server, location: str) -> None:
    """CVE-2024-1483, CVE-2024-1594, CVE-2024-3848 (`#`); MLflow accepts `file:///etc`, so only admins may say where."""
    for user in ("trainer", "airflow", "viewer"):
        for prefix in ("/api/2.0", "/ajax-api/2.0", "/api/2.0/preview"):
            body = {"name": name("probe"), "artifact_location": location}
            answer = server.call("POST", f"{prefix}/mlflow/experiments/create", user, body)
            assert refused(answer), f"{user} {prefix}: {answer.status} {answer.text[:200]}"


@pytest.mark.parametrize("bad", ["../../../../tmp/owned", "..%2f..%2ftmp%2fowned", "/tmp/owned", "a/../../b"])
def test_model_name_is_no_path(server: Server, bad: str) -> None:
    """CVE-2025-11201: directory traversal by the name of a model."""
    answer = server.api("trainer", "registered-models/create", {"name": bad})
    if answer.status == 200:
        server.api("admin", "registered-models/delete", {"name": bad}, method="DELETE")
    assert answer.status == 400 or "%" in bad, answer.text[:200]


@pytest.mark.parametrize("uri", ["#/../../../etc", "?/../../etc", "%23/../../etc"])
def test_fragment_in_a_run_is_no_path(server: Server, experiment: str, uri: str) -> None:
    """CVE-2024-3848: a run whose artifact address carries a fragment."""
    tags = [{"key": "mlflow.artifactUri", "value": f"file:///etc{uri}"}]
    body = {"experiment_id": experiment, "artifact_uri": f"file:///etc{uri}", "tags": tags}
    made = server.api("trainer", "runs/create", body)
    if made.status == 200:
        run = made.json()["run"]["info"]["run_id"]
        assert not leaks(server.call("GET", f"/get-artifact?path=passwd&run_uuid={run}", "trainer"))
        assert made.json()["run"]["info"]["artifact_uri"].startswith(("mlflow-artifacts:", "s3:"))


def test_templates_are_not_run(server: Server, model: str) -> None:
    """CVE-2023-6940: what users write is no Jinja template for the server."""
    text = "{{ 7 * 191 }}{% raw %}"
    server.api("admin", "registered-models/update", {"name": model, "description": text}, method="PATCH")
    answer = server.api("admin", f"registered-models/get?name={model}")
    assert answer.json()["registered_model"]["description"] == text
    for path in (f"/{quote(text)}", f"/signup?x={quote(text)}"):
        assert "1337" not in server.call("GET", path, "admin").text


# ------------------------------------------------------------------------------------------------ who may come in
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
        *(
            "/",
            "/api/2.0/mlflow/experiments/search?max_results=1",
            "/ajax-api/2.0/mlflow/experiments/search?max_results=1",
        ),
        *("/api/2.0/mlflow/registered-models/search", "/api/2.0/mlflow-artifacts/artifacts", "/graphql", "/version"),
        *("/ajax-api/3.0/jobs", "/api/3.0/jobs/1", "/v1/traces", "/api/3.0/mlflow/traces/x", "/gateway/x/invocations"),
        *("/ajax-api/2.0/mlflow/gateway-proxy", "/api/2.0/mlflow/webhooks", "/api/2.0/mlflow/users/get?username=admin"),
        *(
            "/metrics",
            "/docs",
            "/openapi.json",
            "/api/3.0/mlflow/scorers/online-configs",
            "/ajax-api/3.0/mlflow/assistant",
        ),
        *(
            "/health/../api/2.0/mlflow/experiments/search",
            "//api/2.0/mlflow/experiments/search?max_results=1",
            "/%2e/version",
        ),
        *("/static-files/../api/2.0/mlflow/users/current", "/favicon.ico/../version", "/api/2.0/mlflow/users/current"),
        *("/health%2f..%2fapi%2f2.0%2fmlflow%2fexperiments%2fsearch", "/mcp", "/invocations", "/ping"),
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


# ------------------------------------------------------------------------------------------------ made to ask others
def test_webhooks_ask_no_inner_address(server: Server, canary: tuple[str, list[str]]) -> None:
    """CVE-2026-64849: webhooks are the admin's, and reach no loopback, private or metadata address."""
    address, asked = canary
    events = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
    for url in (
        address,
        address.replace("127.0.0.1", "localhost"),
        address.replace("127.0.0.1", "0.0.0.0"),
        "http://[::1]/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://2130706433/",
        "file:///etc/passwd",
    ):
        body = {"name": name("probe"), "url": url, "events": events}
        answer = server.api("admin", "webhooks", body)
        assert answer.status == 400, f"{url}: {answer.status} {answer.text[:200]}"
        assert refused(server.api("viewer", "webhooks", body)), url
        assert refused(server.api("trainer", "webhooks", body)), url
    assert not asked


@pytest.mark.parametrize("user", ["viewer", "trainer", "admin"])
def test_gateway_asks_nobody(server: Server, canary: tuple[str, list[str]], user: str) -> None:
    """GHSA-h7x2: no gateway route fetches what a client names."""
    address, asked = canary
    before = len(asked)
    for path in (
        f"/ajax-api/2.0/mlflow/gateway-proxy?gateway_path={quote(address)}/x",
        "/gateway/proxy/x",
        "/ajax-api/3.0/mlflow/gateway-proxy?gateway_path=../../x",
        "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints/",
    ):
        for method, body in (
            ("GET", None),
            ("POST", {"gateway_path": f"{address}/x", "json_data": {}, "target": address}),
        ):
            answer = server.call(method, path, user, body, {"Origin": server.url})
            assert refused(answer, 500) or answer.text.strip() in ("{}", "[]", '{"endpoints":[]}'), (
                f"{path}: {answer.text[:200]}"
            )
    assert len(asked) == before


# ------------------------------------------------------------------------------------------------ Host, Origin, methods
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "localhost@evil.example", ""]
)
def test_foreign_host_is_refused(server: Server, host: str) -> None:
    """DNS rebinding."""
    answer = server.call("GET", "/api/2.0/mlflow/users/current", "viewer", headers={"Host": host})
    assert refused(answer), answer.status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://127.0.0.1.evil.example", "file://"])
def test_foreign_origin_may_not_write(server: Server, experiment: str, origin: str) -> None:
    """A page of another site, opened by somebody who is logged in."""
    for prefix in ("/api", "/ajax-api"):
        body = {"experiment_id": experiment, "key": "probe", "value": "x"}
        path = f"{prefix}/2.0/mlflow/experiments/set-experiment-tag"
        assert server.call("POST", path, "trainer", body, {"Origin": origin}).status == 403
        answer = server.call("OPTIONS", path, None, None, {"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert answer.headers.get("access-control-allow-origin") not in ("*", origin)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "MOVE", "DEBUG", "get"])
def test_odd_methods_are_refused(server: Server, method: str) -> None:
    answer = server.call(method, "/api/2.0/mlflow/users/current", "viewer")
    assert refused(answer, 501), answer.status


def test_smuggling_is_refused(server: Server) -> None:
    """Two lengths in one request: whoever forwards and whoever answers must not read them differently."""
    for headers in (
        {"Transfer-Encoding": "chunked", "Content-Length": "4"},
        {"Transfer-Encoding": "chunked, identity"},
    ):
        answer = server.call(
            "POST", "/api/2.0/mlflow/runs/search", "viewer", b"0\r\n\r\nGET /version HTTP/1.1\r\n\r\n", headers
        )
        assert refused(answer, 501), f"{headers}: {answer.status}"
