"""The table of the drill: what befalls a run of `retrain`, and how the run must end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster

from tests.drill.rig import Rig, until

CREATE, DELETE = ("*.dataproc.v1.ClusterService/Create", "*.dataproc.v1.ClusterService/Delete")
JOB, POLL, SECRET = ("*.dataproc.v1.JobService/Create", "*.OperationService/Get", "*.lockbox.v1.PayloadService/Get")
Act = Callable[[Rig, str], None]


@dataclass(frozen=True)
class Case:
    """One row: what is done, and whether the run ends green all the same.

    `rules` are in force before the run begins, `act` is called when it has begun; `hours` is the life of its cluster,
    `dags` what is changed in the DAGs' files.
    """

    name: str
    done: str
    green: bool
    rules: tuple[dict[str, Any], ...] = ()
    act: Act = field(default=lambda rig, run_id: None)
    hours: float = 6
    dags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reduced: bool = False


def rule(method: str, when: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"code": code, "message": f"the drill says {code}"} if code else {}
    return {"method": method, "when": when, **message, **more}


# ------------------------------------------------------------------------------------------------ moments
def running(task_id: str) -> Callable[[Rig, str], bool]:
    return lambda rig, run_id: rig.task(run_id, task_id)["state"] == "running"


def job_runs(task_id: str) -> Callable[[Rig, str], bool]:
    return lambda rig, run_id: running(task_id)(rig, run_id) and rig.job_runs(task_id.removeprefix("cluster."))


# The worst moment of each task: a cluster is there that nobody knows of yet, a job is under way.
WHILE: dict[str, tuple[str, Callable[[Rig, str], bool]]] = {
    "check": ("begins", running("check")),
    "cluster.create": ("has a cluster in the making", lambda rig, _: rig.cluster_is(Cluster.CREATING)),
    "cluster.prepare": ("has a job that runs", job_runs("cluster.prepare")),
    "cluster.train": ("has a job that runs", job_runs("cluster.train")),
    "cluster.delete": ("has its cluster stopping", lambda rig, _: rig.cluster_is(Cluster.STOPPING)),
    "decide": ("begins", running("decide")),
    "promote": ("begins", running("promote")),
    "report": ("begins", running("report")),
}


def when(task_id: str, act: Act) -> Act:
    """Does something at the worst moment of a task."""

    def wait_and_act(rig: Rig, run_id: str) -> None:
        moment, is_there = WHILE[task_id]
        until(lambda: is_there(rig, run_id), f"{task_id} {moment}", pause=0.1)
        act(rig, run_id)

    return wait_and_act


# ------------------------------------------------------------------------------------------------ acts
def kill(victim: str, task_id: str) -> Act:
    return when(task_id, lambda rig, run_id: rig.kill(victim, run_id, task_id))


def fault(*rules: dict[str, Any]) -> Act:
    return lambda rig, run_id: rig.faults(*rules)


def mark_task_failed(task_id: str) -> Act:
    return lambda rig, run_id: rig.mark(f"{run_id}/taskInstances/{task_id}", new_state="failed")


def mark_run_failed(rig: Rig, run_id: str) -> None:
    rig.mark(run_id, state="failed")


def give_delete_up(rig: Rig, run_id: str) -> None:
    """A person does not wait for a deletion that the cloud refuses."""
    until(lambda: running("cluster.delete")(rig, run_id), "cluster.delete begins")
    mark_task_failed("cluster.delete")(rig, run_id)


def sweep_when_expired(rig: Rig, run_id: str) -> None:
    """The cluster's life is over while its job hangs; the sweep comes by."""
    until(rig.is_expired, "the expiry of the cluster")
    assert rig.sweep()["state"] == "success"


# ------------------------------------------------------------------------------------------------ the table
VICTIMS = {"worker": "the task's worker", "airflow-scheduler": "the scheduler", "cloud": "the cloud's endpoint"}
# A job is not tried twice: what it did half-way is for a person to look at. So these runs are red, and clean.
RED = {
    *(("worker", task) for task in ("cluster.prepare", "cluster.train")),
    *(("cloud", task) for task in ("cluster.prepare", "cluster.train")),
}
REDUCED = {("worker", "cluster.create"), ("cloud", "cluster.train")}

KILLS = [
    Case(
        name=f"{task}-{victim}",
        done=f"kill -9 of {words} when `{task}` {WHILE[task][0]}",
        green=(victim, task) not in RED,
        act=kill(victim, task),
        reduced=(victim, task) in REDUCED,
    )
    for task in WHILE
    for victim, words in VICTIMS.items()
]
OTHER_KILLS = [
    Case(
        "api-server",
        "kill -9 of Airflow's API server while the training runs",
        True,
        act=kill("airflow-api", "cluster.train"),
    ),
    Case(
        "dag-processor",
        "kill -9 of the DAG processor while the training runs",
        True,
        act=kill("airflow-dag-processor", "cluster.train"),
    ),
    Case("mlflow", "kill -9 of MLflow when `decide` begins", True, act=kill("mlflow", "decide")),
    Case("object-store", "kill -9 of the object store when `report` begins", True, act=kill("object-store", "report")),
]
SHORT = ("timedelta(minutes=minutes)", "timedelta(seconds=30)")
FAULTS = [
    Case("create-slow", "creating the cluster takes 20 s longer", True, (rule(CREATE, "operation", delay=20),)),
    Case(
        "create-refused-once",
        "the cloud refuses to create (UNAVAILABLE), once",
        True,
        (rule(CREATE, "call", "UNAVAILABLE", times=1),),
    ),
    Case(
        "create-refused",
        "the cloud refuses to create (PERMISSION_DENIED)",
        False,
        (rule(CREATE, "call", "PERMISSION_DENIED"),),
    ),
    Case("quota", "the quota is exceeded (RESOURCE_EXHAUSTED)", False, (rule(CREATE, "call", "RESOURCE_EXHAUSTED"),)),
    Case(
        "create-answer-lost",
        "the cluster is created, the answer is lost (UNAVAILABLE), once",
        True,
        (rule(CREATE, "after", "UNAVAILABLE", times=1),),
    ),
    Case(
        "create-fails-once",
        "the creation fails half-way (INTERNAL), once",
        True,
        (rule(CREATE, "operation", "INTERNAL", times=1),),
    ),
    Case(
        "create-fails",
        "the creation fails half-way (INTERNAL), each time",
        False,
        (rule(CREATE, "operation", "INTERNAL"),),
    ),
    Case("name-taken", "the name is taken (ALREADY_EXISTS)", False, (rule(CREATE, "call", "ALREADY_EXISTS"),)),
    Case(
        "name-taken-by-us",
        "the cluster is created, the answer is ALREADY_EXISTS, once",
        True,
        (rule(CREATE, "after", "ALREADY_EXISTS", times=1),),
    ),
    Case("job-fails", "the job fails", False, (rule(JOB, "operation", "INTERNAL"),)),
    Case("job-refused", "the job is refused (UNAVAILABLE)", False, (rule(JOB, "call", "UNAVAILABLE"),)),
    Case(
        "job-hangs-marked",
        "the job hangs, a person marks its task as failed",
        False,
        (rule(JOB, "operation", delay=600),),
        when("cluster.prepare", mark_task_failed("cluster.prepare")),
        reduced=True,
    ),
    Case(
        "job-hangs-timeout",
        "the job hangs longer than its task may take (30 s instead of 2 h)",
        False,
        (rule(JOB, "operation", delay=600),),
        dags={"settings": SHORT},
    ),
    Case(
        "job-hangs-expired",
        "the job hangs until the sweep finds its cluster past its expiry",
        False,
        (rule(JOB, "operation", delay=600),),
        sweep_when_expired,
        hours=0.006,
    ),
    Case(
        "run-marked",
        "a person marks the run as failed while the training runs",
        False,
        act=when("cluster.train", mark_run_failed),
    ),
    Case(
        "delete-refused-for-a-while",
        "deleting is refused (RESOURCE_EXHAUSTED), three times",
        True,
        (rule(DELETE, "call", "RESOURCE_EXHAUSTED", times=3),),
    ),
    Case(
        "delete-refused",
        "deleting is refused (FAILED_PRECONDITION), a person marks `delete` as failed",
        False,
        (rule(DELETE, "call", "FAILED_PRECONDITION"),),
        give_delete_up,
    ),
    Case(
        "delete-fails-once",
        "the deletion fails half-way (INTERNAL), once",
        True,
        (rule(DELETE, "operation", "INTERNAL", times=1),),
    ),
    Case(
        "token-create",
        "the token has expired (UNAUTHENTICATED) while the cluster is created, once",
        True,
        act=when("cluster.create", fault(rule(POLL, "call", "UNAUTHENTICATED", times=1))),
    ),
    Case(
        "token-delete",
        "the token has expired (UNAUTHENTICATED) when the cluster is to be deleted, once",
        True,
        (rule(DELETE, "call", "UNAUTHENTICATED", times=1),),
    ),
    Case(
        "cut-create",
        "the connection is cut (UNAVAILABLE) while the cluster is created, five times",
        True,
        act=when("cluster.create", fault(rule(POLL, "call", "UNAVAILABLE", times=5))),
    ),
    Case(
        "cut-train",
        "the connection is cut (UNAVAILABLE) while the training runs, five times",
        True,
        act=when("cluster.train", fault(rule(POLL, "call", "UNAVAILABLE", times=5))),
    ),
    Case(
        "cut-delete",
        "the connection is cut (UNAVAILABLE) while the cluster is deleted, five times",
        True,
        act=when("cluster.delete", fault(rule(POLL, "call", "UNAVAILABLE", times=5))),
    ),
    Case(
        "secrets-away",
        "Lockbox does not answer (UNAVAILABLE), three times",
        True,
        (rule(SECRET, "call", "UNAVAILABLE", times=3),),
    ),
    Case(
        "frozen",
        "the cloud's endpoint stands still for 15 s while the training runs",
        True,
        act=when("cluster.train", lambda rig, _: rig.freeze("cloud", 15)),
    ),
]
PLANNED = 'decision = decide(plan["run"])'
ONE_MORE = f'task(task_id="one_more")(lambda: None)()\n    {PLANNED}'
UPGRADES = [
    Case(
        "upgrade",
        "a new DAG file, with one task more, is deployed while the training runs",
        True,
        act=when("cluster.train", lambda rig, _: rig.upload({"retrain": (PLANNED, ONE_MORE)})),
    ),
]
CASES = [*KILLS, *OTHER_KILLS, *FAULTS, *UPGRADES]
