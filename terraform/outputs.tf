# What inventory, deployer and DAG need. Ids and addresses; no secret.
output "folder_id" {
  value = var.folder_id
}

output "zone" {
  value = var.zone
}

output "buckets" {
  description = "Purpose -> name"
  value       = { for name in ["lake", "dags", "jobs", "artifacts", "logs", "backups"] : name => try(yandex_storage_bucket.main[name].bucket, null) }
}

output "mlflow" {
  value = {
    host               = "mlflow.${local.dns_zone}"
    internal_address   = local.machines.mlflow.address
    public_address     = local.public_addresses.mlflow
    url                = "https://mlflow.${local.dns_zone}"
    user               = "admin" # MLflow's administrator
    secret_ids         = { for name in ["admin", "trainer", "airflow", "viewer", "session"] : name => yandex_lockbox_secret.password["mlflow-${name}"].id }
    secret_key         = "password"
    storage_secret_id  = yandex_lockbox_secret.storage_key["mlflow"].id
    service_account_id = yandex_iam_service_account.main["mlflow"].id
    instance_id        = yandex_compute_instance.main["mlflow"].id # another machine is set up anew
  }
}

output "database" {
  value = {
    kind                     = var.database.kind
    host                     = local.database_is_managed ? "c-${yandex_mdb_postgresql_cluster_v2.main[0].id}.rw.mdb.yandexcloud.net" : "database.${local.dns_zone}"
    port                     = local.database_ports.postgresql
    name                     = local.databases[0]
    auth_name                = local.databases[1]
    user                     = "mlflow"
    sslmode                  = "verify-full"
    password_secret_id       = yandex_lockbox_secret.password["database"].id
    password_secret_key      = "password"
    internal_address         = try(local.machines.database.address, null)
    storage_secret_id        = try(yandex_lockbox_secret.storage_key["database"].id, null)
    archive_cipher_secret_id = try(yandex_lockbox_secret.password["database-archive"].id, null)
    service_account_id       = try(yandex_iam_service_account.main["database"].id, null)
    version                  = var.database.version
    client                   = var.database.client
    connections              = var.database.connections
    data_disk_id             = try(yandex_compute_disk.data["database"].id, null)
    instance_id              = try(yandex_compute_instance.main["database"].id, null)
    data_disk                = local.database_is_managed ? null : "/dev/disk/by-id/virtio-${local.data_device}"
  }
}

output "airflow" {
  value = {
    id                       = one(yandex_airflow_cluster.main[*].id)
    url                      = one([for cluster in yandex_airflow_cluster.main : "https://c-${cluster.id}.airflow.yandexcloud.net"])
    service_account_id       = yandex_iam_service_account.main["airflow"].id
    object_storage_secret_id = yandex_lockbox_secret.storage_key["airflow"].id
    admin_secret_id          = try(yandex_lockbox_secret.password["airflow-admin"].id, null)
    version                  = var.airflow.version # as asked for; the service may have moved it, which is no change here
  }
}

output "dataproc" {
  description = "What the DAG needs to make a cluster"
  value = merge(var.dataproc, {
    subnet_id                      = yandex_vpc_subnet.main[var.zone].id
    security_group_ids             = [yandex_vpc_security_group.dataproc.id]
    service_account_id             = yandex_iam_service_account.main["dataproc"].id
    autoscaling_service_account_id = yandex_iam_service_account.main["autoscaling"].id
    log_group_id                   = yandex_logging_group.main.id
    zone                           = var.zone
    bucket                         = yandex_storage_bucket.main["logs"].bucket
  })
}

output "quality" {
  description = "What prepare asks of the lake's rows"
  value       = var.quality
}

output "ripening" {
  description = "When a retrain takes labels as known"
  value       = var.ripening
}

output "score" {
  description = "What the daily scoring gives to people"
  value       = var.score
}

output "budget" {
  description = "Above which no cluster is made"
  value       = var.budget
}

output "promotion" {
  description = "Who decides that a better model serves, how many hours a person has to answer, and by which rule"
  value       = var.promotion
}

output "deployer" {
  value = {
    service_account_id = yandex_iam_service_account.main["deployer"].id
    storage_secret_id  = yandex_lockbox_secret.storage_key["deployer"].id
  }
}

output "connections" {
  description = "Empty secrets for the deployer to fill: name -> id"
  value       = { for name, secret in yandex_lockbox_secret.connection : name => secret.id }
}

output "handed_over" {
  description = "Variables that Terraform asks for, and the secret and its entry which hold them; null: not needed"
  value = {
    database_password      = local.database_is_managed ? { secret_id = yandex_lockbox_secret.password["database"].id, key = "password" } : null
    airflow_admin_password = var.airflow.enabled ? { secret_id = yandex_lockbox_secret.password["airflow-admin"].id, key = "password" } : null
  }
}

output "ssh" {
  value = {
    user  = var.ssh.user
    hosts = { mlflow = coalesce(local.public_addresses.mlflow, local.machines.mlflow.address), database = try(local.machines.database.address, null) }
  }
}

output "cost_inputs" {
  description = "What is paid for while it stands (machines, database, airflow, …) and for each run (cluster)"
  value = {
    machines = { for name, machine in local.machines : name => {
      platform      = machine.size.platform
      cores         = machine.size.cores
      memory_gib    = machine.size.memory_gib
      disk_gib      = machine.system_gib
      data_disk_gib = machine.data_gib
      disk_type     = machine.size.disk_type
      snapshots     = var.snapshots.keep
    } }
    database = local.database_is_managed ? {
      preset      = var.database.preset
      hosts       = length(yandex_mdb_postgresql_cluster_v2.main[0].hosts)
      disk_gib    = var.database.disk_gib
      disk_type   = var.database.disk_type
      backup_days = var.database.backup_days
    } : null
    airflow          = var.airflow.enabled ? local.airflow_parts : null
    cluster          = var.dataproc
    public_addresses = length(yandex_vpc_address.public)
    nat_gateways     = 1
    dns_zones        = 1
    kms_keys         = length(yandex_kms_symmetric_key.main)
    secrets          = length(yandex_lockbox_secret.password) + length(yandex_lockbox_secret.storage_key) + length(yandex_lockbox_secret.connection)
    buckets          = keys(yandex_storage_bucket.main)
    log_days         = var.retention.log_days
  }
}

output "quota_needs" {
  description = "Of each of the cloud's quotas (quotas.tf): what stands and one run at its largest take together; bytes or pieces"
  value       = { for metric, need in local.needs_of_all_that_stands : metric => need + lookup(local.needs_of_a_run, metric, 0) }

  precondition {
    condition     = length(local.unknown_presets) == 0
    error_message = "Of the presets ${join(", ", local.unknown_presets)} nobody here knows the size. Take names that say it, such as s3-c4-m16: `yc dataproc resource-preset list`."
  }
}

output "quota_needs_of_a_run" {
  description = "The part of it that a run takes, once all else stands"
  value       = local.needs_of_a_run
}

locals {
  public_addresses = { for name in keys(local.machines) : name => try(yandex_vpc_address.public[name].external_ipv4_address[0].address, null) }
}
