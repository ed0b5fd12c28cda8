"""The provider's Data Proc operators, told at run time what the plan says, and showing the job's own log.

The provider's operators template almost nothing, so ours take their arguments from one templated `spec`, which an
earlier task has made. Each class needs an `__init__` of its own: Airflow wraps it, a mix-in's it would not.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from airflow.providers.yandex.hooks.dataproc import DataprocHook
from airflow.providers.yandex.operators.dataproc import (
    DataprocCreateClusterOperator,
    DataprocCreatePysparkJobOperator,
    DataprocDeleteClusterOperator,
)

SPARK_INFO = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d INFO ")

__all__ = ["CreateCluster", "DataprocDeleteClusterOperator", "RunJob"]


class CreateCluster(DataprocCreateClusterOperator):
    """Creates the cluster that `spec` describes; returns its id."""

    template_fields = ("spec",)

    def __init__(self, *, spec: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def execute(self, context: Any) -> Any:
        self.__dict__.update(self.spec)
        return super().execute(context)


class RunJob(DataprocCreatePysparkJobOperator):
    """Runs the job that `spec` describes and copies its log into the task's: nobody needs the cluster to read it.

    What Spark says of itself at level INFO stays in the cluster's log (bucket `logs`), where the whole of it is.
    """

    template_fields = ("spec", *DataprocCreatePysparkJobOperator.template_fields)

    def __init__(self, *, spec: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def execute(self, context: Any) -> None:
        self.__dict__.update(self.spec)
        try:
            super().execute(context)
        finally:
            with suppress(Exception):  # a log that cannot be read must not hide why the job failed
                for line in self._log_lines():
                    if not SPARK_INFO.match(line):
                        self.log.info("job | %s", line)

    def _log_lines(self) -> Iterator[str]:
        from yandex.cloud.dataproc.v1.job_service_pb2 import ListJobLogRequest, ListJobsRequest
        from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

        jobs = DataprocHook(yandex_conn_id=self.yandex_conn_id).sdk.client(JobServiceStub)
        mine = [job for job in jobs.List(ListJobsRequest(cluster_id=self.cluster_id)).jobs if job.name == self.name]
        newest = max(mine, key=lambda job: job.created_at.ToNanoseconds())
        token, rest = "", ""
        while True:
            page = jobs.ListLog(ListJobLogRequest(cluster_id=self.cluster_id, job_id=newest.id, page_token=token))
            *lines, rest = (rest + page.content).split("\n")
            yield from lines
            token = page.next_page_token
            if not token or not page.content:
                yield from filter(None, [rest])
                return
