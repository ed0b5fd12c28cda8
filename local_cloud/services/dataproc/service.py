"""Clusters and jobs together, on one engine."""

from collections.abc import Mapping

from local_cloud.core.calls import Handler
from local_cloud.core.context import Context, Site
from local_cloud.core.quotas import Holding
from local_cloud.services.base import Service
from local_cloud.services.dataproc.clusters import Clusters
from local_cloud.services.dataproc.engine import Engine, LocalEngine
from local_cloud.services.dataproc.jobs import Jobs
from local_cloud.services.dataproc.models import SUBCLUSTER, subcluster_quotas
from local_cloud.services.dataproc.yarn_engine import YarnEngine

ENGINES = {"local": LocalEngine, "yarn": YarnEngine}


class Dataproc(Service):
    def __init__(self, context: Context, site: Site) -> None:
        super().__init__(context, site)
        self._engine: Engine = ENGINES[context.config.engine](context.config, site)
        self._clusters = Clusters(context, site, self._engine)
        self._jobs = Jobs(context, site, self._engine)

    def handlers(self) -> Mapping[str, Handler]:
        return {**self._clusters.handlers(), **self._jobs.handlers()}

    def holdings(self) -> Mapping[str, Holding]:
        return {SUBCLUSTER: subcluster_quotas}

    def resume(self) -> None:
        self._clusters.resume()

    def shutdown(self) -> None:
        self._engine.shutdown()
