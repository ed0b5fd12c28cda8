"""Probes of the published MLflow advisories since 2023: foreign hosts and origins, odd methods.

Each sends what an attacker would and fails if the answer gives what the advisory promised.
"""

import pytest

from tests.security.probing import refused
from tests.support.mlflow_server import Server


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
