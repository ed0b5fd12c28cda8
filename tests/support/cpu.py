"""Processor time of a command with all that it starts, also of what has left its process tree: by a control group.

Where none can be made (no root, no cgroups), there is what the kernel says of the processes that were waited for.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Group:
    """A control group of version 1 (its controller `cpuacct`) or 2, below the one that this process is in."""

    folder: Path

    def take(self) -> None:
        """Puts the calling process into it, and so all that it will start."""
        with suppress(OSError):
            (self.folder / "cgroup.procs").write_text("0")

    def seconds(self) -> float:
        """What all of its processes have used so far, those that have ended too."""
        version_1 = self.folder / "cpuacct.usage"
        if version_1.exists():
            return int(version_1.read_text()) / 1e9
        figures = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(figures["usage_usec"]) / 1e6

    def remove(self) -> None:
        """It stays if something runs in it still, or has made groups in it."""
        with suppress(OSError):
            self.folder.rmdir()


def new_group(name: str) -> Group | None:
    """A group of that name, or None where this process can make none."""
    if (parent := own_folder()) is None:
        return None
    try:
        (parent / name).mkdir()
        return Group(parent / name)
    except OSError:
        return None


def used() -> float | None:
    """Processor seconds of all that was started in the group of this process so far."""
    folder = own_folder()
    return Group(folder).seconds() if folder else None


def own_folder() -> Path | None:
    """The folder of this process's own group that counts processor time."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    mine = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in mine:
        if "cpuacct" in controllers.split(","):
            of_cpuacct = [place for _, place, kind, options, *_ in mounts if kind == "cgroup" and "cpuacct" in options]
            return Path(of_cpuacct[0] + path) if of_cpuacct else None
    unified = [place for _, place, kind, *_ in mounts if kind == "cgroup2"]
    return Path(unified[0] + mine[-1][2]) if unified and mine else None
