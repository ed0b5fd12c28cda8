"""The module `packages` asks dpkg, and apt-get only if something is to be done (programs in their place, no root)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.roles.modules import called

Packages = Callable[..., dict[str, Any]]
DPKG = """#!/bin/sh
printf '%s\\n' 'nginx installed' 'telnet installed' 'talk config-files' 'nis not-installed'
echo 'dpkg-query: no packages found matching certbot' >&2
exit 1
"""
APT_GET = """#!/bin/sh
echo "$@" >> "$0.calls"
case "$*" in *broken*) echo 'E: Unable to locate package broken' >&2; exit 100 ;; esac
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    """What the module says; `asked` are apt-get's calls without its options."""
    for name, text in {"dpkg-query": DPKG, "apt-get": APT_GET}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def asked(check: bool = False, fails: bool = False, **given: Any) -> dict[str, Any]:
        (tmp_path / "apt-get.calls").write_text("")
        told = called("packages", check, fails, {"LOCKS": [str(tmp_path / "lock")]}, **given)
        calls = (tmp_path / "apt-get.calls").read_text().splitlines()
        words = [[word for word in call.split() if not word.startswith("--option")] for call in calls]
        return told | {"asked": [" ".join(each) for each in words if each[-1] != "update"]}

    return asked


def test_nothing_is_asked_of_apt_if_all_is_as_it_should_be(packages: Packages) -> None:
    told = packages(present=["nginx"], absent=["nis", "rsh-client"])
    assert not told["changed"]
    assert told["asked"] == []


def test_what_is_missing_is_installed_and_what_is_too_much_is_purged(packages: Packages) -> None:
    told = packages(present=["nginx", "certbot", "talk"], absent=["telnet"])
    assert told["packages"] == ["certbot", "talk", "telnet"]
    assert told["asked"] == [
        "--assume-yes --quiet --no-install-recommends install certbot talk",
        "--assume-yes --quiet purge telnet",
    ]


def test_what_left_its_settings_is_purged(packages: Packages) -> None:
    assert packages(absent=["talk"])["packages"] == ["talk"]


def test_a_dry_run_says_it_and_asks_nothing(packages: Packages) -> None:
    told = packages(check=True, present=["certbot"], absent=["telnet"])
    assert told["changed"]
    assert told["packages"] == ["certbot", "telnet"]
    assert told["asked"] == []


def test_a_refusal_of_apt_is_told(packages: Packages) -> None:
    told = packages(fails=True, present=["broken"])
    assert "ended with 100: E: Unable to locate package broken" in told["msg"]


# As apt and dpkg lock: fcntl's lock of a process, not flock's.
HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "held\n"
        yield program
        program.kill()


def test_who_holds_a_lock_is_told(packages: Packages, locked: subprocess.Popen[str]) -> None:
    (holder,) = packages(unlocked=True)["holders"]
    assert holder.startswith(f"process {locked.pid} (")
    assert sys.executable in holder
    locked.communicate("")
    assert packages(unlocked=True)["holders"] == []


def test_a_lock_that_is_held_too_long_is_refused_with_its_holder(
    packages: Packages, locked: subprocess.Popen[str]
) -> None:
    told = packages(fails=True, present=["certbot"], lock_seconds=0)
    assert f"After 0 s a lock of apt is still held by process {locked.pid} (" in told["msg"]
    assert told["asked"] == []


def test_a_lock_matters_only_if_something_is_to_be_done(packages: Packages, locked: subprocess.Popen[str]) -> None:
    assert not packages(present=["nginx"], lock_seconds=0)["changed"]


def test_a_lock_that_is_let_go_is_waited_for(
    packages: Packages, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: locked.communicate(""))  # it ends while it is waited for
    assert packages(present=["certbot"])["asked"] == ["--assume-yes --quiet --no-install-recommends install certbot"]
