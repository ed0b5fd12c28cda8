"""A backup, and the way back to it or to a moment, by the playbooks: `make drill-machines`."""

import json
import time

import pytest

from tests.support.database_machine import archive_is_well, ask, rows
from tests.support.machines import inside
from tests.support.mlflow_machine import MLFLOW, artifact, client, healthy
from tests.support.playbooks import playbook


def test_dry_runs_change_nothing() -> None:
    before, passwd = rows(), inside(MLFLOW).check_output("sha256sum /etc/mlflow/* /run/mlflow-secrets/*")
    listed = playbook("ansible/playbooks/backup.yml", "--check")
    shown = playbook("ansible/playbooks/rotate.yml", "--check")
    assert "secrets of mlflow, taken up" in shown.stdout
    assert "/etc/certificates/tls-proxy/server.crt until" in shown.stdout
    assert "none of them" not in listed.stdout
    playbook("ansible/playbooks/upgrade.yml", "--check")
    playbook("ansible/playbooks/backup.yml")
    playbook("ansible/playbooks/restore.yml", "--check", "-e", "restore_backup=latest")
    assert healthy()
    assert rows() == before
    assert inside(MLFLOW).check_output("sha256sum /etc/mlflow/* /run/mlflow-secrets/*") == passwd


@pytest.mark.parametrize("given", [(), ("-e", "restore_backup=latest", "-e", "restore_time=now")])
def test_restore_asks_for_exactly_one(given: tuple[str, ...]) -> None:
    done = playbook("ansible/playbooks/restore.yml", *given, check=False)
    assert done.returncode != 0
    assert "give exactly one" in done.stdout
    assert healthy()


def test_restore_of_a_dump_brings_back_what_it_had() -> None:
    kept = client("upload", 5)
    playbook("ansible/playbooks/backup.yml")
    before, users = rows(), rows("mlflow_auth")
    client("record", 3)
    assert rows() != before
    said = playbook("ansible/playbooks/restore.yml", "-e", "restore_backup=latest").stdout
    assert rows() == before
    assert rows("mlflow_auth") == users
    assert artifact(kept["run"]) == kept["sha256"]
    assert "all as in the manifest" in said
    inside(MLFLOW).check_output("systemctl start mlflow-backup@verify.service")


def test_restore_to_a_moment() -> None:
    kept = client("record", 3)
    then = ask("SELECT now()")
    before = rows()
    time.sleep(2)
    client("record", 3)  # what was a mistake
    ask("SELECT pg_switch_wal()")
    playbook("ansible/playbooks/restore.yml", "-e", json.dumps({"restore_time": then}))
    assert rows() == before
    assert kept["lost"] == 0
    archive_is_well()
    assert client("record", 3)["lost"] == 0
