"""What a role promises on a machine that has no other role: `make molecule SCENARIO=alone`."""

import json
import os
from pathlib import Path

from testinfra.host import Host

from tests.support.machines import beside, outside
from tests.support.mlflow_machine import PASSWORDS
from tests.support.waiting import wait_until

CURL = ("curl", "--silent", "--max-time", "30", "--write-out", "%{http_code}")


def reached(address: str, port: int) -> bool:
    return outside("timeout", "5", "bash", "-c", f"</dev/tcp/{address}/{port}").returncode == 0


def test_database(machine: Host, address: str) -> None:
    assert machine.service("postgresql@17-main").is_running
    assert reached(address, 5432)  # no firewall here: who may log in is PostgreSQL's own matter
    server = f"host={address} user=mlflow dbname=mlflow sslmode=require connect_timeout=5"
    refused = machine.run(f"PGPASSWORD=lab-database psql -AtqX '{server}' -c 'SELECT 1'").stderr
    assert f'no pg_hba.conf entry for host "{address}"' in refused, refused
    tables = "SELECT count(*) > 30 FROM pg_stat_user_tables"  # MLflow's, from its machine
    assert machine.check_output(f"runuser -u postgres -- psql -AtqX -d mlflow -c '{tables}'") == "t"


def test_mlflow(machine: Host, address: str, tmp_path: Path) -> None:
    assert machine.service("mlflow").is_running
    assert not reached(address, 5000)
    answer = tmp_path / "answer"

    def said(request: str, user: str = "", *more: str) -> str:
        """Status that the machine's own loopback gives."""
        who = ("--user", f"{user}:{PASSWORDS[user]}") if user else ()
        url = f"http://127.0.0.1:5000/api/2.0/{request}"
        return beside(os.environ["MACHINE"], *CURL, "--output", answer, *who, *more, url, no_proxy="*").stdout

    search = "mlflow/experiments/search?max_results=1"
    assert said(search) == "401"
    assert said(search, "viewer") == "200"
    artifact = "mlflow-artifacts/artifacts/alone/test"
    assert said(artifact, "admin", "--upload-file", __file__) == "200"
    assert said(artifact, "admin") == "200"
    assert answer.read_text() == Path(__file__).read_text()


def test_proxy(machine: Host, address: str, tmp_path: Path) -> None:
    authority, name = tmp_path / "ca.crt", os.environ["MACHINE"]
    authority.write_text(machine.file("/etc/certificates/tls-proxy/ca.crt").content_string)
    curl = (*CURL, "--cacert", authority, "--resolve", f"{name}:443:{address}")
    assert outside(*curl, f"https://{name}/health", no_proxy="*").stdout == "OK200"
    other = ("--output", "/dev/null", "--header", "Host: evil.example")
    assert outside(*curl, *other, f"https://{name}/", no_proxy="*").stdout == "421"
    assert machine.check_output("fail2ban-client get mlflow banned") == "[]"


def test_monitoring(machine: Host) -> None:
    """Nobody is told, for there is no channel; what failed is known all the same."""
    unit = "/run/systemd/system/of-a-test.service"
    line = 'printf "[Service]\\nType=oneshot\\nExecStart=/bin/false\\n"'
    machine.check_output(f"{line} > {unit}; systemctl daemon-reload; systemctl start of-a-test || true")
    try:
        known = "test -e /var/lib/monitoring/of-a-test.service.json"
        wait_until(lambda: machine.run(known).rc == 0, "it is remembered", 60)
        found = json.loads(machine.check_output("runuser -u nobody -- machine-status"))
        assert found["problems"] == ["of-a-test.service has failed"]
        assert found["jobs"] == {}
    finally:
        machine.check_output(f"systemctl reset-failed of-a-test; rm {unit} /var/lib/monitoring/of-a-test*")
