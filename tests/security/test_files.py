"""Probes of the published MLflow advisories since 2023: files read or written by paths.

Each sends what an attacker would and fails if the answer gives what the advisory promised; `/etc/passwd` (its line
of root) is the prize.
"""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from tests.security.probing import leaks, name, refused
from tests.support.mlflow_server import Server

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


@pytest.fixture
def model(server: Server) -> Iterator[str]:
    """A registered model of the admin's own, removed afterwards."""
    made = name("probe")
    server.made("admin", "registered-models/create", {"name": made})
    yield made
    server.api("admin", "registered-models/delete", {"name": made}, method="DELETE")


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
