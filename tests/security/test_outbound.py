"""What makes the server itself go out: nothing that a client can ask for."""

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mlflow_server
from tests.support.mlflow_server import Server


class Proxy(socketserver.ThreadingTCPServer):
    """Where the server's own requests would come by; it keeps their first lines and answers none."""

    daemon_threads = True

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Line)


class Line(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        self.server.lines.append(self.rfile.readline())


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as listening:
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.fixture
def server(programs: Path, tmp_path: Path, proxy: Proxy) -> Iterator[Server]:
    url = f"http://127.0.0.1:{proxy.server_address[1]}"
    by = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "127.0.0.1"}
    with mlflow_server.started(tmp_path, programs, settings=by) as one:
        yield one


def test_lists_of_models_of_others_come_with_the_package(server: Server, proxy: Proxy) -> None:
    answer = server.call("GET", "/ajax-api/3.0/mlflow/gateway/supported-models", "viewer")
    assert answer.status == 200, answer.text[:300]
    assert json.loads(answer.body)["models"]
    assert proxy.lines == []
