"""Module `packages`: Debian's packages that must be there, or must not; next to nothing if all is so already."""

import fcntl
import glob
import os
import struct
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: packages
short_description: Installs or removes packages of Debian, if they are not as they should be
description:
  - As C(apt), by C(apt-get) itself. Where there is nothing to do it asks dpkg alone, in a tenth of the time, and a dry
    run needs nothing on the machine.
options:
  present:
    description: Packages that must be installed. Recommended ones are not.
    type: list
    elements: str
    default: []
  absent:
    description: Packages that must not; they go with their settings.
    type: list
    elements: str
    default: []
  lists_seconds:
    description: Age at which the lists of packages are fetched anew before something is installed.
    type: int
    default: 3600
  lock_seconds:
    description: >-
      How long another program that holds a lock of apt or dpkg is waited for: a new machine updates itself.
    type: int
    default: 600
  unlocked:
    description: Wait for nothing, change nothing, say in C(holders) who holds a lock now.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Programs
  packages:
    present: [nginx, fail2ban]

- name: The machine's own updates have ended
  packages:
    unlocked: true
  register: updates
  until: updates.holders | length == 0
  retries: 60
  delay: 10
"""

RETURN = """
packages:
  description: What was installed or removed.
  type: list
  elements: str
  returned: always
holders:
  description: Programs that hold a lock of apt or dpkg.
  type: list
  elements: str
  returned: with C(unlocked)
"""

LISTS = "/var/lib/apt/lists"
# All that apt and dpkg lock. apt itself waits for the first alone, and gives up at once at the lists' one.
LOCKS = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    LISTS + "/lock",
    "/var/cache/apt/archives/lock",
]
FLOCK = "hhqqi4x"  # struct flock of fcntl(2): type, whence, start, length, process
# Settings that somebody changed stay; what takes the lock between our look and apt's own is waited for.
OPTIONS = [
    "--assume-yes",
    "--quiet",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
    "--option=DPkg::Lock::Timeout=300",
]


def statuses(module, names):
    """Package -> its status, such as installed or config-files; those that dpkg does not know are left out."""
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names]
    _, output, _ = module.run_command(command)  # its status is 1 if one is unknown
    return dict(line.split() for line in output.splitlines())


def lists_are_old(seconds):
    """Whether the newest list is older than that, or there is none."""
    newest = max((os.stat(path).st_mtime for path in [*glob.glob(LISTS + "/*"), LISTS]), default=0)
    return not glob.glob(LISTS + "/*_Packages*") or time.time() - newest > seconds


def holder(path):
    """The program that holds a lock on the file, as `process N (command line)`; None if nobody does."""
    try:
        with open(path, "rb") as file:
            asked = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    if kind == fcntl.F_UNLCK:
        return None
    try:
        with open(f"/proc/{process}/cmdline", "rb") as line:
            command = line.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = "ended, or in another container"
    return f"process {process} ({command})"


def holders():
    return sorted({found for found in map(holder, LOCKS) if found})


def wait_unlocked(module):
    """Returns when nobody holds a lock; fails with the holders' names when the time is over."""
    seconds = module.params["lock_seconds"]
    end = time.monotonic() + seconds
    while found := holders():
        if time.monotonic() > end:
            who = ", ".join(found)
            module.fail_json(
                msg=f"After {seconds} s a lock of apt is still held by {who}. A new machine updates itself for some "
                "minutes: look at it with `systemctl status apt-daily apt-daily-upgrade cloud-final`, and run this "
                "again when it is done."
            )
        time.sleep(1)


def apt_get(module, *arguments):
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    command = ["apt-get", *OPTIONS, *arguments]
    status, output, errors = module.run_command(command, environ_update=environment)
    if status:
        told = f"`{' '.join(command)}` ended with {status}: {errors.strip()}"
        module.fail_json(msg=told, stdout=output, stderr=errors)
    return output


def main():
    names = {"type": "list", "elements": "str", "default": []}
    argument_spec = {
        "present": names,
        "absent": names,
        "lists_seconds": {"type": "int", "default": 3600},
        "lock_seconds": {"type": "int", "default": 600},
        "unlocked": {"type": "bool", "default": False},
    }
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    if module.params["unlocked"]:
        module.exit_json(changed=False, packages=[], holders=holders())
    wanted, unwanted = module.params["present"], module.params["absent"]
    known = statuses(module, wanted + unwanted)
    missing = [name for name in wanted if known.get(name) != "installed"]
    surplus = [name for name in unwanted if known.get(name, "not-installed") != "not-installed"]
    said = ""
    if (missing or surplus) and not module.check_mode:
        wait_unlocked(module)
    if missing and not module.check_mode:
        if lists_are_old(module.params["lists_seconds"]):
            apt_get(module, "update")
        said += apt_get(module, "--no-install-recommends", "install", *missing)
    if surplus and not module.check_mode:
        said += apt_get(module, "purge", *surplus)
    module.exit_json(changed=bool(missing or surplus), packages=missing + surplus, stdout=said)


if __name__ == "__main__":
    main()
