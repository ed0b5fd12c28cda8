"""The services that do more than the shared verbs. A new one is a folder and a line here."""

from local_cloud.core.context import Context, Site
from local_cloud.services.airflow.verbs import Airflow
from local_cloud.services.base import Service
from local_cloud.services.compute.verbs import Compute
from local_cloud.services.dataproc.service import Dataproc
from local_cloud.services.discovery.verbs import Discovery
from local_cloud.services.dns.verbs import Dns
from local_cloud.services.iam.verbs import Iam
from local_cloud.services.kms.verbs import Kms
from local_cloud.services.lockbox.verbs import Lockbox
from local_cloud.services.operation.verbs import OperationService
from local_cloud.services.postgresql.verbs import Postgresql
from local_cloud.services.quotamanager.verbs import QuotaManager
from local_cloud.services.storage.verbs import Storage
from local_cloud.services.vpc.verbs import Vpc

SERVICES: tuple[type[Service], ...] = (
    Discovery,
    OperationService,
    QuotaManager,
    Iam,
    Lockbox,
    Kms,
    Vpc,
    Dns,
    Compute,
    Storage,
    Postgresql,
    Airflow,
    Dataproc,
)


def services(context: Context, site: Site) -> list[Service]:
    """All of them, ready for their first call."""
    return [service(context, site) for service in SERVICES]
