# The stack as it is by default: managed PostgreSQL, MLflow without a public address, Managed Airflow.
mock_provider "yandex" {}

variables {
  folder_id              = "b1gfolder00000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { public_key_file = "tests/data/operator.pub" }
  database_password      = "secret-of-the-database"
  airflow_admin_password = "secret-of-airflow"
}

run "defaults" {
  # ------------------------------------------------------------------------------------ network
  assert {
    condition = alltrue([for subnet in yandex_vpc_subnet.main : subnet.route_table_id == yandex_vpc_route_table.nat.id]) && toset([
      for subnet in yandex_vpc_subnet.main : "${subnet.zone} ${one(subnet.v4_cidr_blocks)}"
    ]) == toset(["ru-central1-a 10.130.0.0/24", "ru-central1-b 10.130.1.0/24", "ru-central1-d 10.130.2.0/24"])
    error_message = "Subnets are ${jsonencode([for subnet in yandex_vpc_subnet.main : [subnet.zone, subnet.v4_cidr_blocks, subnet.route_table_id]])}; one in each zone, all behind the NAT gateway, are expected."
  }
  assert {
    condition     = one(yandex_vpc_route_table.nat.static_route).gateway_id == yandex_vpc_gateway.nat.id && one(yandex_vpc_route_table.nat.static_route).destination_prefix == "0.0.0.0/0"
    error_message = "The way out is ${jsonencode(yandex_vpc_route_table.nat.static_route)}; all of it should go through the NAT gateway."
  }
  assert {
    condition     = yandex_dns_zone.internal.zone == "fraud.internal." && !yandex_dns_zone.internal.public && keys(yandex_dns_recordset.machine) == ["mlflow"] && yandex_dns_recordset.machine["mlflow"].data == toset(["10.130.2.10"])
    error_message = "Names are ${jsonencode([yandex_dns_zone.internal.zone, [for record in yandex_dns_recordset.machine : [record.name, record.data]]])}; mlflow.fraud.internal should be 10.130.2.10."
  }

  # ------------------------------------------------------------------------------------ firewall
  assert {
    condition = alltrue([for rule in setunion(yandex_vpc_security_group.dataproc.ingress, yandex_vpc_security_group.mlflow.ingress, yandex_vpc_security_group.airflow.ingress) :
      !contains(coalesce(rule.v4_cidr_blocks, []), "0.0.0.0/0") && (length(coalesce(rule.v4_cidr_blocks, [])) > 0 || rule.security_group_id != null || rule.predefined_target == "self_security_group")
    ])
    error_message = "A rule lets everybody in."
  }
  assert {
    condition = toset([for rule in yandex_vpc_security_group.dataproc.ingress : [rule.protocol, rule.predefined_target, rule.from_port, rule.to_port]]) == toset([["ANY", "self_security_group", 0, 65535]]) && toset([
      for rule in yandex_vpc_security_group.dataproc.egress : [rule.protocol, coalesce(rule.predefined_target, "any"), coalesce(rule.port, -1)]
    ]) == toset([["ANY", "self_security_group", -1], ["TCP", "any", 443], ["UDP", "any", 123]])
    error_message = "Rules of clusters are ${jsonencode([yandex_vpc_security_group.dataproc.ingress, yandex_vpc_security_group.dataproc.egress])}; self both ways, 443/tcp and 123/udp out are expected."
  }
  assert {
    condition = toset([for rule in yandex_vpc_security_group.mlflow.ingress : "${rule.port} ${join(" ", coalesce(rule.v4_cidr_blocks, []))}${rule.predefined_target != null ? rule.predefined_target : ""}"]) == toset([
      "22 198.51.100.7/32", "443 10.130.0.0/24 10.130.1.0/24 10.130.2.0/24", "6432 self_security_group"
    ])
    error_message = "MLflow's machine and its database let in ${jsonencode(yandex_vpc_security_group.mlflow.ingress)}; 22 from operators, 443 from the network and 6432 from one another are expected."
  }
  assert {
    condition = toset([for rule in yandex_vpc_security_group.airflow.ingress : rule.predefined_target]) == toset(["self_security_group"]) && toset(
      [for rule in yandex_vpc_security_group.airflow.egress : rule.port]
    ) == toset([443])
    error_message = "Airflow's rules are ${jsonencode([yandex_vpc_security_group.airflow.ingress, yandex_vpc_security_group.airflow.egress])}; itself in and 443 out are expected."
  }
  assert {
    condition = alltrue([for group in [yandex_vpc_security_group.dataproc, yandex_vpc_security_group.mlflow, yandex_vpc_security_group.airflow] :
      length(group.ingress) > 0 && length(group.egress) > 0
    ])
    error_message = "A security group has no rule in a direction: what is added to it by hand would be no drift."
  }

  # ------------------------------------------------------------------------------------ storage
  assert {
    condition = toset([for bucket in yandex_storage_bucket.main : bucket.bucket]) == toset([
      for name in ["lake", "dags", "jobs", "artifacts", "logs"] : "fraud-${name}-b1gfolder00000000000"
    ])
    error_message = "Buckets are ${jsonencode([for bucket in yandex_storage_bucket.main : bucket.bucket])}."
  }
  assert {
    condition = alltrue([for bucket in yandex_storage_bucket.main :
      one(one(one(bucket.server_side_encryption_configuration).rule).apply_server_side_encryption_by_default).kms_master_key_id == yandex_kms_symmetric_key.main[split("-", bucket.bucket)[1]].id
    ])
    error_message = "A bucket is not encrypted with a key of its own."
  }
  assert {
    condition     = alltrue([for bucket in yandex_storage_bucket.main : !bucket.force_destroy && !one(bucket.anonymous_access_flags).read && !one(bucket.anonymous_access_flags).list && !one(bucket.anonymous_access_flags).config_read])
    error_message = "A bucket is open to the public, or is deleted with what is in it."
  }
  assert {
    condition     = [for name, bucket in yandex_storage_bucket.main : name if one(bucket.versioning).enabled] == ["artifacts"]
    error_message = "Versioned: ${jsonencode([for name, bucket in yandex_storage_bucket.main : name if one(bucket.versioning).enabled])}; artifacts are expected."
  }
  assert {
    condition = { for name, bucket in yandex_storage_bucket.main : name => [for rule in bucket.lifecycle_rule : rule.id] } == {
      lake      = ["unfinished-uploads"], dags = ["unfinished-uploads"], jobs = ["unfinished-uploads"]
      artifacts = ["unfinished-uploads", "old-versions"], logs = ["unfinished-uploads", "expire"]
    } && one(yandex_storage_bucket.main["logs"].lifecycle_rule[1].expiration).days == 30
    error_message = "Lifecycle rules are ${jsonencode({ for name, bucket in yandex_storage_bucket.main : name => [for rule in bucket.lifecycle_rule : rule.id] })}."
  }
  assert {
    condition     = alltrue([for key in yandex_kms_symmetric_key.main : key.deletion_protection && key.rotation_period == "8760h"])
    error_message = "A key is not turned every year, or can be deleted."
  }

  # ------------------------------------------------------------------------------------ secrets
  assert {
    condition = { for name, secret in yandex_lockbox_secret.password : secret.name => one(secret.password_payload_specification).password_key } == {
      for name in ["mlflow-admin", "mlflow-trainer", "mlflow-airflow", "mlflow-viewer", "mlflow-session", "database", "airflow-admin"] : "fraud-${name}" => "password"
    } && alltrue([for secret in yandex_lockbox_secret.password : one(secret.password_payload_specification).length >= 32])
    error_message = "Passwords that Lockbox makes: ${jsonencode([for secret in yandex_lockbox_secret.password : secret.name])}."
  }
  assert {
    condition = alltrue([for version in yandex_lockbox_secret_version.password : length(version.entries) == 0]) && toset(
      [for version in yandex_lockbox_secret_version.password : version.secret_id]
    ) == toset([for secret in yandex_lockbox_secret.password : secret.id])
    error_message = "Each secret with a password should have a version, which is what makes the password, and the state no entry of it."
  }
  assert {
    condition     = alltrue([for secret in concat(values(yandex_lockbox_secret.password), values(yandex_lockbox_secret.storage_key), values(yandex_lockbox_secret.connection)) : secret.deletion_protection])
    error_message = "A secret can be deleted while what it opens cannot."
  }
  assert {
    condition = toset([for key in yandex_iam_service_account_static_access_key.main : one(key.output_to_lockbox).secret_id]) == toset([for secret in yandex_lockbox_secret.storage_key : secret.id]) && toset(
      keys(yandex_iam_service_account_static_access_key.main)
    ) == toset(["airflow", "deployer", "mlflow"])
    error_message = "S3 keys of ${jsonencode(keys(yandex_iam_service_account_static_access_key.main))} should each go into a Lockbox secret of its own."
  }
  assert {
    condition     = alltrue([for secret in concat(values(yandex_lockbox_secret.password), values(yandex_lockbox_secret.storage_key), values(yandex_lockbox_secret.connection)) : secret.kms_key_id == yandex_kms_symmetric_key.main["secrets"].id])
    error_message = "A secret is not encrypted with the key `secrets`."
  }
  assert {
    condition     = alltrue([for user in yandex_mdb_postgresql_user.mlflow : user.password == null && user.password_wo_version == 1])
    error_message = "The database's password is in the state."
  }
  assert {
    condition = !strcontains(jsonencode([
      output.folder_id, output.zone, output.buckets, output.mlflow, output.database, output.airflow, output.dataproc,
      output.deployer, output.connections, output.handed_over, output.ssh, output.cost_inputs, output.quota_needs, output.quota_needs_of_a_run
    ]), "secret-of-")
    error_message = "An output holds a secret."
  }

  # ------------------------------------------------------------------------------------ machines
  assert {
    condition     = keys(yandex_compute_instance.main) == ["mlflow"] && alltrue([for machine in yandex_compute_instance.main : machine.name == "fraud-mlflow" && machine.metadata["serial-port-enable"] == "0" && machine.metadata["enable-oslogin"] == "false"])
    error_message = "Machines are ${jsonencode([for machine in yandex_compute_instance.main : [machine.name, machine.metadata]])}; mlflow, with the serial console off, is expected."
  }
  assert {
    condition     = !yandex_compute_instance.main["mlflow"].network_interface[0].nat && yandex_compute_instance.main["mlflow"].network_interface[0].ip_address == "10.130.2.10" && length(yandex_vpc_address.public) == 0 && output.mlflow.public_address == null
    error_message = "MLflow's machine has the interface ${jsonencode(yandex_compute_instance.main["mlflow"].network_interface)}; 10.130.2.10 and no public address are expected."
  }
  assert {
    condition     = yandex_compute_instance.main["mlflow"].network_interface[0].security_group_ids == toset([yandex_vpc_security_group.mlflow.id]) && yandex_compute_instance.main["mlflow"].service_account_id == yandex_iam_service_account.main["mlflow"].id
    error_message = "MLflow's machine should have its own security group and service account."
  }
  assert {
    condition = alltrue([for machine in yandex_compute_instance.main : alltrue([for options in machine.metadata_options :
      [options.gce_http_endpoint, options.aws_v1_http_endpoint, options.aws_v2_http_endpoint] == [1, 1, 1] &&
      [options.gce_http_token, options.aws_v1_http_token, options.aws_v2_http_token] == [1, 2, 2]
    ]) && length(machine.metadata_options) == 1])
    error_message = "cloud-init finds no user-data (an endpoint is off), or the machine's token is to be had without the header (AWS)."
  }
  assert {
    condition = yamldecode(yandex_compute_instance.main["mlflow"].metadata["user-data"]) == {
      ssh_pwauth = false, disable_root = true, packages = ["python3", "sudo"]
      users = [{
        name                = "ops", no_user_group = true, primary_group = "users", shell = "/bin/bash", sudo = "ALL=(ALL) NOPASSWD:ALL", lock_passwd = true
        ssh_authorized_keys = [trimspace(file("tests/data/operator.pub"))]
      }]
    }
    error_message = "cloud-init gets ${yandex_compute_instance.main["mlflow"].metadata["user-data"]}"
  }
  assert {
    condition     = one(yandex_compute_snapshot_schedule.main).disk_ids == toset([yandex_compute_disk.system["mlflow"].id]) && yandex_compute_instance.main["mlflow"].boot_disk[0].disk_id == yandex_compute_disk.system["mlflow"].id && length(yandex_compute_disk.data) == 0 && one(yandex_compute_snapshot_schedule.main).snapshot_count == 7
    error_message = "Seven snapshots of MLflow's one disk are expected."
  }

  # ------------------------------------------------------------------------------------ database
  assert {
    condition     = one(yandex_mdb_postgresql_cluster_v2.main).deletion_protection && one(yandex_mdb_postgresql_cluster_v2.main).config.backup_retain_period_days == 14 && one(yandex_mdb_postgresql_cluster_v2.main).maintenance_window.type == "WEEKLY"
    error_message = "PostgreSQL should be protected, backed up for 14 days and maintained in a window."
  }
  assert {
    condition = { for name, host in one(yandex_mdb_postgresql_cluster_v2.main).hosts : name => host.assign_public_ip } == { ru-central1-d = false } && one(
      yandex_mdb_postgresql_cluster_v2.main
    ).security_group_ids == toset([yandex_vpc_security_group.mlflow.id])
    error_message = "PostgreSQL's hosts are ${jsonencode(one(yandex_mdb_postgresql_cluster_v2.main).hosts)}; one without a public address is expected."
  }
  assert {
    condition     = toset([for database in yandex_mdb_postgresql_database.main : "${database.name} ${database.owner}"]) == toset(["mlflow mlflow", "mlflow_auth mlflow"])
    error_message = "Databases are ${jsonencode([for database in yandex_mdb_postgresql_database.main : "${database.name} ${database.owner}"])}."
  }
  assert {
    condition     = output.database.port == 6432 && output.database.sslmode == "verify-full" && output.database.internal_address == null && output.database.storage_secret_id == null && output.buckets.backups == null && output.ssh.hosts.database == null
    error_message = "output.database is ${jsonencode(output.database)}."
  }

  # ------------------------------------------------------------------------------------ Airflow
  assert {
    condition     = one(yandex_airflow_cluster.main).airflow_version == "3.1" && one(yandex_airflow_cluster.main).python_version == "3.12" && one(yandex_airflow_cluster.main).code_sync.s3.bucket == "fraud-dags-b1gfolder00000000000" && one(yandex_airflow_cluster.main).lockbox_secrets_backend.enabled && one(yandex_airflow_cluster.main).logging.log_group_id == yandex_logging_group.main.id
    error_message = "Airflow 3.1 on Python 3.12, DAGs from the bucket `dags`, secrets from Lockbox and logs in our group are expected."
  }
  assert {
    condition     = one(yandex_airflow_cluster.main).airflow_config == null && one(yandex_airflow_cluster.main).timeouts.create == "60m"
    error_message = "An empty configuration of Airflow must be null, and 60m are needed to make it (Terraform hides the values: the resource holds a sensitive one)."
  }
  assert {
    condition     = one(yandex_airflow_cluster.main).dag_processor.resource_preset_id == "c1-m4" && one(yandex_airflow_cluster.main).triggerer == null && one(yandex_airflow_cluster.main).deletion_protection
    error_message = "Airflow 3 has a dag_processor; a triggerer is for a task that waits for a person, of which there is none."
  }
  assert {
    condition     = length(one(yandex_airflow_cluster.main).pip_packages) >= 3 && alltrue([for package in one(yandex_airflow_cluster.main).pip_packages : can(regex("^[a-z0-9-]+==[0-9][^=]*$", package)) && !startswith(package, "apache-airflow==")])
    error_message = "Pinned packages without Airflow itself are expected in pip_packages (Terraform hides them: the resource holds a sensitive value)."
  }

  assert {
    condition     = yandex_logging_group.main.retention_period == "72h"
    error_message = "Logs are kept for ${yandex_logging_group.main.retention_period}; 72h, the cloud's quota, is expected."
  }

  # ------------------------------------------------------------------------------------ names and labels
  assert {
    condition = alltrue([for thing in concat(
      [yandex_vpc_network.main, yandex_vpc_gateway.nat, yandex_vpc_route_table.nat, yandex_dns_zone.internal, yandex_logging_group.main],
      values(yandex_vpc_subnet.main), values(yandex_iam_service_account.main), values(yandex_kms_symmetric_key.main), values(yandex_compute_instance.main),
      [yandex_vpc_security_group.dataproc, yandex_vpc_security_group.mlflow, yandex_vpc_security_group.airflow],
      yandex_compute_snapshot_schedule.main, yandex_mdb_postgresql_cluster_v2.main, yandex_airflow_cluster.main,
      values(yandex_lockbox_secret.password), values(yandex_lockbox_secret.storage_key), values(yandex_lockbox_secret.connection),
      ) : thing.labels == tomap({ project = "fraud-retraining", stack = "fraud", managed-by = "terraform" }) && (startswith(thing.name, "fraud") || strcontains(thing.name, "/fraud-"))
    ]) && alltrue([for bucket in yandex_storage_bucket.main : bucket.tags == yandex_vpc_network.main.labels])
    error_message = "Something has no labels, or a name without the prefix."
  }
  assert {
    condition     = length(yandex_monitoring_dashboard.main) == 0
    error_message = "There should be no dashboard unless it is asked for."
  }
}

run "a_task_that_waits_for_a_person_needs_a_triggerer" {
  command = plan
  variables {
    promotion = { mode = "approval", hours = 24, rule = "weeks" }
  }
  assert {
    condition     = output.promotion.rule == "weeks" && one(yandex_airflow_cluster.main).triggerer.count == 1 && output.promotion.mode == "approval" && output.promotion.hours == 24
    error_message = "On Airflow 3 a question to a person waits in the triggerer: one is expected, and the setting in the output ${jsonencode(output.promotion)}."
  }
}

run "airflow_2_takes_a_password_in_its_api" {
  command = plan
  variables {
    airflow = { version = "2.11", config = { api = { maximum_page_limit = "200" }, core = { parallelism = "8" } } }
  }
  assert {
    condition = one(yandex_airflow_cluster.main).airflow_config == tomap({
      api  = tomap({ auth_backends = "airflow.api.auth.backend.basic_auth,airflow.api.auth.backend.session", maximum_page_limit = "200" })
      core = tomap({ parallelism = "8" })
    })
    error_message = "airflow_config is ${jsonencode(one(yandex_airflow_cluster.main).airflow_config)}; what is asked for is expected, and that Airflow 2 takes a password."
  }
}

run "on_airflow_2_it_needs_none" {
  command = plan
  variables {
    airflow   = { version = "2.11" }
    promotion = { mode = "approval" }
  }
  assert {
    condition     = one(yandex_airflow_cluster.main).triggerer == null
    error_message = "On Airflow 2 a sensor waits: no triggerer is expected."
  }
}

run "the_password_of_a_managed_database_must_be_there" {
  command = plan
  variables {
    database_password = null
  }
  expect_failures = [yandex_mdb_postgresql_user.mlflow]
}

run "defaults_fit_a_fresh_cloud" {
  command = plan
  assert {
    condition = alltrue([for metric, quota in {
      "compute.instances.count" = 12, "compute.instanceCores.count" = 32, "compute.instanceMemory.size" = 128 * 1024 * 1024 * 1024
      "compute.disks.count"     = 32, "compute.ssdDisks.size" = 200 * 1024 * 1024 * 1024, "compute.hddDisks.size" = 500 * 1024 * 1024 * 1024
      "compute.snapshots.count" = 32, "vpc.networks.count" = 1, "vpc.subnets.count" = 3, "vpc.securityGroups.count" = 4 # one network with its group is there
      "vpc.routeTables.count"   = 8, "mdb.cpu.count" = 64, "managed-airflow.cpu.count" = 128, "storage.buckets.count" = 25
    } : output.quota_needs[metric] <= quota])
    error_message = "The defaults need ${jsonencode(output.quota_needs)}, which is more than a fresh cloud has."
  }
  assert {
    condition = output.quota_needs["compute.ssdDisks.size"] == (30 + 3 * 40) * 1024 * 1024 * 1024 && output.quota_needs_of_a_run == {
      "compute.instances.count"     = 3, "compute.disks.count" = 3, "compute.instanceCores.count" = 2 + 2 * 4
      "compute.instanceMemory.size" = (8 + 2 * 16) * 1024 * 1024 * 1024
      "compute.ssdDisks.size"       = 3 * 40 * 1024 * 1024 * 1024, "compute.hddDisks.size" = 0
    }
    error_message = "A run of a master and two hosts needs ${jsonencode(output.quota_needs_of_a_run)}, with what stands ${jsonencode(output.quota_needs)}."
  }
}

run "a_database_on_a_machine_fits_a_fresh_cloud_too" {
  command = plan
  variables {
    database = { kind = "vm" }
    mlflow   = { public = true }
  }
  assert {
    condition = output.quota_needs["compute.ssdDisks.size"] <= 200 * 1024 * 1024 * 1024 && output.quota_needs["compute.snapshots.count"] <= 32 && (
      output.quota_needs["vpc.securityGroups.count"] == 4 && output.quota_needs["vpc.externalStaticAddresses.count"] == 1
    ) && !contains(keys(output.quota_needs), "mdb.clusters.count")
    error_message = "PostgreSQL on a machine needs ${jsonencode(output.quota_needs)}, which is more than a fresh cloud has."
  }
}

run "a_larger_run_needs_more" {
  command = plan
  variables {
    database = { disk_type = "network-hdd", preset = "s2.micro", high_availability = true }
    dataproc = { compute_count = 2, compute_max_count = 5, disk_type = "network-hdd", disk_gib = 64, compute_preset = "m3-c6-m48" }
  }
  assert {
    condition = output.quota_needs["compute.hddDisks.size"] == 6 * 64 * 1024 * 1024 * 1024 && output.quota_needs["compute.ssdDisks.size"] == 30 * 1024 * 1024 * 1024 && (
      output.quota_needs["compute.instanceCores.count"] == 2 + 2 + 5 * 6
    ) && [output.quota_needs["mdb.cpu.count"], output.quota_needs["mdb.hdd.size"]] == [6, 3 * 20 * 1024 * 1024 * 1024]
    error_message = "The largest size that a cluster may grow to counts: ${jsonencode(output.quota_needs)}."
  }
}

run "a_preset_of_unknown_size" {
  command = plan
  variables {
    dataproc = { compute_preset = "m1.none" }
  }
  expect_failures = [output.quota_needs]
}

run "step_one_makes_the_passwords_and_nothing_else" {
  command = plan
  plan_options {
    target = [yandex_lockbox_secret_version.password]
  }
  variables {
    prefix                 = "fresh"
    database_password      = null
    airflow_admin_password = null
  }
  assert {
    condition     = length(yandex_lockbox_secret_version.password) == length(yandex_lockbox_secret.password)
    error_message = "A secret without a version has no password."
  }
  assert {
    condition     = output.handed_over.database_password.key == "password" && output.handed_over.airflow_admin_password.key == "password"
    error_message = "output.handed_over is ${jsonencode(output.handed_over)}."
  }
}

run "more_connections_than_the_server_has" {
  command = plan
  variables {
    database = { connections = 400 } # of 200 for each of two vCPU
  }
  expect_failures = [yandex_mdb_postgresql_user.mlflow]
}
