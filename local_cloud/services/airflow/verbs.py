"""A cluster has an address of its web server; what is refused of it is this service's own, all else is shared."""

from collections.abc import Callable, Mapping

from yandex.cloud.airflow.v1 import common_pb2

from local_cloud.core.calls import Begun, Call, Handler, Verb
from local_cloud.core.quotas import Holding
from local_cloud.services.airflow import checks
from local_cloud.services.base import Service

_AIRFLOW = "yandex.cloud.airflow.v1"


class Airflow(Service):
    def handlers(self) -> Mapping[str, Handler]:
        create = Verb(self._create, self.resources.finish, self.resources.undo_create)
        return {f"{_AIRFLOW}.ClusterService/Create": create}

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_AIRFLOW}.ClusterService/Create": lambda call: checks.check_cluster(self.store, call.request),
            f"{_AIRFLOW}.ClusterService/Update": lambda call: checks.check_update(self.store, call.request),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return {f"{_AIRFLOW}.Cluster": checks.holding}

    def _create(self, call: Call) -> Begun:
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
