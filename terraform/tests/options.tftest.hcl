# What a first user may turn on and off: PostgreSQL on a machine, public addresses, Airflow elsewhere, no snapshots.
mock_provider "yandex" {}

variables {
  folder_id         = "b1gfolder00000000000"
  operator_cidrs    = ["198.51.100.7/32"]
  ssh               = { public_key_file = "tests/data/operator.pub" }
  database_password = "secret-of-the-database" # `terraform test` wants an ephemeral variable set, also where it has a default
  labels            = { team = "risk" }
  prefix            = "other"
}

run "database_on_a_machine_and_mlflow_in_public" {
  variables {
    zone                   = "ru-central1-a"
    database               = { kind = "vm", cores = 4, memory_gib = 16, disk_gib = 100 }
    mlflow                 = { public = true, https_cidrs = ["0.0.0.0/0"] }
    airflow                = { connections = ["alert_telegram", "alert_email"], triggerer = {}, egress_ports = [443, 587] }
    airflow_admin_password = "secret-of-airflow"
    dashboard              = true
    ssh                    = { os_login = true }
    protect                = false # the next run takes this machine away, its disk of data included
  }
  assert {
    condition     = length(yandex_mdb_postgresql_cluster_v2.main) == 0 && length(yandex_mdb_postgresql_user.mlflow) == 0 && length(yandex_mdb_postgresql_database.main) == 0
    error_message = "With database.kind = vm there should be no managed PostgreSQL."
  }
  assert {
    condition = yandex_compute_instance.main["database"].network_interface[0].ip_address == "10.130.0.11" && !yandex_compute_instance.main["database"].network_interface[0].nat && yandex_compute_instance.main["database"].network_interface[0].security_group_ids == toset(
      [yandex_vpc_security_group.mlflow.id]
    ) && one(yandex_compute_instance.main["database"].resources).memory == 16 && yandex_compute_instance.main["database"].service_account_id == yandex_iam_service_account.main["database"].id
    error_message = "The database's machine is ${jsonencode(yandex_compute_instance.main["database"].network_interface)}; 10.130.0.11 without a public address is expected."
  }
  assert {
    condition = alltrue([for rules in [yandex_vpc_security_group.mlflow.ingress, yandex_vpc_security_group.mlflow.egress] :
      toset([for rule in rules : rule.port if rule.predefined_target == "self_security_group"]) == toset([22, 5432])
    ])
    error_message = "MLflow's machine and the database's have ${jsonencode(yandex_vpc_security_group.mlflow.ingress)}; 5432 and 22 from one to the other are expected."
  }
  assert {
    condition     = !yandex_vpc_address.public["mlflow"].deletion_protection
    error_message = "The address is protected: `public` could not be turned off again."
  }
  assert {
    condition     = output.database.port == 5432 && output.database.host == "database.other.internal" && output.database.sslmode == "verify-full" && output.database.internal_address == "10.130.0.11" && output.ssh.hosts.database == "10.130.0.11" && output.database.storage_secret_id == yandex_lockbox_secret.storage_key["database"].id && output.database.archive_cipher_secret_id == yandex_lockbox_secret.password["database-archive"].id
    error_message = "output.database is ${jsonencode(output.database)}."
  }
  assert {
    condition     = output.handed_over.database_password == null && output.handed_over.airflow_admin_password.secret_id == yandex_lockbox_secret.password["airflow-admin"].id
    error_message = "output.handed_over is ${jsonencode(output.handed_over)}."
  }
  assert {
    condition     = output.buckets.backups == "other-backups-b1gfolder00000000000"
    error_message = "The bucket for backups is ${jsonencode(output.buckets.backups)}."
  }
  assert {
    condition     = yandex_compute_instance.main["mlflow"].network_interface[0].nat && yandex_compute_instance.main["mlflow"].network_interface[0].nat_ip_address == yandex_vpc_address.public["mlflow"].external_ipv4_address[0].address && output.ssh.hosts.mlflow == output.mlflow.public_address && yandex_vpc_address.public["mlflow"].external_ipv4_address[0].zone_id == "ru-central1-a"
    error_message = "MLflow's machine should have the reserved address."
  }
  assert {
    condition = toset([for rule in setunion(yandex_vpc_security_group.dataproc.ingress, yandex_vpc_security_group.mlflow.ingress, yandex_vpc_security_group.airflow.ingress) :
      rule.port if contains(coalesce(rule.v4_cidr_blocks, []), "0.0.0.0/0")
    ]) == toset([443])
    error_message = "Everybody may reach 443, since it was asked for, and nothing else."
  }
  assert {
    condition     = yandex_compute_instance.main["mlflow"].metadata["enable-oslogin"] == "true" && !can(yamldecode(yandex_compute_instance.main["mlflow"].metadata["user-data"]).users)
    error_message = "With OS Login no user is made: ${jsonencode(yandex_compute_instance.main["mlflow"].metadata)}."
  }
  assert {
    condition     = length(setintersection(keys(output.connections), ["airflow/connections/alert_telegram", "airflow/connections/alert_email"])) == 2 && one(yandex_airflow_cluster.main).triggerer.count == 1 && toset([for rule in yandex_vpc_security_group.airflow.egress : rule.port]) == toset([443, 587])
    error_message = "Airflow has the connections ${jsonencode(keys(output.connections))}."
  }
  assert {
    condition = toset([for reader in values(yandex_lockbox_secret_iam_member.reader) : reader.member if reader.secret_id == yandex_lockbox_secret.connection["airflow/connections/alert_telegram"].id]) == toset([
      for account in ["airflow", "deployer", "mlflow", "database"] : "serviceAccount:${yandex_iam_service_account.main[account].id}"
    ]) && contains([for rule in yandex_vpc_security_group.mlflow.egress : rule.port], 587)
    error_message = "Both machines should read the alerts' connections and reach the mail server: ${jsonencode([for rule in yandex_vpc_security_group.mlflow.egress : rule.port])}."
  }
  assert {
    condition     = length(one(yandex_monitoring_dashboard.main).widgets) == 4 && length(one(yandex_compute_snapshot_schedule.main).disk_ids) == 3
    error_message = "A dashboard of four charts and snapshots of three disks are expected."
  }
  assert {
    condition     = yandex_vpc_network.main.labels == tomap({ team = "risk", project = "fraud-retraining", stack = "other", managed-by = "terraform" })
    error_message = "Labels are ${jsonencode(yandex_vpc_network.main.labels)}."
  }
}

run "nothing_is_made_of_what_is_off" {
  variables {
    prefix    = "third"
    database  = { high_availability = true }
    airflow   = { enabled = false }
    snapshots = { keep = 0 }
    protect   = false
  }
  assert {
    condition     = length(yandex_airflow_cluster.main) == 0 && output.airflow.id == null && output.airflow.url == null && output.airflow.admin_secret_id == null && output.handed_over.airflow_admin_password == null && output.cost_inputs.airflow == null
    error_message = "output.airflow is ${jsonencode(output.airflow)}."
  }
  assert {
    condition = !contains([for role in yandex_resourcemanager_folder_iam_member.main : role.role], "managed-airflow.integrationProvider") && yandex_storage_bucket_iam_binding.main["dags storage.viewer"].members == toset(
      ["serviceAccount:${yandex_iam_service_account.main["airflow"].id}"]
    )
    error_message = "Without Managed Airflow nobody needs its role, and an Airflow elsewhere needs the right to read the DAGs."
  }
  assert {
    condition     = !contains(keys(output.quota_needs), "managed-airflow.clusters.count")
    error_message = "Without Managed Airflow nothing of its quotas is needed: ${jsonencode(output.quota_needs)}."
  }
  assert {
    condition     = length(yandex_compute_snapshot_schedule.main) == 0 && length(yandex_monitoring_dashboard.main) == 0 && length(yandex_vpc_address.public) == 0
    error_message = "Snapshots, dashboard and public address were not asked for."
  }
  assert {
    condition     = toset(keys(one(yandex_mdb_postgresql_cluster_v2.main).hosts)) == toset(["ru-central1-a", "ru-central1-b", "ru-central1-d"]) && output.cost_inputs.database.hosts == 3
    error_message = "Hosts are in ${jsonencode(keys(one(yandex_mdb_postgresql_cluster_v2.main).hosts))}; one in each zone is expected."
  }
  assert {
    condition     = !one(yandex_mdb_postgresql_cluster_v2.main).deletion_protection && alltrue([for user in yandex_mdb_postgresql_user.mlflow : user.deletion_protection == "false"]) && alltrue([for bucket in yandex_storage_bucket.main : bucket.force_destroy]) && alltrue([for thing in concat(values(yandex_kms_symmetric_key.main), values(yandex_lockbox_secret.password), values(yandex_lockbox_secret.storage_key), values(yandex_lockbox_secret.connection)) : !thing.deletion_protection])
    error_message = "With protect = false everything can be deleted."
  }
}

run "a_channel_of_alerts_can_be_taken_back" {
  command = plan
  variables {
    airflow = { connections = ["alert_telegram"] }
  }
  assert {
    condition     = [for name, secret in yandex_lockbox_secret.connection : name if !secret.deletion_protection] == ["airflow/connections/alert_telegram"]
    error_message = "Channels that are asked for no longer could not be deleted: ${jsonencode({ for name, secret in yandex_lockbox_secret.connection : name => secret.deletion_protection })}."
  }
}
