"""The client of Airflow's API, against a server that is away, busy, or has forgotten who is logged in."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from stack.running import airflow_api


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`answers` are the statuses of the next calls, the last one for ever; `calls` are those that came."""
    state = SimpleNamespace(answers=[200], calls=[])

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/auth/token":
                status, body = 201, {"access_token": "t"}
            else:
                state.calls.append(self.command)
                status = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
                body = {"dag_runs": [status]}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(airflow_api, "PAUSE", 0)
    url = f"http://127.0.0.1:{http.server_address[1]}"
    state.url = url
    state.client = airflow_api.Airflow(airflow_api.Login(url, "p"))
    yield state
    http.shutdown()
    http.server_close()


def test_a_busy_database_is_asked_again(server: Any) -> None:
    server.answers = [500, 503, 200]
    assert server.client.runs() == [200]


def test_a_server_that_stays_broken_is_named(server: Any) -> None:
    server.answers = [500]
    with pytest.raises(requests.HTTPError, match="500"):
        server.client.runs()
    assert len(server.calls) == airflow_api.ATTEMPTS


def test_what_may_have_been_done_is_not_done_again(server: Any) -> None:
    server.answers = [500]
    with pytest.raises(requests.HTTPError, match="500"):
        server.client.call("POST", "assets/events", json={})
    assert server.calls == ["POST"]


def test_a_token_that_is_no_longer_taken_is_renewed(server: Any) -> None:
    server.answers = [401, 200]
    assert server.client.runs() == [200]
