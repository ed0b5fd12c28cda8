"""What the role `monitoring` promises: whatever fails is told to somebody, once, and one command says how it is."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

from tests.support.machines import ENTER, GATEWAY
from tests.support.waiting import wait_until

PORT = 8099  # molecule/stack/inventory.yml says the same
# Somebody's incoming webhook: keeps each body in a file of its own.
RECEIVER = """
import http.server, pathlib, sys
folder = pathlib.Path(sys.argv[1])
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        new = folder / f"{len(list(folder.iterdir())):04}"
        new.with_suffix(".new").write_bytes(body)
        new.with_suffix(".new").rename(new)
        self.send_response(200); self.end_headers()
server = http.server.HTTPServer((sys.argv[2], int(sys.argv[3])), Hook)
print("listens", flush=True)
server.serve_forever()
"""
Told = Callable[[], list[str]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The texts that came to somebody's webhook, in their order."""
    folder = tmp_path_factory.mktemp("told")
    command = [*ENTER, sys.executable, "-c", RECEIVER, str(folder), GATEWAY, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        assert server.stdout.readline() == "listens\n"
        yield lambda: [json.loads(file.read_text())["text"] for file in sorted(folder.glob("[0-9][0-9][0-9][0-9]"))]
        server.kill()


@pytest.fixture
def failing(machine: Host) -> Iterator[Callable[[str], None]]:
    """A unit that fails and says why."""
    path = "/run/systemd/system/of-a-test.service"

    def fail(why: str) -> None:
        unit = f'[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "echo {why}; exit 1"\\n'
        machine.check_output(f"printf '{unit}' > {path}; systemctl daemon-reload; systemctl start of-a-test || true")

    yield fail
    machine.check_output(
        f"rm {path} /var/lib/monitoring/of-a-test.service.json; systemctl reset-failed of-a-test; "
        "systemctl daemon-reload"
    )


def status(machine: Host) -> dict[str, Any]:
    """As somebody is told who may not become root."""
    found: dict[str, Any] = json.loads(machine.check_output("runuser -u nobody -- machine-status"))
    return found


def remembered(machine: Host, unit: str) -> dict[str, Any]:
    file = machine.run(f"cat /var/lib/monitoring/{unit}.json")
    return json.loads(file.stdout) if file.rc == 0 else {}


def test_what_fails_is_told_once_with_its_reason(machine: Host, told: Told, failing: Callable[[str], None]) -> None:
    """Any unit, also one that nobody thought of; again only for another reason."""

    def texts() -> list[str]:
        return [text for text in told() if "of-a-test.service failed" in text]

    failing("disk 7 is wrong")
    wait_until(texts, "it is told", 60)
    assert "disk 7 is wrong" in texts()[0]
    before = remembered(machine, "of-a-test.service")["failed"]
    failing("disk 8 is wrong")
    wait_until(lambda: remembered(machine, "of-a-test.service")["failed"] > before, "it is remembered", 60)
    failing("the network is wrong")
    wait_until(lambda: len(texts()) > 1, "another reason is told", 60)
    assert len(texts()) == 2, texts()
    assert "the network is wrong" in texts()[1]
    assert "hook-of-the-lab" not in machine.check_output(
        "journalctl --no-pager --output=cat | grep -v 'sudo\\[' || true"
    )


def test_the_state_is_one_command_for_anybody(machine: Host) -> None:
    found = status(machine)
    assert found["machine"] == machine.check_output("hostname")
    assert found["disks"]["/"]["percent"] < 100
    assert all(each["days"] > 30 for each in found["certificates"].values())
    assert found["certificates"]
    database = machine.file("/etc/pgbackrest/pgbackrest.conf").exists
    expected = {"pgbackrest@full.service", "pgbackrest@diff.service", "pgbackrest-verify.service"}
    jobs = {"mlflow-backup@make.service", "mlflow-backup@verify.service", "mlflow-job@gc.service"}
    assert set(found["jobs"]) == (expected if database else jobs)
    assert found["problems"] == []


def test_nobody_looks_and_yet_it_is_seen(machine: Host, told: Told) -> None:
    """The hourly look, with a limit that is passed."""
    settings = "/etc/monitoring/settings.json"
    machine.check_output("rm -f /var/lib/monitoring/monitoring-check.service.json")  # who was told within a day
    machine.check_output(f'cp -p {settings} /root/kept; sed -i \'s/"disk_percent": 90/"disk_percent": -1/\' {settings}')
    try:
        assert machine.run("systemctl start monitoring-check.service").rc != 0
        wait_until(lambda: [text for text in told() if "/ is" in text and "% full" in text], "it is told", 60)
    finally:
        machine.check_output(f"cp -p /root/kept {settings}; systemctl reset-failed monitoring-check")
    machine.check_output("systemctl start monitoring-check.service")


@pytest.fixture
def job(machine: Host) -> Iterator[str]:
    """The backup of the machine, which cannot work while the test runs; mended in the end."""
    database = machine.file("/etc/pgbackrest/pgbackrest.conf").exists
    unit, file = (
        ("pgbackrest@diff.service", "/etc/pgbackrest/pgbackrest.conf")
        if database
        else ("mlflow-backup@make.service", "/etc/mlflow/backup.env")
    )
    machine.check_output(
        f"cp -p {file} /root/kept-job; sed -i -E 's/^(repo1-s3-bucket|BACKUP_BUCKET)=.*/\\1=nowhere/' {file}"
    )
    yield unit
    machine.check_output(f"cp -p /root/kept-job {file}; systemctl reset-failed {unit} || true")


def test_a_backup_that_fails_is_told_and_seen_until_one_works(machine: Host, told: Told, job: str) -> None:
    assert machine.run(f"systemctl start {job}").rc != 0
    wait_until(lambda: [text for text in told() if f"{job} failed" in text], "it is told", 60)
    (problem,) = status(machine)["problems"]
    assert problem.startswith(f"{job} failed at ")
    machine.check_output("systemctl start monitoring-check.service")  # told already: not told twice
    kept = machine.check_output(
        "ls /etc/pgbackrest/pgbackrest.conf /etc/mlflow/backup.env 2>/dev/null || true"
    ).split()[0]
    machine.check_output(f"cp -p /root/kept-job {kept}; systemctl start {job}")
    wait_until(lambda: [text for text in told() if f"{job} works again" in text], "it is told that it works", 60)
    assert status(machine)["problems"] == []
    assert status(machine)["jobs"][job]["works"]
