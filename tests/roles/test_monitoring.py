"""The programs of roles/monitoring, with others in systemd's place: who is told what, when, and what is wrong."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support import ROOT

FILES = ROOT / "roles" / "monitoring" / "files"
BACKUP, GC = "mlflow-backup@make.service", "mlflow-job@gc.service"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *TriggeredBy*mlflow-backup*) echo mlflow-backup@make.timer ;;
  *failed*) cat "$0.failed" 2>/dev/null ;;
  *InactiveExitTimestamp*) echo @1795809509 ;;
  *InvocationID*) echo now ;;
esac
"""
OPENSSL = """#!/bin/sh
echo "notAfter=$(cat "$3")"
"""
JOURNALCTL = """#!/bin/sh
# It has all only when it has caught up, and what was written before systemd noted that the unit began.
case "$*" in
  --sync) : > "$0.synced" ;;
  *"--since=@1795809508 _SYSTEMD_UNIT="*" + UNIT="*) test -e "$0.synced" && cat "$0.said" ;;
esac
"""


def journal(*lines: str) -> list[dict[str, Any]]:
    """A run, and the one before it; of every other line journald came too late to learn whose it is."""
    before = [
        {"_PID": "6", "MESSAGE": "of the run before"},
        {"_PID": "6", "MESSAGE": "too", "_SYSTEMD_INVOCATION_ID": "old"},
    ]
    ended = [{"_PID": "1", "MESSAGE": "Failed with result 'exit-code'.", "INVOCATION_ID": "old"}]
    whose = [{}, {"_SYSTEMD_INVOCATION_ID": "now"}]
    own = [{"_PID": "7", "MESSAGE": line, **whose[place % 2]} for place, line in enumerate(lines)]
    return [*before, *ended, *own, {"_PID": "1", "MESSAGE": "Failed to start.", "INVOCATION_ID": "now"}]


class Receiver:
    """Somebody's webhook and Telegram's API; `refuses` while it answers 500."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.refuses = False
        outer = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(500 if outer.refuses else 200)
                self.end_headers()
                if not outer.refuses:
                    outer.bodies.append((self.path, body))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Hook)
        self.port = self.server.server_address[1]
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Monitored:
    """A machine's folder of what is remembered, and its programs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        for name in ("bin", "state", "certificates/tls-proxy", "credentials"):
            (folder / name).mkdir(parents=True)
        for name, text in {"systemctl": SYSTEMCTL, "openssl": OPENSSL, "journalctl": JOURNALCTL}.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.certificate(90)
        self.settings(jobs={BACKUP: 50, GC: 340}, disks=["/"], disk_percent=101, certificate_days=10, repeat_hours=24)
        slack = {"value": json.dumps({"password": f"http://127.0.0.1:{port}/secret-hook"})}
        telegram = {"value": {"login": "7", "password": "secret-token", "schema": "http", "host": "127.0.0.1"}}
        telegram["value"]["port"] = str(port)
        self.channels(alert_slack=slack, alert_telegram=telegram)

    def settings(self, **values: Any) -> None:
        file = self.folder / "settings.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(before | values))

    def channels(self, **channels: Any) -> None:
        whole = {"channels": channels, "lockbox": "https://127.0.0.1:1", "metadata": "127.0.0.1:1", "ca": ""}
        (self.folder / "credentials" / "channels").write_text(json.dumps(whole))

    def certificate(self, days: int) -> None:
        until = datetime.now(UTC) + timedelta(days=days, minutes=1)
        (self.folder / "certificates/tls-proxy/server.crt").write_text(until.strftime("%b %d %H:%M:%S %Y GMT"))

    def remember(self, unit: str, **known: float) -> None:
        (self.folder / "state" / f"{unit}.json").write_text(json.dumps(known))

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "MONITORING_STATE": str(self.folder / "state"),
            "MONITORING_SETTINGS": str(self.folder / "settings.json"),
            "MONITORING_CERTIFICATES": str(self.folder / "certificates"),
            "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
        }
        command = [sys.executable, "-sB", FILES / f"{program}.py", *arguments]
        return subprocess.run(command, env=given | environment, capture_output=True, text=True)

    def ended(self, unit: str, why: str = "") -> subprocess.CompletedProcess[str]:
        """What systemd calls; `why` is what the journal has of a failure."""
        entries = journal(*why.splitlines())
        (self.folder / "bin/journalctl.said").write_text("\n".join(map(json.dumps, entries)) + "\n")
        return self.run("ended", "failed" if why else "succeeded", unit)

    def status(self) -> dict[str, Any]:
        done = self.run("status")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def machine(tmp_path: Path, receiver: Receiver) -> Monitored:
    return Monitored(tmp_path, receiver.port)


def texts(receiver: Receiver) -> list[str]:
    return [body["text"] for _, body in receiver.bodies]


def test_a_failure_is_told_by_every_channel_with_its_reason(machine: Monitored, receiver: Receiver) -> None:
    done = machine.ended(BACKUP, "pg_dump: error: aborting because of server version mismatch")
    assert done.returncode == 0, done.stderr
    assert [path for path, _ in receiver.bodies] == ["/secret-hook", "/botsecret-token/sendMessage"]
    for text in texts(receiver):
        assert f"{BACKUP} failed" in text
        assert "server version mismatch" in text
        assert f"journalctl -u {BACKUP}" in text
    assert "secret" not in done.stdout + done.stderr


def test_a_reason_is_the_end_of_what_the_last_run_wrote(machine: Monitored, receiver: Receiver) -> None:
    """Whether or not journald learnt whose a line is; eight lines are more than are told."""
    machine.ended(BACKUP, "\n".join(f"line {number}" for number in range(8)))
    told = texts(receiver)[0]
    assert "line 2\nline 3\nline 4\nline 5\nline 6\nline 7\n" in told
    assert not any(other in told for other in ("line 1", "before", "too", "Failed"))


def test_a_unit_that_writes_no_text_has_a_reason(machine: Monitored, receiver: Receiver) -> None:
    (machine.folder / "bin/journalctl.said").write_text('{"_PID": "7", "MESSAGE": [98, 97, 100, 32, 255]}\n')
    machine.run("ended", "failed", BACKUP)
    assert "bad \ufffd" in texts(receiver)[0]
    (machine.folder / "bin/journalctl.said").write_text("")
    machine.run("ended", "failed", GC)
    assert "it wrote nothing" in texts(receiver)[-1]


def test_the_same_reason_is_told_again_after_a_day_only(machine: Monitored, receiver: Receiver) -> None:
    machine.ended(BACKUP, "no answer within 30 s")
    machine.ended(BACKUP, "no answer within 31 s")
    assert len(receiver.bodies) == 2
    machine.ended(BACKUP, "no space left")
    assert len(receiver.bodies) == 4
    file = machine.folder / "state" / f"{BACKUP}.json"
    known = json.loads(file.read_text())
    known["told"]["at"] -= 25 * 3600
    file.write_text(json.dumps(known))
    machine.ended(BACKUP, "no space left")
    assert len(receiver.bodies) == 6


def test_what_nobody_took_is_told_at_the_next_failure(machine: Monitored, receiver: Receiver) -> None:
    receiver.refuses = True
    done = machine.ended(BACKUP, "no space left")
    assert done.returncode == 1
    assert "not delivered by alert_slack: HTTPError 500" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    receiver.refuses = False
    machine.ended(BACKUP, "no space left")
    assert len(receiver.bodies) == 2


def test_a_job_that_works_again_is_told(machine: Monitored, receiver: Receiver) -> None:
    machine.ended(BACKUP)
    assert receiver.bodies == []
    machine.ended(BACKUP, "no space left")
    machine.ended(BACKUP)
    assert f"{BACKUP} works again" in texts(receiver)[-1]
    machine.ended(BACKUP)
    assert len(receiver.bodies) == 4


def test_a_machine_without_a_channel_remembers_all_the_same(machine: Monitored, receiver: Receiver) -> None:
    machine.channels()
    assert machine.ended(BACKUP, "no space left").returncode == 0
    (problem,) = machine.status()["problems"]
    assert problem.endswith(": no space left")


@pytest.mark.parametrize("wrong", [{"value": "{"}, {"value": {"password": "file:///etc/passwd"}}])
def test_a_channel_that_is_none_stops_no_other(machine: Monitored, receiver: Receiver, wrong: dict[str, Any]) -> None:
    slack = {"value": {"password": f"http://127.0.0.1:{receiver.port}/hook"}}
    machine.channels(alert_telegram=wrong, alert_slack=slack)
    assert machine.ended(BACKUP, "no space left").returncode == 1
    assert len(receiver.bodies) == 1


def test_the_state_of_a_machine_that_is_well(machine: Monitored) -> None:
    machine.ended(BACKUP)
    found = machine.status()
    job = found["jobs"].pop(BACKUP)
    assert found["jobs"] == {}, "nothing starts this job here: it is not expected"
    assert job["works"]
    assert job["succeeded"]
    assert found["certificates"]["tls-proxy"]["days"] == 90
    assert 0 < found["disks"]["/"]["percent"] <= 100
    assert (found["failed_units"], found["problems"]) == ([], [])


def test_what_should_have_happened_and_has_not_is_a_problem(machine: Monitored) -> None:
    assert machine.run("status", "--check").returncode == 0  # a machine that has just begun
    machine.remember(BACKUP, since=time.time() - 51 * 3600)
    machine.certificate(9)
    machine.settings(disk_percent=-1)
    (machine.folder / "bin/systemctl.failed").write_text("fail2ban.service loaded failed failed …\n")
    done = machine.run("status", "--check")
    assert done.returncode == 1
    backup, certificate, disk, unit = done.stdout.splitlines()
    assert backup == f"{BACKUP} succeeded last: never; expected is once in 50 hours"
    assert certificate.startswith("certificate tls-proxy ends in 9 days")
    assert disk.startswith("/ is ")
    assert unit == "fail2ban.service has failed"
    assert machine.status()["problems"] == [backup, certificate, disk, unit]


def test_a_failure_that_was_told_is_not_told_by_the_look(machine: Monitored, receiver: Receiver) -> None:
    machine.ended(BACKUP, "no space left")
    assert machine.run("status", "--check").returncode == 0
    receiver.refuses = True
    machine.remember(BACKUP)  # nobody was told of this one
    machine.ended(BACKUP, "another reason")
    done = machine.run("status", "--check")
    assert (done.returncode, done.stdout.partition(" failed at ")[0]) == (1, BACKUP), done.stderr


def test_channels_are_those_of_the_dags() -> None:
    """One person fills one secret for both."""
    spec = importlib.util.spec_from_file_location("channels", FILES / "channels.py")
    assert spec
    assert spec.loader
    channels = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(channels)
    source = (ROOT / "dags/retraining/alerts.py").read_text()
    known = source.partition("CHANNELS = {")[2].partition("}")[0]
    assert [name.strip().strip('"') for name in known.replace(",", ":").split(":")[::2]] == list(channels.CHANNELS)
    text = (ROOT / "roles/monitoring/vars/main.yml").read_text()
    assert f"_monitoring_known: [{', '.join(channels.CHANNELS)}]" in text
