"""Ports for what starts in a moment."""

import socket
from pathlib import Path

import pytest

from local_cloud.core import ports


def test_a_port_is_none_that_a_connection_may_take_meanwhile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits = tmp_path / "range"
    limits.write_text("32768\t60999\n")
    monkeypatch.setattr(ports, "_RANGE", limits)
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    assert all(32768 - 8192 <= port < 32768 for port in found)


def test_taken_ports_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (free,) = ports.free_ports(1)
    monkeypatch.setattr(ports, "_BELOW", 3)
    monkeypatch.setattr(ports, "_RANGE", tmp_path / "range")
    (tmp_path / "range").write_text(f"{free + 2} 60999")
    with socket.create_server(("127.0.0.1", free)):
        assert free not in ports.free_ports(1)
        with pytest.raises(OSError, match=r"\d ports of 127.0.0.1 are free from .* 3 are needed"):
            ports.free_ports(3)
