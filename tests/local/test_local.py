"""`make bootstrap TARGET=local`: the whole system on this host, one retrain that promotes, and nothing left of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.deployed import Deployed, listing, processes_of
from tests.support import ROOT

pytestmark = pytest.mark.timeout(5400)


def test_one_life(deployed: Deployed) -> None:
    before = listing()
    said = deployed.run("bootstrap", "--target", "local", "--yes")
    print("\n".join(line for line in said.splitlines() if line[2:3] == ":" and line.endswith(" s")))

    outputs = deployed.outputs()
    assert outputs["mlflow"]["internal_address"] == "10.231.7.10"
    facts = deployed.on("mlflow", "id -un; systemctl is-active nginx mlflow; systemd-detect-virt").split()
    assert facts == ["ops", "active", "active", "systemd-nspawn"]
    server = deployed.on("mlflow", f"getent hosts {outputs['database']['host']}").split()[0]
    assert server == "10.231.7.240", "PostgreSQL is another machine, at the name that the API gives"
    assert deployed.ui() == 401, "MLflow's page asks this host's browser for a password"

    assert "13 files" in deployed.run("upload", "--customers", "1500")
    found = json.loads(deployed.inside("-m", "tests.local.retrain", str(deployed.folder)).splitlines()[-1])
    assert (found["decision"]["action"], found["champion"]) == ("promote", "1"), found
    screen = json.loads(deployed.run("status", "--json"))
    assert screen["champion"], "MLflow is asked on its machine, through nginx"

    again = deployed.run("bootstrap", "--yes")
    assert "everything is as the settings say" in again
    assert "machines: skipped" in again.replace("[bold]", "").replace("[/]", "")

    deployed.run("destroy", "--yes")
    assert not deployed.folder.exists()
    assert processes_of(deployed.site) == set()
    assert listing() == before


def test_it_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FRAUD_TERRAFORM_SCHEMA"}
    folder = tmp_path / "deployment"
    line = [sys.executable, "-m", "stack", "bootstrap", "--state", str(folder), "--target", "local"]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the folder with the schema of Terraform's provider" in done.stderr
    assert not folder.exists()
