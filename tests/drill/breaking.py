"""What befalls a run: kill -9, a program that stands still, a person who marks a task."""

import contextlib
import time
from collections.abc import Sequence

import psutil

from stack.local import supervisor
from tests.drill.findings import task
from tests.drill.stack import DrillStack
from tests.support.waiting import wait_until


def program(stack: DrillStack, name: str) -> psutil.Process:
    return psutil.Process(supervisor.rpc(stack.state).getProcessInfo(name)["pid"])


def kill(stack: DrillStack, victim: str, run_id: str, task_id: str) -> None:
    """kill -9 of the process of a running task with its supervisor, or of one of the stack's programs."""
    if victim == "job":
        script = f"{task_id.removeprefix('cluster.')}.py"
        jobs = stack.state.folder / "cloud" / "clusters"
        found = wait_until(lambda: jobs_of(script, str(jobs)), f"the process of a job {script}")
    elif victim == "worker":
        instance = task(stack, run_id, task_id)["id"]
        found = [p for p in psutil.process_iter(["cmdline"]) if instance in " ".join(p.info["cmdline"] or ())]
        assert found, f"no process of the task {task_id} ({instance})"
    else:
        found = [program(stack, victim)]
        stack.orphans += found[0].children(recursive=True)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def jobs_of(script: str, folder: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if is_job(p.info["cmdline"] or (), script, folder)]


def is_job(words: Sequence[str], script: str, folder: str) -> bool:
    """Whether a process is the job of that script on one of this stack's clusters."""
    return any(word.endswith(script) for word in words) and any(folder in word for word in words)


def freeze(stack: DrillStack, name: str, seconds: float) -> None:
    """One of the stack's programs stands still for so many seconds."""
    process = program(stack, name)
    process.suspend()
    time.sleep(seconds)
    process.resume()


def mark(stack: DrillStack, path: str, **state: str) -> None:
    """What a person does in Airflow's UI: `path` is a run or `<run>/taskInstances/<task>`."""
    stack.airflow.call("PATCH", f"dags/{stack.dag}/dagRuns/{path}", json=state)
