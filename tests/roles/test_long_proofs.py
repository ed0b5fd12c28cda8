"""Two long proofs never work on the same machines."""

import multiprocessing
import time
from pathlib import Path

import pytest

from local_cloud.machines import host
from tests.machines import long_proofs


def hold(log: Path, name: str, seconds: float) -> None:
    with long_proofs.held("stack"):
        with log.open("a") as file:
            file.write(f"{name} ")
        time.sleep(seconds)
        with log.open("a") as file:
            file.write(f"{name} ")


def test_the_second_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "STATE", tmp_path / "machines")
    log, fork = tmp_path / "log", multiprocessing.get_context("fork")
    first, second = (fork.Process(target=hold, args=(log, name, 1)) for name in "ab")
    first.start()
    while not log.exists():
        time.sleep(0.01)
    second.start()
    first.join()
    second.join()
    assert log.read_text().split() == ["a", "a", "b", "b"]
    assert f"Process {first.pid} is at work on the lab stack: waiting" in capfd.readouterr().out
    with long_proofs.held("other"):
        pass
