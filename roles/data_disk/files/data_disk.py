"""A disk for data of their own: checked, given a file system if it is empty, filled by it when the disk has grown.

data_disk.py prepare JSON    before it is mounted; says which device to mount ("mount: DEVICE")
data_disk.py finish JSON     after it is mounted

JSON: `device`, `path`, `owner`, `move` (unit that uses the path and is stopped, or ""), `check` (change nothing).
Says "changed: …" for what it did or, with `check`, would do. Standard library and Debian's programs only.
"""

import contextlib
import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile

LABEL = "fraud-data"
ENDS = 1 << 20  # bytes at the beginning and at the end of an empty disk that must be zero


def run(*command):
    """Standard output of a program.

    Raises:
        SystemExit: it failed; with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit("`{}` failed with status {}: {}".format(" ".join(command), done.returncode, done.stderr.strip()))
    return done.stdout


def refuse(text):
    sys.exit(f"{text} Nothing was changed on {socket.gethostname()}.")


def device_number(path):
    """Major and minor number of a block device, as /proc/self/mountinfo has them; None if it is none."""
    with contextlib.suppress(OSError):
        found = os.stat(path)
        if stat.S_ISBLK(found.st_mode):
            return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return None


def mounts():
    """Mount point -> number of its device; of several at one place the last, which is the one that is seen."""
    with open("/proc/self/mountinfo") as lines:
        return {line.split()[4]: line.split()[2] for line in lines}


def signatures(device):
    """What is on it, by all that wipefs knows: file systems, partition tables, parts of RAID and LVM."""
    said = run("wipefs", "--json", "--output", "TYPE,LABEL,UUID", device)
    return json.loads(said)["signatures"] if said.strip() else []


def is_blank(device):
    """Whether both ends of it are zeros."""
    with open(device, "rb") as disk:
        size = disk.seek(0, os.SEEK_END)
        for begin in (0, max(0, size - ENDS)):
            disk.seek(begin)
            if disk.read(ENDS).strip(b"\0"):
                return False
    return True


def entries(path):
    return sorted(set(os.listdir(path)) - {"lost+found"}) if os.path.isdir(path) else []


def kind_of(device):
    """ "empty" or "ours"; refuses what somebody else wrote."""
    found = signatures(device)
    if [(each["type"], each["label"]) for each in found] == [("xfs", LABEL)]:
        return "ours"
    if not found and is_blank(device):
        return "empty"
    what = ", ".join("{} (label {})".format(each["type"], each["label"] or "none") for each in found)
    refuse(
        f"{device} is neither empty nor the xfs labelled {LABEL} that this role makes: it has "
        f"{what or 'bytes of no kind that wipefs knows'}. See what it is with `wipefs {device}` and attach another "
        f"disk; if nothing on it is needed, `wipefs --all {device} && blkdiscard --zeroout {device}` empties it."
    )


@contextlib.contextmanager
def mounted(device):
    """Its file system, where nobody else looks."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        run("mount", "-t", "xfs", device, folder)
        try:
            yield folder
        finally:
            run("umount", folder)


def prepare(given):
    device, path = given["device"], given["path"]
    number = device_number(device)
    if number is None:
        there = " ".join(entries("/dev/disk/by-id")) or "nothing"
        refuse(
            f"There is no disk {device}; /dev/disk/by-id has {there}. Attach it (Terraform: device_name of "
            'secondary_disk), or say that this machine has none: data_disk_device: "".'
        )
    places = mounts()
    elsewhere = [place for place, each in places.items() if each == number and place != path]
    if elsewhere:
        place = elsewhere[0]
        refuse(f"{device} is mounted on {place}, expected is {path}: `umount {place}`, or set data_disk_path.")
    if path in places and places[path] != number:
        found = places[path]
        refuse(f"{path} is the mount point of device {found}, expected is {device} ({number}): `findmnt {path}`.")
    kind = kind_of(device)
    if path not in places:
        begin(given, kind, entries(path))
    # Where there is no udev, as in a container, there are no links by UUID.
    by_uuid = "/dev/disk/by-uuid/{}".format((signatures(device) or [{"uuid": "none"}])[0]["uuid"])
    print("mount:", by_uuid if os.path.exists(by_uuid) else device)


def begin(given, kind, hidden):
    """Makes the file system if there is none, and moves onto it what lies at the mount point, if that is asked for."""
    device, path = given["device"], given["path"]
    if hidden and kind == "ours" and not given["check"]:
        with mounted(device) as folder:
            kept = entries(folder)
        if kept:
            refuse(
                f"{device} has {', '.join(kept)}, and {path} on the system disk {', '.join(hidden)}: only one of them "
                f"can be the data. To take the disk's, move the other away: `mv {path} {path}.system`; then again."
            )
    if hidden and not given["move"]:
        refuse(
            f"{path} on the system disk has {', '.join(hidden)}, which {device} would hide. To move it there, which "
            "stops what uses it for that time: ansible-playbook site.yml -e data_disk_move=true"
        )
    if kind == "empty":
        if not given["check"]:
            run("mkfs.xfs", "-q", "-L", LABEL, device)
        print(f"changed: file system on {device}")
    if hidden:
        if not given["check"]:
            move(given)
        print(f"changed: {', '.join(hidden)} moved from {path} to {device}; the old ones are {path}.system")


def move(given):
    path = given["path"]
    if run("systemctl", "show", "--property=LoadState", "--value", given["move"]).strip() == "loaded":
        run("systemctl", "stop", given["move"])
    with mounted(given["device"]) as folder:
        run("cp", "--archive", "--one-file-system", path + "/.", folder)
    os.rename(path, path + ".system")
    os.mkdir(path, 0o755)


def finish(given):
    path, owner = given["path"], given["owner"]
    number = mounts().get(path)
    if number != device_number(given["device"]):
        refuse("{} is not {} but device {}: `systemctl status {}`".format(path, given["device"], number, path))
    own(path, owner)
    for line in run("xfs_growfs", "-d", path).splitlines():
        if line.startswith("data blocks changed"):
            print(f"changed: file system of {path} has grown, {line}")


def own(path, owner):
    """The owner's, whatever number they had on the machine that the disk comes from."""
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        # As Debian's package would make them; it takes the one that is there.
        run("useradd", "--system", "--user-group", "--home-dir", path, "--shell", "/bin/bash", owner)
        print(f"changed: user {owner}")
        user = pwd.getpwnam(owner)
    wanted = (user.pw_uid, grp.getgrnam(owner).gr_gid)
    others = 0
    for place, folders, files in os.walk(path):
        for each in [place] + [os.path.join(place, name) for name in folders + files]:
            found = os.lstat(each)
            if (found.st_uid, found.st_gid) != wanted:
                os.chown(each, *wanted, follow_symlinks=False)
                others += 1
    if others:
        print(f"changed: {others} files are {owner}'s")


if __name__ == "__main__":
    {"prepare": prepare, "finish": finish}[sys.argv[1]](json.loads(sys.argv[2]))
