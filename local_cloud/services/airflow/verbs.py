"""A cluster has an address of its web server; what is refused of it is this service's own, all else is shared."""

from collections.abc import Callable, Mapping

from google.protobuf.message import Message
from yandex.cloud.airflow.v1 import common_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.errors import ApiError
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row
from local_cloud.services.airflow import checks
from local_cloud.services.airflow.server import Server
from local_cloud.services.base import Finish, Service, on_host

_AIRFLOW = "yandex.cloud.airflow.v1"
CLUSTER, _CLUSTERS = f"{_AIRFLOW}.Cluster", f"{_AIRFLOW}.ClusterService"


class Airflow(Service):
    def __init__(self, context: Context, site: Site) -> None:
        super().__init__(context, site)
        image, lab = context.config.airflow, context.lab
        self._server = Server(image, lab, context.config, site) if image and lab else None

    def handlers(self) -> Mapping[str, Handler]:
        shared, of_cluster = self.resources, self._of_cluster
        return {
            f"{_CLUSTERS}/Create": Verb(self._create, self._made, self._undo_create),
            f"{_CLUSTERS}/Start": Verb(shared.begin_change, of_cluster(Server.up, shared.finish), shared.undo_change),
            f"{_CLUSTERS}/Stop": Verb(shared.begin_change, of_cluster(Server.stop, shared.finish), shared.undo_change),
            f"{_CLUSTERS}/Delete": Verb(
                shared.begin_delete, of_cluster(Server.remove, shared.finish_delete), shared.undo_change
            ),
        }

    def resume(self) -> None:
        """An Airflow that should run does, and has an identity again."""
        if self._server:
            for row in self.running(CLUSTER):
                self._server.start(row)

    def shutdown(self) -> None:
        if self._server:
            self._server.close()

    def _of_cluster(self, act: Callable[[Server, Row], None], finish: Finish) -> Finish:
        return on_host(self._server, lambda server, work: act(server, self.store.get(CLUSTER, work.resource)), finish)

    def _made(self, work: Work) -> Message:
        password = work.call.request.admin_password
        return self._of_cluster(lambda server, row: server.make(row, password), self.resources.finish)(work)

    def _undo_create(self, work: Work, error: ApiError) -> None:
        if self._server:
            self._server.remove(self.store.get(CLUSTER, work.resource))
        self.resources.undo_create(work, error)

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_CLUSTERS}/Create": lambda call: checks.check_cluster(self.store, call.request),
            f"{_CLUSTERS}/Update": lambda call: checks.check_update(self.store, call.request),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return {CLUSTER: checks.holding}

    def _create(self, call: Call) -> Begun:
        if self._server:
            self._server.check(call.request.config.airflow_version, len(self.store.select(CLUSTER)))
        row = self.resources.create(call)
        cluster = row.message
        cluster.webserver_url = f"https://c-{row.key}.airflow.yandexcloud.net"
        cluster.health = common_pb2.ALIVE
        cluster.config.airflow_version = cluster.config.airflow_version or checks.DEFAULT[0]
        cluster.config.python_version = cluster.config.python_version or checks.DEFAULT[1]
        for part in ("airflow", "dependencies", "lockbox"):
            getattr(cluster.config, part).SetInParent()
        if not cluster.maintenance_window.WhichOneof("policy"):
            cluster.maintenance_window.anytime.SetInParent()
        self.store.save(row)
        return Begun(row)
