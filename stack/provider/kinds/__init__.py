"""The types of resources that the stand-in knows: each of them sends what the real provider sends."""

from stack.provider.kinds import compute, identity, managed, network, storage
from stack.provider.kinds.base import Kind

KINDS: dict[str, Kind] = {
    f"yandex_{name}": kind
    for name, kind in {
        "vpc_network": network.Network(),
        "vpc_gateway": network.Gateway(),
        "vpc_route_table": network.RouteTable(),
        "vpc_subnet": network.Subnet(),
        "vpc_address": network.Address(),
        "vpc_security_group": network.SecurityGroup(),
        "dns_zone": network.DnsZone(),
        "dns_recordset": network.DnsRecordSet(),
        "iam_service_account": identity.ServiceAccount(),
        "resourcemanager_folder_iam_member": identity.Member("resourcemanager.v1.FolderService", "folder_id"),
        "iam_service_account_iam_member": identity.Member("iam.v1.ServiceAccountService", "service_account_id"),
        "kms_symmetric_key_iam_member": identity.Member("kms.v1.SymmetricKeyService", "symmetric_key_id"),
        "lockbox_secret_iam_member": identity.Member("lockbox.v1.SecretService", "secret_id"),
        "iam_service_account_static_access_key": identity.StaticAccessKey(),
        "kms_symmetric_key": identity.SymmetricKey(),
        "lockbox_secret": identity.Secret(),
        "lockbox_secret_version": identity.SecretVersion(),
        "storage_bucket": storage.Bucket(),
        "storage_bucket_iam_binding": storage.BucketBinding(),
        "compute_disk": compute.Disk(),
        "compute_instance": compute.Instance(),
        "compute_snapshot_schedule": compute.SnapshotSchedule(),
        "mdb_postgresql_cluster_v2": managed.PostgresqlCluster(),
        "mdb_postgresql_user": managed.PostgresqlUser(),
        "mdb_postgresql_database": managed.PostgresqlDatabase(),
        "airflow_cluster": managed.AirflowCluster(),
        "logging_group": managed.LogGroup(),
        "monitoring_dashboard": managed.Dashboard(),
    }.items()
}
