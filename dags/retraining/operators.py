"""The provider's Data Proc operators, told at run time what the plan says, and showing the job's own log.

The provider's operators template almost nothing, so ours take their arguments from one templated `spec`, which an
earlier task has made. Each class needs an `__init__` of its own: Airflow wraps it, a mix-in's it would not.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
from airflow.providers.yandex.hooks.dataproc import DataprocHook
from airflow.providers.yandex.operators.dataproc import (
    DataprocCreateClusterOperator,
    DataprocCreatePysparkJobOperator,
    DataprocDeleteClusterOperator,
)
from yandex.cloud.dataproc.v1.job_pb2 import Job
from yandex.cloud.dataproc.v1.job_service_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    ListJobLogRequest,
    ListJobsRequest,
)
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from dags.retraining import alerts, clusters, compat, costs
from dags.retraining.patience import Patience

PATIENCE = Patience(fresh=True)  # a job is for a cluster that was made a second ago
CLEAN_UP_TIMEOUT = 300  # seconds a failing create spends on deleting what it has made
AT_WORK = (Job.PROVISIONING, Job.PENDING, Job.RUNNING)
SPARK_INFO = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d INFO ")


def patient_hook(connection: str | None = None) -> DataprocHook:
    """The provider's hook, whose calls are repeated while what refuses them passes by itself."""
    hook = DataprocHook(yandex_conn_id=connection)
    PATIENCE.sdk(hook.sdk)
    return hook


class CreateCluster(DataprocCreateClusterOperator):
    """Creates the cluster that `spec` describes, to expire `spec["hours"]` from now; returns its id.

    An attempt after one that died adopts the cluster which that one made; an attempt that fails, or is ended from
    outside, deletes what it has made. So there is never a second cluster, nor one that nobody can name.
    """

    template_fields = ("spec",)

    def __init__(self, *, spec: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def execute(self, context: Any) -> Any:
        self.__dict__.update(self.spec)
        # Counted from here, not from the plan: a run cleared days later must not make an overdue cluster.
        self.labels = clusters.expiry(self.spec["hours"]) | self.spec["labels"]
        sdk = patient_hook(self.yandex_conn_id).sdk
        made = clusters.named(sdk, self.folder_id, self.cluster_name, self.s3_bucket)
        if not made:
            self._keep_within_budget()
        try:
            if made:
                self.log.info("adopting %s (%s), which an earlier attempt has made", made.name, made.id)
                cluster_id = clusters.adopt(sdk, made.id)
            else:
                cluster_id = super().execute(context)
        except Exception:
            self._remove()
            raise
        costs.begun(sdk, cluster_id)
        return cluster_id

    def _keep_within_budget(self) -> None:
        """Tells people and fails, for good, if the cluster would cost more than the deployment's budget allows."""
        dag = self.labels.get(clusters.DAG_LABEL, "retrain")
        hosts = self.spec.get("computenode_max_hosts_count") or self.spec["computenode_count"]
        if why := costs.open_ledger().over(dag, hosts, datetime.now(UTC)):
            alerts.send(f"{dag} did not start: over the budget", why, logging.ERROR)
            raise compat.AirflowFailException(why)

    def on_kill(self) -> None:
        self._remove()

    @property
    def hook(self) -> Any:
        return self._hook

    @hook.setter
    def hook(self, hook: Any) -> None:
        """The operator does not pass the account of autoscaling on, though the client that it calls takes it."""
        if hook:
            PATIENCE.sdk(hook.sdk)
        if hook and (account := self.spec.get("autoscaling_service_account_id")):
            client = hook.dataproc_client
            client.create_cluster = partial(client.create_cluster, autoscaling_service_account_id=account)
        self._hook = hook

    def _remove(self) -> None:
        """Deletes the cluster of this run, if there is one; what cannot be deleted here is left to the DAG `sweep`."""
        sdk = patient_hook(self.yandex_conn_id).sdk
        try:
            if left := clusters.named(sdk, self.folder_id, self.cluster_name, self.s3_bucket):
                costs.delete(sdk, left.id, timeout=CLEAN_UP_TIMEOUT)
                self.log.info("deleted %s (%s), which this attempt had made", left.name, left.id)
        except Exception as problem:
            self.log.warning("the cluster %s may be alive, `sweep` will delete it: %s", self.cluster_name, problem)


class DeleteCluster(DataprocDeleteClusterOperator):
    """Deletes the run's cluster, waiting if the cloud refuses for now; a cluster that is gone already is fine.

    Fails, after it has deleted, if a person has marked the run as failed: Airflow has then skipped the other tasks,
    leaves the rest to this teardown, and would call the run a success.
    """

    def execute(self, context: Any) -> None:
        costs.delete(patient_hook(self.yandex_conn_id).sdk, self.cluster_id)
        if skipped := [name for name, state in compat.task_states(context).items() if state == "skipped"]:
            raise compat.AirflowFailException(
                f"The cluster is deleted; the run was marked as failed before {', '.join(sorted(skipped))} had begun. "
                "Clear the run to do it again."
            )


class RunJob(DataprocCreatePysparkJobOperator):
    """Runs the job that `spec` describes and copies its log into the task's: nobody needs the cluster to read it.

    An attempt after one that died with its worker or its scheduler waits for the job that this one has left at work;
    a second job beside it would cost twice. One that was told something else is cancelled first.
    What Spark says of itself at level INFO stays in the cluster's log (bucket `logs`), where the whole of it is.
    """

    template_fields = ("spec", *DataprocCreatePysparkJobOperator.template_fields)

    def __init__(self, *, spec: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def _setup(self, context: Any) -> DataprocHook:
        return patient_hook(self.yandex_conn_id)

    def execute(self, context: Any) -> None:
        self.__dict__.update(self.spec)
        try:
            if left := self._left_at_work():
                self._wait_for(left)
            else:
                super().execute(context)
        finally:
            with suppress(Exception):  # a log that cannot be read must not hide why the job failed
                for line in self._log_lines():
                    if not SPARK_INFO.match(line):
                        self.log.info("job | %s", line)

    def on_kill(self) -> None:
        self._cancel(*self._jobs())

    def _cancel(self, jobs: Any, mine: Iterable[Any]) -> None:
        for job in mine:
            with suppress(grpc.RpcError):  # it has ended already
                jobs.Cancel(CancelJobRequest(cluster_id=self.cluster_id, job_id=job.id))

    def _left_at_work(self) -> Any | None:
        """The job that an earlier attempt has begun with the same arguments and that has not ended."""
        try:
            jobs, mine = self._jobs()
        except grpc.RpcError:  # no cluster, no right: creating the job says it better
            return None
        going = [job for job in mine if job.status in AT_WORK]
        same = [job for job in going if list(job.pyspark_job.args) == list(self.spec["args"])]
        self._cancel(jobs, [job for job in going if job not in same[-1:]])
        return same[-1] if same else None

    def _wait_for(self, job: Any) -> None:
        """Returns when the job is done.

        Raises:
            RuntimeError: it has ended otherwise.
        """
        self.log.info("waiting for the job %s, which an earlier attempt has begun", job.id)
        jobs, asked = self._service(), GetJobRequest(cluster_id=self.cluster_id, job_id=job.id)
        while (now := jobs.Get(asked).status) in AT_WORK:
            time.sleep(clusters.POLL)
        if now != Job.DONE:
            raise RuntimeError(f"The job {job.id} is {Job.Status.Name(now)}, DONE was expected; its log follows.")

    def _service(self) -> Any:
        return patient_hook(self.yandex_conn_id).sdk.client(JobServiceStub)

    def _jobs(self) -> tuple[Any, list[Any]]:
        """The service, and this task's jobs on the cluster, oldest first."""
        jobs = self._service()
        found = jobs.List(ListJobsRequest(cluster_id=self.cluster_id, page_size=100)).jobs
        mine = [job for job in found if job.name == self.name]
        return jobs, sorted(mine, key=lambda job: job.created_at.ToNanoseconds())

    def _log_lines(self) -> Iterator[str]:
        jobs, mine = self._jobs()
        token, rest = "", ""
        while True:
            page = jobs.ListLog(ListJobLogRequest(cluster_id=self.cluster_id, job_id=mine[-1].id, page_token=token))
            *lines, rest = (rest + page.content).split("\n")
            yield from lines
            token = page.next_page_token
            if not token or not page.content:
                yield from filter(None, [rest])
                return
