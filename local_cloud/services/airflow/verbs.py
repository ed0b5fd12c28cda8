"""Only what is refused is this service's own; its verbs are the shared ones."""

from collections.abc import Callable, Mapping

from local_cloud.core.calls import Call, Handler
from local_cloud.core.quotas import Holding
from local_cloud.services.airflow import checks
from local_cloud.services.base import Service

_AIRFLOW = "yandex.cloud.airflow.v1"


class Airflow(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {}

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {f"{_AIRFLOW}.ClusterService/Create": lambda call: checks.check_cluster(self.store, call.request)}

    def holdings(self) -> Mapping[str, Holding]:
        return {f"{_AIRFLOW}.Cluster": checks.holding}
