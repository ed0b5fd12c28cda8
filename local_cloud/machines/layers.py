"""Layers: what a machine has installed, kept as an image over its base, so that the next one begins with it.

A layer is the upper directory of an overlay (STATE/layers/NAME/files) and a seal beside it. Its name ends in a hash of
what it was made from: whoever makes it chooses that hash, and a change of it makes another layer. NAME without the hash
is its kind; the newest three of a kind are kept.
"""

import json
import os
import shutil
import time
from pathlib import Path

from local_cloud.machines import host
from local_cloud.machines.lab import checked
from local_cloud.machines.machine import Machine

KEPT = 3  # of a kind
DAYS = 7  # afterwards Debian's archive has newer packages, which a bare machine would get


def folder(name: str) -> Path:
    return host.STATE / "layers" / checked(name)


def files(name: str) -> Path:
    return folder(name) / "files"


def problem(name: str) -> str | None:
    """Why a machine cannot begin with that layer; None if it can."""
    try:
        seal = json.loads((folder(name) / "seal.json").read_text())
        base, count, size = Path(seal["base"]), int(seal["files"]), int(seal["bytes"])
    except FileNotFoundError:
        return f"there is no layer {name} yet"
    except (ValueError, KeyError, TypeError):
        return f"the seal of layer {name} is damaged"
    if not base.is_dir():
        return f"layer {name} lies over the base {base.name}, which is gone"
    age = (time.time() - (folder(name) / "seal.json").stat().st_mtime) / 86400
    if age > DAYS:
        return f"layer {name} is {age:.0f} days old, at most {DAYS} are allowed"
    found = content(files(name))
    if found != (count, size):
        return f"layer {name} is damaged: {found[0]} files of {found[1]} bytes, expected are {count} of {size}"
    return None


def content(path: Path) -> tuple[int, int]:
    """Number of entries below a directory, and bytes in its plain files."""
    count = size = 0
    for place, folders, names in os.walk(path):
        count += len(folders) + len(names)
        for name in names:
            size += os.lstat(os.path.join(place, name)).st_size
    return count, size


def keep(machine: Machine, name: str) -> None:
    """Shuts the machine down, takes from its disk what makes it that machine, keeps the rest, removes the machine.

    Only a machine that has no secret but its own keys may be kept; if the layer exists by then, the newer stays.
    """
    record, part = machine.record, folder(name).with_suffix(".new")
    machine.stop()
    machine.forget()
    machine.unmount()
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    (machine.folder / "upper").rename(part / "files")
    count, size = content(part / "files")
    seal = {"base": record.base, "files": count, "bytes": size}
    (part / "seal.json").write_text(json.dumps(seal) + "\n")
    machine.down()
    shutil.rmtree(folder(name), ignore_errors=True)
    part.rename(folder(name))
    prune(name.rpartition("-")[0])


def prune(kind: str) -> None:
    """Removes all but the newest of a kind, and none that a machine uses."""
    found = [path for path in folder(kind).parent.glob(f"{kind}-*") if path.name.rpartition("-")[0] == kind]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        if path / "files" not in used():
            shutil.rmtree(path)


def used() -> set[Path]:
    """Every base and every layer that a machine of any lab lies over."""
    records = [json.loads(path.read_text()) for path in host.STATE.glob("labs/*/machines/*/machine.json")]
    return {Path(record["base"]) for record in records} | {
        Path(record["layer"]) for record in records if record["layer"]
    }


def clean() -> list[Path]:
    """Removes layers and bases that no machine uses, and returns them."""
    taken = used()
    unused = [path.parent for path in (host.STATE / "layers").glob("*/files") if path not in taken]
    unused += [path for path in (host.STATE / "bases").glob("*") if path not in taken]
    for path in unused:
        shutil.rmtree(path)
    return unused
