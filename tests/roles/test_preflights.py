"""What roles refuse before they install anything: two settings that cannot work together, with the way out."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.machines import TOOLS

MLFLOW = {
    "mlflow_database_host": "database",
    "mlflow_artifacts_destination": "s3://bucket/mlflow",
    "mlflow_passwords": {name: {"value": "x"} for name in ("admin", "trainer", "airflow", "viewer")},
}
BACKUP = {"backup_bucket": "bucket"}
POSTGRESQL = {"postgresql_clients": ["10.0.0.5/32"], "postgresql_memory_mb": 3900}


def preflight(folder: Path, role: str, memory: int = 3900, debian: str = "13", **variables: Any) -> str:
    """What the role's preflight says on such a machine; empty if it lets it pass."""
    facts = {"distribution": "Debian", "distribution_major_version": debian, "distribution_version": debian}
    tasks = [
        {"name": "Facts", "ansible.builtin.set_fact": facts | {"memtotal_mb": memory, "cacheable": True}},
        {"name": role, "ansible.builtin.include_role": {"name": role, "tasks_from": "preflight"}},
    ]
    play = {"hosts": "mlflow", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([play]))
    (folder / "inventory.yml").write_text(json.dumps({"mlflow": {"hosts": {"machine": {}}}}))
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
    command = [TOOLS / "ansible-playbook", f"--inventory={folder}/inventory.yml", folder / "play.yml"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    said = " ".join(done.stdout.replace("\\", "").split())
    assert (done.returncode == 0) == ("failed=0" in said), said + done.stderr
    return said if done.returncode else ""


def test_defaults_fit_the_default_machine(tmp_path: Path) -> None:
    assert preflight(tmp_path, "mlflow", **MLFLOW) == ""
    assert preflight(tmp_path, "backup", **BACKUP, backup_postgresql_version="17") == ""


@pytest.mark.parametrize(
    ("given", "memory", "said"),
    [
        ({"mlflow_workers": 4}, 3900, "takes 186 connections (mlflow_database_connections is 97;"),
        ({"mlflow_threads": 16}, 3900, "takes 192 connections"),
        ({"mlflow_workers": 4, "mlflow_threads": 2, "mlflow_memory_max": "900M"}, 3900, "and 1000 MiB"),
        ({}, 1500, "must leave 400 of the machine's 1500; Terraform: mlflow.memory_gib"),
    ],
)
def test_workers_without_connections_or_memory_are_refused(
    tmp_path: Path, given: dict[str, Any], memory: int, said: str
) -> None:
    assert said in preflight(tmp_path, "mlflow", memory, **MLFLOW, **given)


def test_more_workers_with_what_they_need_are_taken(tmp_path: Path) -> None:
    given = {"mlflow_workers": 4, "mlflow_database_connections": 200}
    assert preflight(tmp_path, "mlflow", 3900, **MLFLOW, **given) == ""


def test_connections_that_do_not_fit_into_the_databases_memory_are_refused(tmp_path: Path) -> None:
    said = preflight(tmp_path, "postgresql", **POSTGRESQL, postgresql_max_connections=2000)
    assert "postgresql_max_connections is 2000, at 3 MiB each, beside 975 MiB of shared buffers" in said
    # What this machine has in /var/lib/postgresql is looked at afterwards.
    assert "at 3 MiB each" not in preflight(tmp_path, "postgresql", **POSTGRESQL)


@pytest.mark.parametrize(("debian", "server"), [("12", "17"), ("13", "15"), ("13", "18")])
def test_a_server_whose_programs_this_debian_lacks_is_refused(tmp_path: Path, debian: str, server: str) -> None:
    said = preflight(tmp_path, "backup", debian=debian, **BACKUP, backup_postgresql_version=server)
    assert f"PostgreSQL {server} serves, Debian {debian} on machine brings the programs of" in said
    assert 'database = { client = "pgdg" }' in said
    given = {"backup_postgresql_version": server, "backup_postgresql_archive": "pgdg"}
    assert preflight(tmp_path, "backup", debian=debian, **BACKUP, **given) == ""
