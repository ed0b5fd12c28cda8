"""Machines are destroyed and made anew: `make drill-machines`."""

import subprocess
import sys
import time

from tests.support import ROOT
from tests.support.database_machine import DATABASE, DATABASE_ADDRESS, archive_is_well, ask, rows
from tests.support.machines import (
    LAB,
    inside,
    measured,
)
from tests.support.mlflow_machine import ADDRESS, MLFLOW, PASSWORDS, artifact, authority, client, healthy, status
from tests.support.playbooks import changed, interrupted_playbook, playbook
from tests.support.waiting import wait_until


def machines(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", *arguments], cwd=ROOT, check=True)


def replace_machine(name: str, address: str) -> None:
    """Destroys a machine with its disk and makes a bare one of the same name."""
    debian = inside(name).check_output(". /etc/os-release; echo $VERSION_ID")
    machines("down", name)
    machines("up", name, f"--debian={debian}", f"--address={address}")
    inside.cache_clear()
    authority.cache_clear()


def test_the_database_is_lost_and_comes_back_to_its_last_change() -> None:
    """From the archive of the write-ahead log, not from a dump; and not twice."""
    kept = client("record", 5)
    before, users = rows(), rows("mlflow_auth")
    segment = ask("SELECT pg_walfile_name(pg_switch_wal())")  # what would follow by itself within a minute
    archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    wait_until(lambda: ask(archived) == "t", "it is archived", 300)
    begun = time.monotonic()
    replace_machine(DATABASE, DATABASE_ADDRESS)
    playbook("site.yml")
    playbook("ansible/playbooks/restore.yml", "--check", "-e", "restore_time=last")
    assert rows()["runs"] == 0
    said = playbook("ansible/playbooks/restore.yml", "-e", "restore_time=last").stdout
    wait_until(healthy, "users log in", 300)
    measured("database destroyed", f"as it was, on a new machine, in {(time.monotonic() - begun) / 60:.1f} minutes")
    assert rows() == before
    assert f"{before['runs']} runs, the newest begun 2" in said
    assert rows("mlflow_auth") == users
    assert kept["lost"] == 0
    archive_is_well()
    refused = playbook("ansible/playbooks/restore.yml", "-e", "restore_time=last", check=False)
    assert refused.returncode != 0
    assert f"this one has {before['runs']} runs" in " ".join(refused.stdout.split())
    assert rows() == before


def test_both_machines_are_lost_and_all_comes_back() -> None:
    """New machines, a playbook that is killed on the way and called again, the backup."""
    kept = client("upload", 20)
    playbook("ansible/playbooks/backup.yml")
    before, users = rows(), rows("mlflow_auth")
    begun = time.monotonic()
    replace_machine(DATABASE, DATABASE_ADDRESS)
    replace_machine(MLFLOW, ADDRESS)
    for seconds in (25, 60):
        interrupted_playbook("site.yml", seconds)
    said = " ".join(playbook("site.yml").stdout.split())
    assert "The authority of tls-proxy is new: give /etc/certificates/tls-proxy/ca.crt" in said
    playbook("ansible/playbooks/restore.yml", "-e", "restore_backup=latest")
    wait_until(healthy, "users log in", 300)
    measured("both machines destroyed", f"all restored on new ones in {(time.monotonic() - begun) / 60:.1f} minutes")
    after = rows()
    assert after == before
    assert rows("mlflow_auth") == users
    assert artifact(kept["run"]) == kept["sha256"]
    for name in PASSWORDS:
        assert status("/version", name) == "200"
    again = playbook("site.yml")
    assert not any(changed(again.stdout).values()), again.stdout[-4000:]
    archive_is_well()
