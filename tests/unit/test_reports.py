"""`make report`: which run is asked for, what is written, what is said if there is nothing."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stack.common.errors import StackError
from stack.local import reports

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
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MLflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(reports, "require_running", lambda _: None)
    url = f"http://127.0.0.1:{server.server_port}"
    yield SimpleNamespace(folder=tmp_path, url=lambda _: url, secrets={"mlflow_admin_password": "open sesame"})
    server.shutdown()
    server.server_close()


def test_the_report_of_a_run_is_written_with_its_data_and_card(state: Any) -> None:
    page = reports.fetch(state, "run-a")
    assert page == state.folder / "reports" / "run-a" / "report.html"
    assert {file.name: file.read_text() for file in page.parent.iterdir()} == PAGES["a"]


def test_a_run_that_is_not_there_and_one_without_a_report_are_said(state: Any) -> None:
    with pytest.raises(StackError, match=r"MLflow knows no finished retrain RUN=run-c: `make history`"):
        reports.fetch(state, "run-c")
    with pytest.raises(StackError, match=r"The run run-b has no report\.html: .* `make report RUN=…`"):
        reports.fetch(state, "")  # the newest
    assert not (state.folder / "reports").exists()
