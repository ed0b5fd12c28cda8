"""The user that cloud-init makes: a name that is free on Debian, and a command that does not fail for its group."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.terraform.running import MODULE

MASTERS = Path("/usr/share/base-passwd")
# Of base-passwd 3.6.1 (Debian 12) and 3.6.7 (13), where this machine has none.
DEBIAN = """root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody adm tty disk
kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users
nogroup"""


def taken() -> set[str]:
    names = re.search(r"taken_names = \[(.*?)\n  \]", (MODULE / "variables.tf").read_text(), re.S)
    assert names
    return set(re.findall(r'"([^"]+)"', names[1]))


def default() -> str:
    user = re.search(r'user +=\s*optional\(string, "([^"]+)"\)', (MODULE / "variables.tf").read_text())
    assert user
    return user[1]


def is_login(name: str) -> bool:
    """Whether the form alone does not refuse it."""
    return bool(re.fullmatch(r"[a-z][-a-z0-9]{0,30}", name))


def test_every_name_of_debian_is_refused() -> None:
    names = set(DEBIAN.split())
    for file in MASTERS.glob("*.master"):
        names |= {line.split(":")[0] for line in file.read_text().splitlines()}
    assert {name for name in names if is_login(name)} - taken() == set()
    assert default() not in taken()


def test_the_users_of_our_roles_are_refused() -> None:
    roles = MODULE.parent / "roles"
    users = {
        user
        for file in roles.glob("*/vars/main.yml")
        for user in re.findall(r"^_\w+_user: (\w+)$", file.read_text(), re.M)
    }
    assert users
    assert users - taken() == set()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("useradd") or not MASTERS.exists(), reason="root on Debian")
def test_the_command_of_cloud_init_makes_the_user_whatever_it_is_called(tmp_path: Path) -> None:
    """`useradd` refuses a user whose group exists, unless it is told of another group, as the template tells it."""
    (tmp_path / "etc").mkdir()
    for file in ("passwd", "group"):
        shutil.copy(MASTERS / f"{file}.master", tmp_path / "etc" / file)
    (tmp_path / "etc" / "shadow").touch()
    (tmp_path / "etc" / "login.defs").write_text("USERGROUPS_ENAB yes\n")  # Debian's
    template = (MODULE / "cloud-init.yaml.tftpl").read_text()
    group = re.search(r"^    primary_group: (\w+)$", template, re.M)
    assert group
    assert re.search(r"^    no_user_group: true$", template, re.M)

    def useradd(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["useradd", "--prefix", tmp_path, *options, "operator"], capture_output=True, text=True, timeout=60
        )

    plain = useradd()
    assert plain.returncode == 9, plain.stderr
    assert "group operator exists" in plain.stderr
    told = useradd("--no-user-group", "--gid", group[1])
    assert told.returncode == 0, told.stderr
