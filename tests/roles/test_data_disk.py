"""The role data_disk: data outlive the machine's own disk, grow in place, and are never lost."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from local_cloud.machines import base, host, layers
from tests.roles.lab import Machines
from tests.support import ROOT
from tests.support.installation import layer_names
from tests.support.machines import TOOLS
from tests.support.playbooks import changed

pytestmark = pytest.mark.verify

DISK, OTHER = "/dev/disk/by-id/virtio-data", "/dev/disk/by-id/virtio-other"
PLACE = "/srv/data"
# A minimal Debian 13 has no ext4.
EXT4 = "command -v mkfs.ext4 || { apt-get -qq update; apt-get -qq --yes install e2fsprogs; } 2>&1"
PLAY = [
    {
        "hosts": "keeper",
        "become": True,
        "gather_facts": False,
        "vars": {"data_disk_path": PLACE, "data_disk_owner": "keeper", "data_disk_unit": "keeper.service"},
        "roles": [{"role": "data_disk"}],
    }
]
Play = Callable[..., "subprocess.CompletedProcess[str]"]
Ask = Callable[[str], str]


@cache
def up() -> tuple[str, ...]:
    """The command that makes the machine or boots it; with the programs of the file system, if a layer has them."""
    layer = layer_names(base.DEFAULT)["stack-db"]
    begin_with = "" if layers.problem(layer) else layer
    return ("up", "keeper", "--disk=data=512M", "--disk=other=64M", f"--layer={begin_with}")


@pytest.fixture(scope="module")
def lab(machines: Machines) -> Iterator[Machines]:
    machines(*up())
    yield machines
    machines("down", "keeper")


@pytest.fixture(scope="module")
def ask(lab: Machines) -> Ask:
    """What root is told by a shell on the machine."""

    def told(script: str) -> str:
        return lab("ssh", "keeper", f"sudo sh -euc '{script}'").stdout.strip()

    return told


@pytest.fixture(scope="module")
def play(lab: Machines, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The role by `ansible-playbook`, with these variables."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "play.yml").write_text(json.dumps(PLAY))
    (folder / "inventory.yml").write_text(lab("inventory").stdout)

    def played(*options: str, fails: bool = False, **variables: object) -> "subprocess.CompletedProcess[str]":
        given = json.dumps({"data_disk_device": DISK} | variables)
        command = [TOOLS / "ansible-playbook", f"--inventory={folder}/inventory.yml", f"--extra-vars={given}", *options]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
        done = subprocess.run(
            [*command, folder / "play.yml"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode != 0) == fails, done.stdout[-4000:] + done.stderr[-2000:]
        return done

    return played


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """Its words with single spaces, and without the backslashes of quoting."""
    return " ".join(done.stdout.replace("\\", "").split())


def size(ask: Ask) -> int:
    """MiB of the file system of the data."""
    return int(ask(f"df --output=size -BM {PLACE} | tail -1").strip().rstrip("M"))


def test_a_machine_without_a_disk_is_left_alone(play: Play) -> None:
    assert changed(play(data_disk_device="").stdout) == {"keeper": 0}


def test_an_empty_disk_is_mounted_and_then_nothing_is_left_to_do(play: Play, ask: Ask) -> None:
    assert changed(play().stdout)["keeper"] > 0
    kind, options = ask(f"findmnt --noheadings --output FSTYPE,OPTIONS {PLACE}").split()
    assert kind == "xfs"
    assert options.startswith("rw,nosuid,nodev,noexec,noatime")
    ask(f"echo kept > {PLACE}/file; chown keeper: {PLACE}/file")
    assert changed(play().stdout) == {"keeper": 0}
    assert ask(f"stat -c %U {PLACE} {PLACE}/file").split() == ["keeper", "keeper"]


def test_a_dry_run_says_what_it_would_do(play: Play, ask: Ask) -> None:
    done = play("--check", data_disk_device=OTHER, data_disk_path="/srv/other")
    assert changed(done.stdout) == {"keeper": 2}, done.stdout
    assert ask(f"wipefs {OTHER}; ls /srv/other 2>&1 || true").endswith("No such file or directory")


def test_a_disk_that_has_grown_is_filled_while_it_is_in_use(lab: Machines, play: Play, ask: Ask) -> None:
    before = size(ask)
    ask(f"systemd-run --unit=user-of-data tail --follow {PLACE}/file")
    lab("disk", "keeper", "data", "1G")
    assert changed(play().stdout) == {"keeper": 1}
    assert size(ask) >= before + 500
    assert ask("systemctl is-active user-of-data; systemctl stop user-of-data") == "active"
    assert changed(play().stdout) == {"keeper": 0}
    assert "may grow, not shrink" in lab("disk", "keeper", "data", "512M", check=False).stderr


def test_the_data_are_there_after_a_reboot_before_anybody_asks(lab: Machines, ask: Ask) -> None:
    lab("stop", "keeper")
    lab(*up())
    assert ask(f"cat {PLACE}/file; systemctl is-active srv-data.mount").split() == ["kept", "active"]


def test_another_system_disk_finds_the_data(lab: Machines, play: Play, ask: Ask) -> None:
    """The machine is removed with its disk; on the next one the owner has another number."""
    before = ask(f"stat -c %u {PLACE}/file")
    lab("down", "keeper")
    lab(*up())
    ask("useradd --system somebody; useradd --system somebody-else")
    assert ask(f"ls {PLACE} 2>&1 || true").endswith("No such file or directory")
    play()
    assert ask(f"cat {PLACE}/file") == "kept"
    assert ask(f"stat -c %U {PLACE}/file") == "keeper"
    assert ask(f"stat -c %u {PLACE}/file") != before
    assert size(ask) > 900


def refusal(lab: Machines, **given: str) -> str:
    """What the role's program says before it would mount the disk; by itself, since a play has nothing to add."""
    whole = {"device": DISK, "path": PLACE, "owner": "keeper", "move": "", "check": False} | given
    command = f"sudo python3 - prepare {shlex.quote(json.dumps(whole))}"
    with open(ROOT / "roles/data_disk/files/data_disk.py") as program:
        done = subprocess.run(
            lab.command("ssh", "keeper", command), stdin=program, capture_output=True, text=True, cwd=ROOT
        )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (f"{EXT4} > /dev/null; mkfs.ext4 -q -F -L photos {OTHER}", "ext4 (label photos)"),
        (f"mkswap {OTHER}", "swap (label none)"),
        (
            f"echo something | dd of={OTHER} bs=1 seek=4096 conv=notrunc status=none",
            "bytes of no kind that wipefs knows",
        ),
        (
            f"echo something | dd of={OTHER} bs=1 seek=67108000 conv=notrunc status=none",
            "bytes of no kind that wipefs knows",
        ),
    ],
)
def test_what_somebody_else_wrote_is_never_formatted(lab: Machines, ask: Ask, write: str, what: str) -> None:
    ask(
        f"wipefs --quiet --all {OTHER}; dd if=/dev/zero of={OTHER} bs=1M count=64 status=none; {write} >/dev/null; sync"
    )
    before = ask(f"sha256sum {OTHER}")
    told = refusal(lab, device=OTHER, path="/srv/other")
    assert f"is neither empty nor the xfs labelled fraud-data that this role makes: it has {what}." in told
    assert f"`wipefs {OTHER}`" in told
    assert ask(f"sha256sum {OTHER}") == before


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"device": "/dev/disk/by-id/virtio-none"}, "/dev/disk/by-id has virtio-data virtio-other"),
        ({"path": "/srv/elsewhere"}, f"is mounted on {PLACE}, expected is /srv/elsewhere"),
        ({"device": OTHER, "path": "/tmp"}, "/tmp is the mount point of device"),
    ],
)
def test_a_wrong_disk_or_place_is_refused(lab: Machines, given: dict[str, str], expected: str) -> None:
    assert expected in refusal(lab, **given)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"data_disk_device": "/dev/vdb"}, "data_disk_device is `/dev/vdb`, expected is a link such as"),
        ({"data_disk_path": "/srv/my-data"}, "data_disk_path is `/srv/my-data`, expected is a path of a-z, 0-9 and _"),
    ],
)
def test_a_name_that_may_change_is_refused(play: Play, variables: dict[str, str], expected: str) -> None:
    assert expected in said(play(fails=True, **variables))


def test_data_on_the_system_disk_are_not_hidden_but_moved_on_request(lab: Machines, play: Play, ask: Ask) -> None:
    ask(f"umount {PLACE}; rm /etc/systemd/system/srv-data.mount; systemctl daemon-reload; echo other > {PLACE}/file")
    told = refusal(lab, move="keeper.service")
    assert f"{DISK} has file, and {PLACE} on the system disk file: only one of them can be the data" in told
    ask(f"wipefs --quiet --all {DISK}; dd if=/dev/zero of={DISK} bs=1M count=1 status=none")
    done = said(play(fails=True))
    assert f"{PLACE} on the system disk has file, which {DISK} would hide" in done
    assert "-e data_disk_move=true" in done
    assert ask(f"wipefs {DISK}; cat {PLACE}/file") == "other"
    play(data_disk_move=True)
    assert ask(f"cat {PLACE}/file; findmnt --noheadings --output FSTYPE {PLACE}; cat {PLACE}.system/file").split() == [
        "other",
        "xfs",
        "other",
    ]
    assert changed(play().stdout) == {"keeper": 0}


def test_a_machine_without_its_disk_boots_and_what_needs_the_data_does_not_start(lab: Machines, ask: Ask) -> None:
    unit = f"[Unit]\nRequiresMountsFor={PLACE}\n[Service]\nExecStart=/usr/bin/sleep 99\n"
    unit += "[Install]\nWantedBy=multi-user.target\n"
    ask(f'printf "{unit}" > /etc/systemd/system/user.service; systemctl enable --quiet user.service')
    lab("stop", "keeper")
    record = host.STATE / "labs" / lab.lab / "machines" / "keeper" / "machine.json"
    whole = record.read_text()
    record.write_text(json.dumps(json.loads(whole) | {"disks": ["other"]}))
    try:
        lab(*up())
        assert ask("systemctl is-active user.service srv-data.mount || true").split() == ["inactive", "failed"]
    finally:
        lab("stop", "keeper")
        record.write_text(whole)
    lab(*up())
    assert ask("systemctl is-active user.service srv-data.mount").split() == ["active", "active"]


def test_a_lab_that_is_removed_leaves_no_device(machines: Machines, tmp_path: Path) -> None:
    other = Machines(f"{machines.lab}-b")
    other("up", "gone", "--disk=data=512M")
    images = host.STATE / "labs" / other.lab / "disks"
    assert str(images) in host.run("losetup", "--list")
    other("down", "--all")
    assert str(images) not in host.run("losetup", "--list")
    assert not list(images.iterdir())
    assert "'512' is no size" in other("up", "gone", "--disk=data=512", check=False).stderr
    assert other.lab not in host.run("ip", "netns", "list")
    shutil.rmtree(images.parent)
