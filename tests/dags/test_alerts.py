"""People are told, by whichever channels exist; a channel that fails hides nothing and tells no secret."""

import json
import logging
import socketserver
from collections.abc import Iterator
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import alerts, compat

SECRET = "T0-very-secret"
pytestmark = pytest.mark.usefixtures("database")  # Airflow 2.11 looks for connections there too


@pytest.fixture
def mail() -> Iterator[Any]:
    """An SMTP server without TLS: `.port`, `.letters`."""
    letters: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line.split()[0].upper() if line.split() else b""
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    letter = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        letter += part
                    letters.append(letter.decode())
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield SimpleNamespace(port=server.server_address[1], letters=letters)
    server.shutdown()
    server.server_close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(name: str, **value: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_ALERT_{name.upper()}", json.dumps({"conn_type": "generic", **value}))

    return put


def test_without_connections_there_is_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, alerts.log.name):
        assert alerts.send("retrain failed", "why", logging.ERROR) == []
    assert [record.getMessage() for record in caplog.records] == ["retrain failed\nwhy"]


def test_slack_takes_one_text(web: Any, connect: Any) -> None:
    connect("slack", password=f"http://127.0.0.1:{web.port}/services/{SECRET}")
    assert alerts.send("title", "text") == ["alert_slack"]
    assert web.requests == [(f"/services/{SECRET}", {"text": "*title*\ntext"})]


def test_telegram_takes_a_chat_and_a_text(web: Any, connect: Any) -> None:
    connect("telegram", schema="http", host="127.0.0.1", port=web.port, login="-100", password=SECRET)
    assert alerts.send("title", "text") == ["alert_telegram"]
    ((path, body),) = web.requests
    assert (path, body["chat_id"], body["text"]) == (f"/bot{SECRET}/sendMessage", "-100", "title\ntext")


def test_mail_has_sender_recipient_and_subject(mail: Any, connect: Any) -> None:
    extra = {"from": "fraud@example.org", "to": "a@example.org, b@example.org", "security": "none"}
    connect("email", host="127.0.0.1", port=mail.port, extra=extra)
    assert alerts.send("retrain failed", "см. журнал") == ["alert_email"]
    (letter,) = mail.letters
    assert "Subject: retrain failed\r\n" in letter
    assert "To: a@example.org, b@example.org\r\n" in letter


def test_mail_is_not_sent_in_the_clear_unless_asked(mail: Any, connect: Any) -> None:
    connect("email", host="127.0.0.1", port=mail.port, extra={"from": "a@example.org", "to": "b@example.org"})
    assert alerts.send("title", "text") == []
    assert mail.letters == []


@pytest.mark.parametrize("trouble", ["refused", "status", "address", "empty"])
def test_a_channel_that_fails_stops_no_other_and_tells_no_secret(
    web: Any, mail: Any, connect: Any, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    web.status = 403 if trouble == "status" else 200
    port = 1 if trouble == "refused" else web.port
    address = {"address": f"file:///{SECRET}", "empty": None}.get(trouble, f"http://127.0.0.1:{port}/{SECRET}")
    connect("slack", password=address)
    connect("email", host="127.0.0.1", port=mail.port, extra={"from": "a@x.org", "to": "b@x.org", "security": "none"})
    with caplog.at_level(logging.DEBUG):
        assert alerts.send("retrain failed", "why") == ["alert_email"]
    assert len(mail.letters) == 1
    assert "not delivered by alert_slack" in caplog.text
    assert SECRET not in caplog.text
    assert ("403" in caplog.text) == (trouble == "status")


def test_a_back_end_of_secrets_that_fails_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(compat, "connection", fail)
    assert alerts.send("retrain failed", "why", logging.ERROR) == []
    assert "retrain failed\nwhy" in caplog.text
    assert SECRET not in caplog.text


def test_a_failed_run_is_told_with_its_address(web: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect("slack", password=f"http://127.0.0.1:{web.port}/hook")
    section = "API" if compat.AIRFLOW >= (3, 0) else "WEBSERVER"
    monkeypatch.setenv(f"AIRFLOW__{section}__BASE_URL", "https://airflow.test/")
    states = {"manual__1+00:00": {"check": "success", "cluster.train": "failed", "decide": "upstream_failed"}}
    tasks = [SimpleNamespace(task_id=name, state=state) for name, state in states["manual__1+00:00"].items()]
    context = {
        "dag": SimpleNamespace(dag_id="retrain"),
        "run_id": "manual__1+00:00",
        "reason": "task_failure",
        "ti": SimpleNamespace(get_task_states=lambda dag_id, run_ids: states),
        "dag_run": SimpleNamespace(get_task_instances=lambda: tasks),
    }
    alerts.failed(context)
    text = web.requests[0][1]["text"]
    assert text.startswith(
        "*retrain failed: cluster.train*\ntask_failure, run manual__1+00:00\nhttps://airflow.test/dags/"
    )
    assert "manual__1%2B00%3A00" in text


def test_a_failed_run_is_told_where_airflow_tells_nothing_else(web: Any, connect: Any) -> None:
    connect("slack", password=f"http://127.0.0.1:{web.port}/hook")
    alerts.failed({"dag": SimpleNamespace(dag_id="sweep"), "run_id": "r"})
    assert web.requests[0][1]["text"].startswith("*sweep failed: see the run*\nfailed, run r\n")
