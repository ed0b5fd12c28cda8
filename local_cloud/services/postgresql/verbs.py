"""Only what is refused is this service's own; its verbs are the shared ones."""

from collections.abc import Callable, Mapping

from local_cloud.core.calls import Call, Handler
from local_cloud.core.quotas import Holding
from local_cloud.services.base import Service
from local_cloud.services.postgresql import checks

_POSTGRESQL = "yandex.cloud.mdb.postgresql.v1"


class Postgresql(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {}

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_POSTGRESQL}.ClusterService/Create": lambda call: checks.check_cluster(call.request),
            f"{_POSTGRESQL}.ClusterService/Update": lambda call: checks.check_version(call.request.config_spec.version),
            f"{_POSTGRESQL}.UserService/Create": lambda call: checks.check_user(call.request.user_spec),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return {f"{_POSTGRESQL}.Cluster": lambda row: {"mdb.clusters.count": 1}}
