"""Every secret and certificate is replaced by the playbook: `make drill-machines`."""

import json
from pathlib import Path

from tests.support.database_machine import DATABASE, connect
from tests.support.machines import (
    inside,
)
from tests.support.mlflow_machine import MLFLOW, PASSWORDS, healthy, status
from tests.support.playbooks import playbook
from tests.support.waiting import wait_until


def test_rotation_takes_up_every_secret_and_certificate(tmp_path: Path) -> None:
    new = {name: f"lab-password-{name}-2" for name in PASSWORDS}
    values = {
        "mlflow_passwords": {name: {"value": value} for name, value in new.items()},
        "mlflow_database_password": {"value": "lab-database-2"},
        "postgresql_password": {"value": "lab-database-2"},
        "mlflow_session_key": {"value": "lab-session-key-two-of-thirty-two-bytes"},
    }
    (tmp_path / "new.json").write_text(json.dumps(values))
    serial = "openssl x509 -noout -serial -in /etc/certificates/{}/server.crt"
    before = [
        inside(MLFLOW).check_output(serial.format("tls-proxy")),
        inside(DATABASE).check_output(serial.format("postgresql")),
    ]
    old = dict(PASSWORDS)
    try:
        playbook("ansible/playbooks/rotate.yml", "-e", f"@{tmp_path}/new.json")
        PASSWORDS.update(new)
        wait_until(healthy, "the new passwords hold", 300)
        for name in old:
            assert status("/version", name, old[name]) == "401"
            assert status("/version", name) == "200"
        after = [
            inside(MLFLOW).check_output(serial.format("tls-proxy")),
            inside(DATABASE).check_output(serial.format("postgresql")),
        ]
        assert all(one != other for one, other in zip(before, after, strict=True))
        assert "password authentication failed" in connect(password="lab-database")
    finally:
        playbook("ansible/playbooks/rotate.yml")  # what the inventory says
        PASSWORDS.update(old)
