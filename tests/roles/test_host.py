"""What is read from this host: its archives, its authorities, and what it lacks."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from local_cloud.machines import host


def test_a_user_is_told_to_become_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert any("user id is 1000, needed is 0" in problem and "sudo" in problem for problem in host.missing())


def test_missing_programs_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    assert any("apt-get install" in p and "systemd-container" in p and "mmdebstrap" in p for p in host.missing())
    with pytest.raises(host.MachineError, match="This host cannot run machines"):
        host.preflight()


def test_the_allow_list_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACHINES_ALLOW", "b.test, a.test,")
    assert host.allowed_hosts() == ["a.test", "b.test"]


def test_the_allow_list_holds_the_configured_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MACHINES_ALLOW", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://user@index.company.test:8443/simple")
    monkeypatch.setattr(
        host, "debian_mirrors", lambda: ("http://debian.company.test/d", "http://debian.company.test/s")
    )
    assert host.allowed_hosts() == ["debian.company.test", "index.company.test"]


def test_the_index_is_known_if_the_running_python_has_no_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known, python = host.pip_default(), shutil.which("python3") or ""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert host.pip_default() == known != []
    ours = tmp_path / "envs" / "uv" / "bin"
    ours.mkdir(parents=True)
    (ours / "pip").touch()
    (ours / "python").symlink_to(python)
    monkeypatch.setattr(shutil, "which", lambda program: program if program.startswith(str(tmp_path)) else None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "envs" / "stack"))
    assert host.pip_default() == known, "a fresh Debian has no other than the environment beside this program's"
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(host.MachineError, match="PIP_INDEX_URL"):
        host.pip_default()


def test_only_authorities_that_debian_does_not_ship_are_carried_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = "-----BEGIN CERTIFICATE-----\nY29tcGFueQ==\n-----END CERTIFICATE-----\n"
    shipped = sorted(Path("/usr/share/ca-certificates").rglob("*.crt"))
    known = shipped[0].read_text() if shipped else ""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(known + own)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert host.extra_authorities() == [own]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert host.extra_authorities() == []
