"""MLflow as the DAG reaches it: over TLS, with an authority that only the connection knows."""

import json
import os
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dags.retraining import registry

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow.txt)")
trustme = pytest.importorskip("trustme", reason="trustme is missing (requirements/airflow-test.txt)")

ANSWER = {"registered_model": {"name": "fraud", "aliases": [{"alias": "champion", "version": "3"}]}}


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization", "").startswith("Basic ")
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(ANSWER).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The certificate of an authority; its server is what the connection `mlflow` names in the environment."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), Server)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_PORT", str(server.server_port))
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_SERVER_CERT_PATH"):
        monkeypatch.setenv(name, "")  # so that what the code sets is gone after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW", "")
    yield ca.cert_pem.bytes().decode()
    server.shutdown()
    thread.join()
    server.server_close()


def connect(extra: dict[str, str]) -> str | None:
    connection = {
        "conn_type": "http",
        "schema": "https",
        "host": "127.0.0.1",
        "port": int(os.environ["MLFLOW_PORT"]),
        "login": "airflow",
        "password": "made-up",
        "extra": extra,
    }
    os.environ["AIRFLOW_CONN_MLFLOW"] = json.dumps(connection)
    client, uri = registry.connect()
    assert uri == f"https://127.0.0.1:{os.environ['MLFLOW_PORT']}"
    return registry.champion(client, "fraud")


def test_the_connections_authority_is_trusted(authority: str) -> None:
    assert connect({"ca": authority}) == "3"


def test_without_it_the_server_is_refused(authority: str) -> None:
    with pytest.raises(Exception, match="certificate verify failed"):
        connect({})
