"""The verbs of jobs."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import Message
from yandex.cloud.dataproc.v1 import job_pb2, job_service_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.errors import ApiError
from local_cloud.core.resources import Row, belongs, status_of
from local_cloud.services.base import Service
from local_cloud.services.dataproc import errors
from local_cloud.services.dataproc.engine import Engine
from local_cloud.services.dataproc.models import CLUSTER, FINAL, JOB, JOB_KINDS, is_light, set_job_status

_JOBS = "yandex.cloud.dataproc.v1.JobService"
_LOG_PAGE = 1 << 20


class Jobs(Service):
    """What jobs do besides the shared verbs. The store knows the process of each that runs."""

    def __init__(self, context: Context, site: Site, engine: Engine) -> None:
        super().__init__(context, site)
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        return {
            f"{_JOBS}/Create": Verb(self._create, self._run, self._failed, self._interrupted),
            f"{_JOBS}/Cancel": Verb(self._begin_cancel, self._cancel),
            f"{_JOBS}/ListLog": self._list_log,
        }

    def _create(self, call: Call) -> Begun:
        cluster = self.store.get(CLUSTER, call.request.cluster_id)
        if (status := status_of(cluster.message)) != "RUNNING":
            raise errors.cluster_not_running(cluster, status)
        kind = call.request.WhichOneof("job_spec")
        if kind is None:
            raise errors.no_job_kind()
        if kind not in JOB_KINDS:
            raise errors.job_kind_not_offered(kind)
        if is_light(cluster.message.config.hadoop) and getattr(call.request, kind).file_uris:
            raise errors.no_files_on_light_clusters(kind)
        row = self.resources.create(call)
        row.message.created_by = call.subject
        self.store.save(row)
        return Begun(row)

    def _run(self, work: Work) -> Message:
        """Run the job to its end. The operation fails as the job does, with the line of the log that tells why."""
        job = self.resources.current(work)
        cluster = self.store.get(CLUSTER, job.message.cluster_id)
        submission = self._engine.submission(cluster, job)
        if (fault := self.context.faults.take(f"{_JOBS}/Create", "running")).node:
            self._engine.befall(submission, fault)
        self._set_status(job.key, job_pb2.Job.PENDING)

        def started(pid: int, at: float) -> None:
            self.store.execute("INSERT INTO processes VALUES (?,?,?)", job.key, pid, at)
            self._set_status(job.key, job_pb2.Job.RUNNING)

        try:
            status = self._engine.run(submission, work.stop, started)
        finally:
            self._forget_process(job.key)
            self._engine.keep_log(cluster, job)
        if status != 0:
            raise errors.job_failed(job, status, self._engine.why(submission))
        return self._set_status(job.key, job_pb2.Job.DONE)

    def _failed(self, work: Work, error: ApiError) -> None:
        cancelled = error.code is grpc.StatusCode.CANCELLED
        self._set_status(work.resource, job_pb2.Job.CANCELLED if cancelled else job_pb2.Job.ERROR)

    def _interrupted(self, work: Work) -> Message:
        """The endpoint was killed while the job ran: end what is left of it, and say so."""
        for record in self.store.execute("SELECT * FROM processes WHERE job = ?", work.resource):
            self._engine.end_left_behind(record["pid"], record["started"])
        self._forget_process(work.resource)
        raise errors.job_left_behind()

    def _forget_process(self, job: str) -> None:
        self.store.execute("DELETE FROM processes WHERE job = ?", job)

    def _set_status(self, key: str, status: int) -> Any:
        with self.store.transaction():
            row = self.store.get(JOB, key)
            set_job_status(row.message, status)
            self.store.save(row)
        return row.message

    def _begin_cancel(self, call: Call) -> Begun:
        row = self._named(call)
        if (status := status_of(row.message)) in FINAL:
            raise errors.job_over(row, status)
        self._set_status(row.key, job_pb2.Job.CANCELLING)
        return Begun(row)

    def _cancel(self, work: Work) -> Message:
        self.context.operations.cancel_on(work.resource, "Create")
        message: Message = self.store.get(JOB, work.resource).message
        return message

    def _named(self, call: Call) -> Row:
        row = self.store.get(JOB, call.request.job_id)
        if not belongs(row, "cluster_id", call.request.cluster_id):
            raise errors.job_not_found(call.request.cluster_id, row.key)
        return row

    def _list_log(self, call: Call) -> Message:
        """One page of the job's output; the token is the offset in bytes."""
        job, token = self._named(call), call.request.page_token
        if token and not token.isdecimal():
            raise errors.not_a_log_token(token)
        start, size = int(token or 0), call.request.page_size or _LOG_PAGE
        content = self._engine.read_log(job, start, size + 1)
        end = _end_of_page(content, size)
        answer = job_service_pb2.ListJobLogResponse(content=content[:end].decode(errors="replace"))
        answer.next_page_token = str(start + end) if end < len(content) else ""
        return answer


def _end_of_page(content: bytes, size: int) -> int:
    """Where a page of at most that many bytes ends, so that no character is cut."""
    end = min(size, len(content))
    while 0 < end < len(content) and content[end] & 0xC0 == 0x80:
        end -= 1
    return end
