"""What runs the demo's jobs: chosen once, kept, and not changed under a stack that runs."""

from pathlib import Path

import pytest

from dags.retraining import executors
from stack.common.errors import StackError
from stack.local import demo, deploy, preflight, supervisor
from stack.local.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_one_process_is_the_default_and_another_choice_is_kept(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "is_running", lambda state: False)
    assert state.engine == "local"
    demo.choose_engine(state, "yarn")
    demo.choose_engine(state, None)
    assert State(state.folder).engine == "yarn"


def test_a_stack_that_runs_keeps_its_engine(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "is_running", lambda state: True)
    demo.choose_engine(state, "local")
    with pytest.raises(StackError, match=r"runs with ENGINE=local, not yarn: `make demo-stop` first, then"):
        demo.choose_engine(state, "yarn")
    assert state.engine == "local"


@pytest.mark.parametrize("engine", ["local", "yarn"])
def test_the_demos_cluster_can_be_filled(engine: str) -> None:
    spec = deploy.local_cluster("2.2", engine)
    assert executors.fill(spec, spec["compute_count"]).count == 2


def test_yarn_needs_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 6 << 30}))
    assert preflight.require_memory("local") == "6 GiB available"
    with pytest.raises(StackError, match=r"6\.0 GiB of memory are available, 7\.5 GiB are needed \(ENGINE=yarn\)"):
        preflight.require_memory("yarn")
