"""What a machine has installed is kept, and another begins with all of it, but nothing that made it that machine."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from local_cloud.machines import host, layers
from tests.roles.lab import Machines
from tests.support import ROOT
from tests.support.installation import INPUTS, INSTALL

NAME = "kind-debian-12-0123456789"
IDENTITY = "cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub"


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A layer of one file, over a base."""
    monkeypatch.setattr(host, "STATE", tmp_path)
    base = tmp_path / "bases" / "debian-12"
    base.mkdir(parents=True)
    return made(NAME, base)


def made(name: str, base: Path) -> Path:
    folder = layers.folder(name)
    layers.files(name).mkdir(parents=True)
    (layers.files(name) / "program").write_text("content")
    (folder / "seal.json").write_text(json.dumps({"base": str(base), "files": 1, "bytes": 7}))
    return folder


def test_a_whole_layer_can_be_used(layer: Path) -> None:
    assert layers.problem(NAME) is None


def remove(layer: Path) -> None:
    (layer / "seal.json").unlink()


def break_seal(layer: Path) -> None:
    (layer / "seal.json").write_text("{")


def lose_a_file(layer: Path) -> None:
    (layer / "files" / "program").unlink()


def cut_a_file(layer: Path) -> None:
    (layer / "files" / "program").write_text("con")


def lose_the_base(layer: Path) -> None:
    (layer.parents[1] / "bases" / "debian-12").rmdir()


def grow_old(layer: Path) -> None:
    then = time.time() - (layers.DAYS + 1) * 86400
    os.utime(layer / "seal.json", (then, then))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (remove, "there is no layer"),
        (break_seal, "the seal of layer kind-debian-12-0123456789 is damaged"),
        (lose_a_file, "0 files of 0 bytes, expected are 1 of 7"),
        (cut_a_file, "1 files of 3 bytes, expected are 1 of 7"),
        (lose_the_base, "over the base debian-12, which is gone"),
        (grow_old, "is 8 days old, at most 7 are allowed"),
    ],
)
def test_a_layer_that_cannot_be_used_says_why(layer: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(layer)
    assert said in (layers.problem(NAME) or "")


def test_the_newest_of_a_kind_and_those_in_use_are_kept(layer: Path, tmp_path: Path) -> None:
    base = tmp_path / "bases" / "debian-12"
    for number in range(1, 6):
        os.utime(made(f"kind-debian-12-{number}", base), (number, number))
    other = made("kind-debian-13-1", base)
    machine = tmp_path / "labs/lab/machines/one/machine.json"
    machine.parent.mkdir(parents=True)
    machine.write_text(json.dumps({"base": str(base), "layer": str(layers.files("kind-debian-12-1"))}))
    layers.prune("kind-debian-12")
    left = {path.name for path in layer.parent.iterdir()}
    assert left == {NAME, "kind-debian-12-5", "kind-debian-12-4", "kind-debian-12-1", other.name}


def test_every_file_that_the_installation_reads_is_in_its_hash() -> None:
    known = {path for pattern in INPUTS for path in ROOT.glob(pattern)}
    assert not [pattern for pattern in INPUTS if not list(ROOT.glob(pattern))]
    steps = [
        task["ansible.builtin.include_role"]
        for play in yaml.safe_load(INSTALL.read_text())
        for task in play["tasks"]
        if "ansible.builtin.include_role" in task
    ]
    assert steps
    for step in steps:
        role = ROOT / "roles" / step["name"]
        tasks = role / "tasks" / f"{step['tasks_from']}.yml"
        assert tasks in known
        assert not re.search(r"(include|import)_(tasks|role)", tasks.read_text()), f"{tasks} reads other files"
        for name in re.findall(r"lookup\('ansible\.builtin\.(?:file|template)', '([\w./-]+)'", tasks.read_text()):
            assert {role / "files" / name, role / "templates" / name} & known, f"{tasks} reads {name}"


@pytest.mark.verify
def test_a_machine_begins_with_what_another_has_installed(machines: Machines) -> None:
    layer = f"{machines.lab}-layer-1"
    try:
        machines("up", "first", "--debian=12")
        machines("ssh", "first", "sudo sh -c 'echo kept > /opt/kept; rm /usr/bin/perl'")
        first = machines("ssh", "first", IDENTITY).stdout.split()
        machines("keep", "first", layer)
        assert "first" not in machines("list").stdout
        machines("up", "second", f"--layer={layer}")
        second = machines("ssh", "second", IDENTITY).stdout.split()
        assert (
            machines("ssh", "second", "cat /opt/kept; test -e /usr/bin/perl || echo no perl").stdout
            == "kept\nno perl\n"
        )
        assert machines("ssh", "second", "hostname; id -un").stdout == "second\ndeploy\n"
        assert not set(first) & set(second)
        assert "there is no layer" in machines("up", "third", "--layer=none-1", check=False).stderr
        machines("down", "second")
    finally:
        for name in layers.folder(layer).parent.glob(f"{layer}*"):
            shutil.rmtree(name)
