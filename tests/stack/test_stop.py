"""The end: what is killed comes back, what is stopped is kept, what is cleaned is gone."""

import contextlib

import psutil

from stack.local import supervisor
from tests.stack.demo import Demo
from tests.support.waiting import wait_until


def test_what_is_killed_comes_back(stack: Demo, cycled: None) -> None:
    victim = supervisor.rpc(stack.state).getProcessInfo("mlflow")["pid"]
    orphans = psutil.Process(victim).children(recursive=True)
    psutil.Process(victim).kill()

    def runs_again() -> bool:
        info = supervisor.rpc(stack.state).getProcessInfo("mlflow")
        return info["statename"] == "RUNNING" and info["pid"] != victim

    wait_until(runs_again, "another process of MLflow")
    for process in orphans:  # another machine would have died with it
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_stop_ends_every_process_and_keeps_the_state(stack: Demo, cycled: None) -> None:
    root = psutil.Process(supervisor.process_id(stack.state))
    family = [root, *root.children(recursive=True)]
    done = stack.make("demo-stop")
    assert done.returncode == 0, done.stderr
    gone, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    assert len(gone) > 7
    assert "nothing runs" in stack.make("status").stdout
    assert stack.state.exists


def test_clean_removes_the_state(stack: Demo, cycled: None) -> None:
    assert stack.make("demo-clean").returncode == 0
    assert not stack.state.folder.exists()
