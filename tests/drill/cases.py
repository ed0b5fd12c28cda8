"""The table of the drill: what befalls a run of `retrain`, and how the run must end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stack.local.airflow_api import DAG
from tests.drill.acts import (
    OF_RETRAIN,
    Act,
    deploy,
    freeze,
    give_delete_up,
    inject,
    kill,
    mark_run_failed,
    mark_task_failed,
    sweep_when_expired,
    when,
)

CREATE, DELETE = ("*.dataproc.v1.ClusterService/Create", "*.dataproc.v1.ClusterService/Delete")
JOB, POLL, SECRET = ("*.dataproc.v1.JobService/Create", "*.OperationService/Get", "*.lockbox.v1.PayloadService/Get")


@dataclass(frozen=True)
class Case:
    """One row: what is done, and whether the run ends green all the same.

    `rules` are in force before the run begins, `act` is called when it has begun; `hours` is the life of its cluster,
    `dags` what is changed in the DAGs' files, `engine` what runs jobs.
    """

    name: str
    done: str
    green: bool
    rules: tuple[dict[str, Any], ...] = ()
    act: Act = field(default=lambda stack, run_id: None)
    hours: float = 6
    dags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    engine: str = "local"
    dag: str = DAG
    reduced: bool = False  # one of the few that `make test` has time for


def rule(method: str, when: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"code": code, "message": f"the drill says {code}"} if code else {}
    return {"method": method, "when": when, **message, **more}


VICTIMS = {"worker": "the task's worker", "airflow-scheduler": "the scheduler", "cloud": "the cloud's endpoint"}
# A job is not tried twice: what it did half-way is for a person to look at. So these runs are red, and clean.
RED = {
    ("worker", "cluster.prepare"),
    ("worker", "cluster.train"),
    ("cloud", "cluster.prepare"),
    ("cloud", "cluster.train"),
}
# What lasts a second on a quiet machine may be over before a busy one has looked: these moments are made to last.
LINGER = {
    "cluster.create": (rule(CREATE, "operation", delay=8, times=1),),
    "cluster.delete": (rule(DELETE, "operation", delay=8, times=1),),
}
REDUCED = {("worker", "cluster.create"), ("cloud", "cluster.train")}

KILLS = [
    Case(
        name=f"{task}-{victim}",
        done=f"kill -9 of {words} when `{task}` {OF_RETRAIN[task][0]}",
        green=(victim, task) not in RED,
        rules=LINGER.get(task, ()),
        act=kill(victim, task),
        reduced=(victim, task) in REDUCED,
    )
    for task in OF_RETRAIN
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
        act=when("cluster.create", inject(rule(POLL, "call", "UNAUTHENTICATED", times=1))),
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
        act=when("cluster.create", inject(rule(POLL, "call", "UNAVAILABLE", times=5))),
    ),
    Case(
        "cut-train",
        "the connection is cut (UNAVAILABLE) while the training runs, five times",
        True,
        act=when("cluster.train", inject(rule(POLL, "call", "UNAVAILABLE", times=5))),
    ),
    Case(
        "cut-delete",
        "the connection is cut (UNAVAILABLE) while the cluster is deleted, five times",
        True,
        act=when("cluster.delete", inject(rule(POLL, "call", "UNAVAILABLE", times=5))),
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
        act=when("cluster.train", freeze("cloud", 15)),
    ),
]
# On a YARN of the cluster's own; the stand-in of `prepare` then has tasks on every host.
HOSTS = [
    Case(
        "host-lost",
        "a compute host is lost while `prepare` runs on YARN (kill -9 of its NodeManager and of all that ran there)",
        True,
        (rule(JOB, "running", node="lost", delay=1, times=1),),
        engine="yarn",
    ),
    Case(
        "host-preempted",
        "a compute host is taken back while `prepare` runs on YARN; none takes its place in a cluster of fixed size",
        True,
        (rule(JOB, "running", node="preempted", delay=1, times=1),),
        engine="yarn",
    ),
]
PLANNED = 'decision = decide(plan["run"])'
ONE_MORE = f'task(task_id="one_more")(lambda: None)()\n    {PLANNED}'
UPGRADES = [
    Case(
        "upgrade",
        "a new DAG file, with one task more, is deployed while the training runs",
        True,
        act=when("cluster.train", deploy({"retrain": (PLANNED, ONE_MORE)})),
    ),
]
CASES = [*KILLS, *OTHER_KILLS, *FAULTS, *HOSTS, *UPGRADES]
# Rows of the page that several runs make together (tests/drill/test_runs.py).
SEVERAL_RUNS = ("two-triggers", "week-1", "week-2", "week-3", "week-4", "backfill")
