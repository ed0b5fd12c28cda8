"""The cluster of a run, in every DAG that has one: made, used by one job after the other, deleted whatever happens."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from dags.retraining.compat import TaskGroup
from dags.retraining.operators import CreateCluster, DeleteCluster, RunJob


def on_cluster(plan: Mapping[str, Any], jobs: Sequence[str]) -> Any:
    """Runs jobs on a cluster that exists only for this run; returns the last job's task.

    Args:
        plan: what the run's first task returns; `cluster` and each job's name are keys of it.
    """
    with TaskGroup("cluster", tooltip="a Data Proc cluster that exists only for this run"):
        # Created once more, since an attempt adopts or has deleted what the one before it made. A job that failed
        # would fail again on the same rows, and costs money while it does: a person clears it.
        create = CreateCluster(task_id="create", spec=plan["cluster"], retries=1, retry_delay=timedelta(seconds=30))
        last: Any = create
        for name in jobs:
            job = RunJob(task_id=name, spec=plan[name], cluster_id=create.output)
            last >> job
            last = job
        delete = DeleteCluster(task_id="delete", cluster_id=create.output, retries=3, retry_delay=timedelta(minutes=1))
        last >> delete
    delete.as_teardown(setups=create, on_failure_fail_dagrun=True)
    return last
