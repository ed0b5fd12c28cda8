"""The folder of one local stack: its ports, its secrets, one command at a time."""

import json
import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack.common.errors import StackError
from stack.common.files import exclusive
from stack.local import services, supervisor
from stack.local.ports import choose_ports
from stack.local.programs import cloud, object_store
from stack.local.state import State
from stack.local.system import DemoSystem


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
        exclusive(State(tmp_path)),
        pytest.raises(StackError, match=rf"Another `make demo` \(process {os.getpid()}\)"),
        exclusive(State(tmp_path)),
    ):
        pytest.fail("two at once")


def test_a_state_folder_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"too long by .* STATE="):
        supervisor.socket_of(State(tmp_path / ("x" * 100)))


def test_secrets_reach_programs_by_environment_or_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_program_that_this_demo_does_not_need_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [("mlflow", "RUNNING", 1), ("cloud", "FATAL", 1), ("airflow-triggerer", "STOPPED", 0)]
    known = [{"name": name, "statename": state, "start": start} for name, state, start in told]
    monkeypatch.setattr(supervisor, "rpc", lambda _: SimpleNamespace(getAllProcessInfo=lambda: known))
    assert DemoSystem(State(tmp_path)).programs() == {"mlflow": "RUNNING", "cloud": "FATAL"}
