"""Disks beside a machine's own: image files on loop devices, which stay when the machine goes.

A machine has disk NAME as /dev/disk/by-id/virtio-NAME, as a cloud's machine has a disk of that device name.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from local_cloud.machines import host
from local_cloud.machines.lab import Lab, checked

SIZE = re.compile(r"([1-9]\d*)([MG])")
UNIT = {"M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Disk:
    """One disk of one machine; its file has as many bytes as the disk, and takes up what was written.

    `key` is what the disk is called beside all machines, if it may go from one to another.
    """

    lab: Lab
    machine: str
    name: str
    key: str = ""

    @classmethod
    def of(cls, lab: Lab, machine: str, told: str) -> "Disk":
        """The disk that a machine's record tells of: NAME, or NAME,KEY."""
        name, _, key = told.partition(",")
        return cls(lab, machine, name, key)

    @property
    def file(self) -> Path:
        return (
            folder(self.lab)
            / f"{checked(self.key) if self.key else f'{checked(self.machine)}-{checked(self.name)}'}.img"
        )

    @property
    def device(self) -> str | None:
        """The loop device that it is on; None while no machine has it."""
        found = host.run("losetup", "--noheadings", "--output", "NAME", "--associated", self.file).split()
        return found[0] if found else None

    def size_to(self, size: str) -> None:
        """Makes it, or lets it grow, also under a machine that runs.

        Raises:
            MachineError: `size` is no size, or smaller than the disk is.
        """
        wanted = parsed(size)
        now = self.file.stat().st_size if self.file.exists() else 0
        if wanted < now:
            raise host.MachineError(
                f"disk {self.name} of {self.machine} has {now >> 20}M; it may grow, not shrink to {size}"
            )
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        host.run("truncate", f"--size={wanted}", self.file)
        if device := self.device:
            host.run("losetup", "--set-capacity", device)

    def attach(self) -> str:
        """The loop device, made unless there is one."""
        if not self.file.exists():
            raise host.MachineError(
                f"disk {self.name} of {self.machine} is gone ({self.file}); make another: "
                f"disk {self.machine} {self.name} SIZE"
            )
        return self.device or host.run("losetup", "--show", "--find", self.file).strip()

    def detach(self) -> None:
        if device := self.device:
            host.run("losetup", "--detach", device)

    def remove(self) -> None:
        self.detach()
        self.file.unlink(missing_ok=True)


def folder(lab: Lab) -> Path:
    return lab.folder / "disks"


def parsed(size: str) -> int:
    """Bytes of a size such as 512M or 2G."""
    if not (found := SIZE.fullmatch(size)):
        raise host.MachineError(f"{size!r} is no size; expected is a number of M or G, such as 512M or 2G")
    return int(found[1]) * UNIT[found[2]]


def split(text: str) -> tuple[str, str]:
    """What the record says (NAME or NAME,KEY) and the size of NAME=SIZE[,KEY], as `up --disk` takes it."""
    name, _, rest = text.partition("=")
    size, comma, key = rest.partition(",")
    parsed(size)
    return checked(name) + (comma and f",{checked(key)}"), size


def remove_all(lab: Lab) -> None:
    """Every disk of the lab; its machines must be down."""
    for file in folder(lab).glob("*.img"):
        for device in host.run("losetup", "--noheadings", "--output", "NAME", "--associated", file).split():
            host.run("losetup", "--detach", device)
        file.unlink()
