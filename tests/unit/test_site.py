"""A deployment on this host: what runs its jobs is chosen once, and its commands name it."""

import os
from pathlib import Path

import pytest

from local_cloud.machines import host
from stack.cloud.deployment import Deployment
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.lab import commands, programs
from stack.lab.site import Site


@pytest.mark.parametrize(("engine", "kept", "preset"), [(None, "local", "s3-c4-m16"), ("yarn", "yarn", "s3-c2-m8")])
def test_the_engine_is_chosen_when_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str | None, kept: str, preset: str
) -> None:
    site = Site(tmp_path / "deployment")
    site.make(engine)
    assert programs.cloud_config(site)["engine"] == kept
    assert f'compute_preset = "{preset}"' in (site.project / "terraform" / "terraform.tfvars").read_text()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    other = {"local": "yarn", "yarn": "local"}[kept]
    with pytest.raises(StackError, match=f"was made with ENGINE={kept}, not {other}"):
        commands.make(site.folder, other)


@pytest.mark.parametrize(
    ("folder", "argument"),
    [(ROOT / ".cloud", ""), (ROOT / ".local", " TARGET=local"), (Path("/srv/two"), " CLOUD=/srv/two")],
)
def test_commands_name_the_deployment_that_is_meant(folder: Path, argument: str) -> None:
    assert Deployment(folder).argument == argument


def test_what_a_host_refuses_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise host.MachineError("no pip is told which index to use")

    monkeypatch.setattr(programs, "start", refuse)
    with pytest.raises(StackError, match=r"^no pip is told which index to use\.$"):
        commands.run_inside(tmp_path, ["status"])
