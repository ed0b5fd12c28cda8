"""What a role promises on a machine that has no other role: `make molecule SCENARIO=alone`."""

import os
from pathlib import Path

from testinfra.host import Host

from tests.support.machines import beside, outside
from tests.support.mlflow_machine import PASSWORDS

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
