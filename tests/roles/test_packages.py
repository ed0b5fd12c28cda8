"""The module `packages` asks dpkg, and apt-get only if something is to be done (programs in their place, no root)."""

import os
from collections.abc import Callable
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

    def asked(check: bool = False, fails: bool = False, **given: list[str]) -> dict[str, Any]:
        (tmp_path / "apt-get.calls").write_text("")
        told = called("packages", check, fails, **given)
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
