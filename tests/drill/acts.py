"""When something befalls a run, and what: the worst moment of each task, kills, faults, people."""

from collections.abc import Callable
from typing import Any

from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster

from tests.drill import breaking, findings
from tests.drill.stack import DrillStack
from tests.support.waiting import wait_until

Act = Callable[[DrillStack, str], None]
Moment = Callable[[DrillStack, str], bool]


def runs(task_id: str) -> Moment:
    return lambda stack, run_id: findings.task(stack, run_id, task_id)["state"] == "running"


def has_ended(task_id: str) -> Moment:
    return lambda stack, run_id: findings.task(stack, run_id, task_id)["state"] == "success"


def has_job(task_id: str) -> Moment:
    script = task_id.removeprefix("cluster.")
    return lambda stack, run_id: runs(task_id)(stack, run_id) and findings.job_runs(stack, script)


# The worst moment of each task: a cluster is there that nobody knows of yet, a job is under way.
OF_RETRAIN: dict[str, tuple[str, Moment]] = {
    "check": ("begins", runs("check")),
    "cluster.create": (
        "has a cluster in the making",
        lambda stack, _: findings.has_cluster(stack, Cluster.CREATING),
    ),
    "cluster.prepare": ("has a job that runs", has_job("cluster.prepare")),
    "cluster.train": ("has a job that runs", has_job("cluster.train")),
    "cluster.delete": (
        "has its cluster stopping",
        lambda stack, _: findings.has_cluster(stack, Cluster.STOPPING),
    ),
    "decide": ("begins", runs("decide")),
    "promote": ("begins", runs("promote")),
    "report": ("begins", runs("report")),
}
WORST = OF_RETRAIN | {
    "cluster.score": ("has a job that runs", has_job("cluster.score")),
    "choose": ("has ended", has_ended("choose")),
    "move": ("begins", runs("move")),
}


def when(task_id: str, act: Act) -> Act:
    """Does something at the worst moment of a task."""

    def wait_and_act(stack: DrillStack, run_id: str) -> None:
        words, is_there = WORST[task_id]

        def is_now() -> bool:
            ended = stack.has_ended(run_id, stack.dag)  # asked first: what is there while the run goes on is there
            if is_there(stack, run_id):
                return True
            assert not ended, f"the run ended before {task_id} {words}: {findings.summary(stack, run_id)}"
            return False

        wait_until(is_now, f"{task_id} {words}", pause=0.1)
        act(stack, run_id)

    return wait_and_act


def kill(victim: str, task_id: str) -> Act:
    return when(task_id, lambda stack, run_id: breaking.kill(stack, victim, run_id, task_id))


def freeze(program: str, seconds: float) -> Act:
    return lambda stack, _: breaking.freeze(stack, program, seconds)


def inject(*rules: dict[str, Any]) -> Act:
    return lambda stack, _: stack.inject(*rules)


def deploy(changes: dict[str, tuple[str, str]]) -> Act:
    """Brings changed DAGs; `changes` as of `DrillStack.upload`."""
    return lambda stack, _: stack.upload(changes)


def mark_task_failed(task_id: str) -> Act:
    return lambda stack, run_id: breaking.mark(stack, f"{run_id}/taskInstances/{task_id}", new_state="failed")


def mark_run_failed(stack: DrillStack, run_id: str) -> None:
    breaking.mark(stack, run_id, state="failed")


def give_delete_up(stack: DrillStack, run_id: str) -> None:
    """A person does not wait for a deletion that the cloud refuses."""
    wait_until(lambda: runs("cluster.delete")(stack, run_id), "cluster.delete begins")
    mark_task_failed("cluster.delete")(stack, run_id)


def sweep_when_expired(stack: DrillStack, run_id: str) -> None:
    """The cluster's life is over while its job hangs; the sweep comes by."""
    wait_until(lambda: findings.has_expired(stack), "the expiry of the cluster")
    assert stack.sweep()["state"] == "success"


def give_alias(version: str) -> Act:
    """Somebody moves the alias in MLflow's page."""
    return lambda stack, _: findings.give_alias(stack, version)
