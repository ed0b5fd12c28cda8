"""Labs have the same addresses: whatever finds a machine by its address must ask in its own lab."""

from pathlib import Path

import pytest
import yaml

from local_cloud.machines import host
from local_cloud.machines.lab import Lab
from tests.support import ROOT

INVENTORIES = sorted((ROOT / "molecule").glob("*/inventory.yml"))


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.parent.name)
def test_a_scenario_runs_in_any_lab(inventory: Path) -> None:
    given = yaml.safe_load(inventory.read_text())["all"]["vars"]
    assert "'MACHINES_LAB'" in given["machines_lab"]
    for name in ("ansible_ssh_common_args", "ansible_control_path_dir"):
        assert "machines_lab" in given[name] or "machines_folder" in given[name], f"{name} is the same in every lab"


def test_a_kept_connection_of_an_earlier_machine_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "STATE", tmp_path)
    lab = Lab("some")
    lab.forget_connections()  # there is no lab yet
    lab.connections.mkdir(parents=True)
    (lab.connections / "0e4afce7ea").touch()
    lab.forget_connections()
    assert list(lab.connections.iterdir()) == []
