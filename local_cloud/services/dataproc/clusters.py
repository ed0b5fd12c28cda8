"""The verbs of clusters."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from yandex.cloud.dataproc.v1 import cluster_service_pb2, common_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.resources import Row, status_of
from local_cloud.services.base import Service
from local_cloud.services.dataproc import checks, errors
from local_cloud.services.dataproc.engine import Engine
from local_cloud.services.dataproc.models import CLUSTER, JOB, SUBCLUSTER, hosts_of, new_subcluster
from local_cloud.services.generic.listing import numbered_page

_CLUSTERS = "yandex.cloud.dataproc.v1.ClusterService"


class Clusters(Service):
    """What clusters do besides the shared verbs; what stands for their machines is the engine's."""

    def __init__(self, context: Context, site: Site, engine: Engine) -> None:
        super().__init__(context, site)
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        shared = self.resources
        return {
            f"{_CLUSTERS}/Create": Verb(self._create, self._provision, shared.undo_create),
            f"{_CLUSTERS}/Start": Verb(shared.begin_change, self._provision, shared.undo_change),
            f"{_CLUSTERS}/Stop": Verb(shared.begin_change, self._stop, shared.undo_change),
            f"{_CLUSTERS}/Delete": Verb(shared.begin_delete, self._delete, shared.undo_change),
            f"{_CLUSTERS}/ListHosts": self._list_hosts,
        }

    def resume(self) -> None:
        """After a restart: the machines of the clusters that run."""
        for row in self.store.select(CLUSTER):
            if status_of(row.message) == "RUNNING":
                self._engine.open(row, self._messages(row), wait=False)

    def _create(self, call: Call) -> Begun:
        request = call.request
        self._engine.image(request.config_spec.version_id)
        checks.check_layout(request.config_spec)
        checks.check_surroundings(self.context, request)
        row = self.resources.create(call)
        made = [new_subcluster(row, specification) for specification in request.config_spec.subclusters_spec]
        self.add_parts(row, SUBCLUSTER, {each.id: each for each in made}, errors.not_enough_quota)
        return Begun(row)

    def _provision(self, work: Work) -> Message:
        """What takes the cloud minutes: look at the bucket and the packages, then let the machines answer."""
        cluster = self.resources.current(work)
        subclusters = self._messages(cluster)
        self._engine.prepare(cluster, subclusters)
        self._engine.open(cluster, subclusters)
        self._set_alive(work)
        return self.resources.finish(work)

    def _set_alive(self, work: Work) -> None:
        with self.store.transaction():
            row = self.resources.current(work)
            row.message.health = common_pb2.ALIVE
            self.store.save(row)

    def _stop(self, work: Work) -> Message:
        self._take_down(work.resource)
        return self.resources.finish(work)

    def _delete(self, work: Work) -> Message:
        self._take_down(work.resource)
        return self.resources.finish_delete(work)

    def _take_down(self, cluster: str) -> None:
        for job in self.store.select(JOB, {"cluster_id": cluster}):
            self.context.operations.cancel_on(job.key, "Create")
        self._engine.close(cluster)

    def _list_hosts(self, call: Call) -> Message:
        cluster = self.resources.named(call)
        hosts = [host for subcluster in self._subclusters(cluster) for host in hosts_of(cluster, subcluster)]
        answer: Any = cluster_service_pb2.ListClusterHostsResponse()
        page, answer.next_page_token = numbered_page(call.request, hosts)
        answer.hosts.extend(page)
        return answer

    def _messages(self, cluster: Row) -> list[Any]:
        return [row.message for row in self._subclusters(cluster)]

    def _subclusters(self, cluster: Row) -> list[Row]:
        return self.store.select(SUBCLUSTER, {"cluster_id": cluster.key})
