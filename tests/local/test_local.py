"""`make bootstrap TARGET=local`: the whole system on this host, two weeks on a real YARN, and nothing left of it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from stack.cli.run import main
from tests.local import pages
from tests.local.deployed import Deployed, heard_elsewhere, processes_of

pytestmark = pytest.mark.timeout(5400)


def test_one_life(deployed: Deployed) -> None:
    heard = heard_elsewhere()
    said = deployed.run("bootstrap", "--target", "local", "--engine", "yarn", "--yes")
    print("\n".join(line for line in said.splitlines() if line[2:3] == ":" and line.endswith(" s")))

    outputs = deployed.outputs()
    assert outputs["mlflow"]["internal_address"] == "10.231.7.10"
    facts = deployed.on("mlflow", "id -un; systemctl is-active nginx mlflow; systemd-detect-virt").split()
    assert facts == ["ops", "active", "active", "systemd-nspawn"]
    server = deployed.on("mlflow", f"getent hosts {outputs['database']['host']}").split()[0]
    assert server == "10.231.7.240", "PostgreSQL is another machine, at the name that the API gives"
    with deployed.ui() as said:
        assert deployed.page_status(said) == 401, "MLflow's page asks this host's browser for a password"

    assert "13 files" in deployed.run("upload", "--customers", "1500")
    found = deployed.retrain()
    assert (found["decision"]["action"], found["champion"]) == ("promote", "1"), found
    screen = deployed.status()
    assert screen["serving"]["value"]["version"] == "1", "MLflow is asked on its machine, through nginx"
    assert {each.split(":")[0] for each in screen["problems"]} == {"schedule"}, "two DAGs wait for a person"
    if shutil.which("chromium"):
        with deployed.ui() as said:
            pages.look(said)

    assert "/raw/: 2018-07-01.txt;" in deployed.run("upload", "--customers", "1500")
    found = deployed.retrain()
    assert found["versions"] == ["1", "2"], "a second week has made a second model"
    promoted = found["decision"]["action"] == "promote"
    assert found["champion"] == ("2" if promoted else "1"), found

    assert heard_elsewhere() <= heard, "all of it listens in its lab or on loopback"
    again = deployed.run("bootstrap", "--yes")
    assert "everything is as the settings say" in again
    assert "machines: skipped" in again.replace("[bold]", "").replace("[/]", "")

    deployed.run("destroy", "--yes")
    assert not deployed.folder.exists()
    assert processes_of(deployed.site) == set()
    assert deployed.left_behind() == {}


def test_it_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To whoever is not root, which this process says of itself."""
    folder = tmp_path / "deployment"
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(sys, "argv", ["stack", "bootstrap", "--state", str(folder), "--target", "local"])
    assert main() == 1
    assert "TARGET=local makes machines on this host: user id is 65534, needed is 0 (root)" in capsys.readouterr().err
    assert not folder.exists()
