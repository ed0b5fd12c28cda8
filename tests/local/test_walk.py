"""What an operator does to a deployment in a year, on this host: each step, and MLflow's data are there after it."""

import time
from pathlib import Path

import pytest

from local_cloud.machines import host
from stack.common.waiting import wait_until
from tests.local.deployed import Deployed, listing, processes_of

pytestmark = pytest.mark.timeout(5400)
BOOTSTRAP = ("bootstrap", "--yes")
FIRST = ("bootstrap", "--target", "local", "--yes")


def experiment(deployed: Deployed, what: str) -> str:
    """The id of an experiment in MLflow, which is made (`make`) or must be there (`find`)."""
    return deployed.inside("-m", "tests.local.experiment", str(deployed.folder), what).split()[-1]


def test_killed_paused_and_public(deployed: Deployed) -> None:
    for step in ("Terraform: apply", "Apply complete!", "TASK ["):  # killed, it goes on from there
        deployed.killed(*FIRST, at=step)
    deployed.run(*FIRST)
    kept = experiment(deployed, "make")

    deployed.run("pause", "--yes")
    paused = deployed.status()
    assert any(each.startswith("mlflow") for each in paused["unknown"]), paused
    deployed.run("resume")
    assert experiment(deployed, "find") == kept
    deployed.run("upload", "--customers", "1500")
    assert deployed.retrain()["champion"] == "1", "what runs again also works"

    deployed.settings(mlflow="{ public = true }")
    deployed.run(*BOOTSTRAP)
    assert deployed.outputs()["mlflow"]["public_address"]
    deployed.settings(mlflow="")
    deployed.run(*BOOTSTRAP)
    assert not deployed.outputs()["mlflow"]["public_address"]
    assert experiment(deployed, "find") == kept


def test_its_cloud_and_its_host_restart(deployed: Deployed) -> None:
    """Without order, in both cases: the next command starts what does not run, and nothing is lost."""
    deployed.run(*FIRST)
    kept = experiment(deployed, "make")
    before = deployed.outputs()

    host.end(deployed.site.lab.group / "service-cloud")
    assert wait_until(lambda: is_whole(deployed), 60, 2), deployed.run("status", status=1)
    assert experiment(deployed, "find") == kept

    deployed.cut_power()
    begun = time.monotonic()
    assert wait_until(lambda: is_whole(deployed), 180, 2), deployed.run("status", status=1)
    print(f"measured from the cut to a status without unknowns: {time.monotonic() - begun:.0f} s")
    assert experiment(deployed, "find") == kept
    assert "everything is as the settings say" in deployed.run(*BOOTSTRAP)
    assert deployed.outputs() == before
    deployed.run("upload", "--customers", "1500")
    assert deployed.retrain()["champion"], "what runs again also works"


def is_whole(deployed: Deployed) -> bool:
    return deployed.status()["unknown"] == []


def test_an_own_database_and_back(deployed: Deployed) -> None:
    deployed.run(*FIRST)
    kept = experiment(deployed, "make")

    own = '{ kind = "vm", disk_gib = 20 }'
    deployed.settings(database=own)
    assert "would delete what has data and is protected" in deployed.run(*BOOTSTRAP, status=1)
    deployed.settings(database="", protect="false")
    deployed.run(*BOOTSTRAP)
    assert " made in " in deployed.run("backup")
    deployed.settings(database=own)
    deployed.run(*BOOTSTRAP)
    deployed.run("restore", "--backup", "latest", "--yes")
    assert experiment(deployed, "find") == kept
    assert deployed.on("database", "systemctl is-active postgresql@17-main").strip() == "active"

    size = "df --output=size -B1G /var/lib/postgresql | tail -1"
    small = int(deployed.on("database", size))
    deployed.settings(database='{ kind = "vm", disk_gib = 30 }')
    deployed.run(*BOOTSTRAP)
    assert int(deployed.on("database", size)) >= small + 9, "it has grown while PostgreSQL runs"
    assert experiment(deployed, "find") == kept

    deployed.run("backup")
    deployed.settings(database="")
    deployed.run(*BOOTSTRAP)
    deployed.run("restore", "--backup", "latest", "--yes")
    assert experiment(deployed, "find") == kept, "and back"


def test_two_side_by_side(deployed: Deployed, tmp_path: Path) -> None:
    """Of the same names and addresses, each in a network of its own; the end of one is nothing to the other."""
    deployed.run(*FIRST)
    kept = experiment(deployed, "make")
    second = Deployed(tmp_path / "second", listing())
    try:
        second.run(*FIRST)
        experiment(second, "make")
        assert deployed.outputs()["mlflow"]["internal_address"] == second.outputs()["mlflow"]["internal_address"]
        for each in (deployed, second):
            assert each.status()["unknown"] == []
        second.run("destroy", "--yes")
        assert (processes_of(second.site), second.left_behind()) == (set(), {})
    finally:
        second.remove()
    assert experiment(deployed, "find") == kept


def test_new_passwords_a_new_mlflow_and_the_end(deployed: Deployed) -> None:
    deployed.run(*FIRST)
    kept = experiment(deployed, "make")
    deployed.run("rotate", "--yes")
    deployed.run("upgrade")
    assert experiment(deployed, "find") == kept

    deployed.run("destroy", "--yes")
    assert not deployed.folder.exists()
    assert processes_of(deployed.site) == set()
    assert deployed.left_behind() == {}
