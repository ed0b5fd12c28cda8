"""`make report`: which run is asked for, what is written, what is said if there is nothing."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from stack.common.errors import StackError
from stack.running import reports
from stack.running.system import Mlflow

PAGES = {"a": {name: f"{name} of a" for name in reports.FILES}, "b": {"decision.json": "{}"}}
NEWEST_FIRST = [("b", "run-b"), ("a", "run-a")]


class MLflow(BaseHTTPRequestHandler):
    """Answers as the tracking server does, whoever knows the password."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.endswith("/experiments/get-by-name"):
            assert asked == {"experiment_name": "fraud-retraining"}
            self.answer(json.dumps({"experiment": {"experiment_id": "1"}}))
        else:
            assert url.path == "/get-artifact"
            self.answer(PAGES[asked["run_uuid"]].get(asked["path"]))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["experiment_ids"] == ["1"]
        assert asked["order_by"] == ["attributes.start_time DESC"]
        assert "status = 'FINISHED'" in asked["filter"]
        _, _, name = asked["filter"].partition("tags.retrain_run_id = ")
        runs = [
            {"info": {"run_id": run}, "data": {"tags": [{"key": "retrain_run_id", "value": tag}]}}
            for run, tag in NEWEST_FIRST
            if name in ("", f"'{tag}'")
        ]
        self.answer(json.dumps({"runs": runs[: asked["max_results"]]} if runs else {}))

    def answer(self, text: str | None) -> None:
        login = base64.b64encode(b"admin:open sesame").decode()
        known = self.headers.get("Authorization") == f"Basic {login}"
        self.send_response(401 if not known else 404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MLflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = requests.Session()
    session.auth = ("admin", "open sesame")
    mlflow = Mlflow(f"http://127.0.0.1:{server.server_port}", session)
    yield SimpleNamespace(where=tmp_path, require=lambda: None, mlflow=lambda: nullcontext(mlflow))
    server.shutdown()
    server.server_close()


def test_the_report_of_a_run_is_written_with_its_data_and_card(system: Any) -> None:
    page = reports.fetch(system, "run-a")
    assert page == system.where / "reports" / "run-a" / "report.html"
    assert {file.name: file.read_text() for file in page.parent.iterdir()} == PAGES["a"]


def test_a_run_that_is_not_there_and_one_without_a_report_are_said(system: Any) -> None:
    with pytest.raises(StackError, match=r"MLflow knows no finished retrain RUN=run-c: `make history`"):
        reports.fetch(system, "run-c")
    with pytest.raises(StackError, match=r"The run run-b has no report\.html: .* `make report RUN=…`"):
        reports.fetch(system, "")  # the newest
    assert not (system.where / "reports").exists()
