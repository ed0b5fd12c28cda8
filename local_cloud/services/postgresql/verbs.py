"""A cluster has hosts, which count against quotas of the managed databases' own; all else is shared."""

from collections.abc import Callable, Mapping

from local_cloud.core.calls import Begun, Call, Handler, Verb
from local_cloud.core.quotas import Holding
from local_cloud.services.base import Service
from local_cloud.services.postgresql import checks, errors
from local_cloud.services.postgresql.models import HOLDINGS, HOST, new_host

_POSTGRESQL = "yandex.cloud.mdb.postgresql.v1"


class Postgresql(Service):
    def handlers(self) -> Mapping[str, Handler]:
        create = Verb(self._create, self.resources.finish, self.resources.undo_create)
        return {f"{_POSTGRESQL}.ClusterService/Create": create}

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_POSTGRESQL}.ClusterService/Create": lambda call: checks.check_cluster(call.request),
            f"{_POSTGRESQL}.ClusterService/Update": lambda call: checks.check_version(call.request.config_spec.version),
            f"{_POSTGRESQL}.UserService/Create": lambda call: checks.check_user(call.request.user_spec),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return HOLDINGS

    def _create(self, call: Call) -> Begun:
        row = self.resources.create(call)
        made = [new_host(row, call.request.config_spec.resources, host) for host in call.request.host_specs]
        self.add_parts(row, HOST, {host.name: host for host in made}, errors.not_enough_quota)
        return Begun(row)
