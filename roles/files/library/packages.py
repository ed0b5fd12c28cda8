"""Module `packages`: Debian's packages that must be there, or must not; next to nothing if all is so already."""

import glob
import os
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
"""

EXAMPLES = """
- name: Programs
  packages:
    present: [nginx, fail2ban]
"""

RETURN = """
packages:
  description: What was installed or removed.
  type: list
  elements: str
  returned: always
"""

LISTS = "/var/lib/apt/lists"
# Settings that somebody changed stay; another apt that is at work is waited for.
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
    argument_spec = {"present": names, "absent": names, "lists_seconds": {"type": "int", "default": 3600}}
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    wanted, unwanted = module.params["present"], module.params["absent"]
    known = statuses(module, wanted + unwanted)
    missing = [name for name in wanted if known.get(name) != "installed"]
    surplus = [name for name in unwanted if known.get(name, "not-installed") != "not-installed"]
    said = ""
    if missing and not module.check_mode:
        if lists_are_old(module.params["lists_seconds"]):
            apt_get(module, "update")
        said += apt_get(module, "--no-install-recommends", "install", *missing)
    if surplus and not module.check_mode:
        said += apt_get(module, "purge", *surplus)
    module.exit_json(changed=bool(missing or surplus), packages=missing + surplus, stdout=said)


if __name__ == "__main__":
    main()
