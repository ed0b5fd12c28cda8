# database.kind = "managed": PostgreSQL as a service (TLS always, port 6432). With "vm" see machines.tf and the role postgresql.
resource "yandex_mdb_postgresql_cluster_v2" "main" {
  count               = local.database_is_managed ? 1 : 0
  name                = "${var.prefix}-metadata"
  description         = "MLflow's metadata and users"
  folder_id           = var.folder_id
  labels              = local.labels
  environment         = "PRODUCTION"
  network_id          = yandex_vpc_network.main.id
  security_group_ids  = [yandex_vpc_security_group.mlflow.id]
  deletion_protection = var.protect

  hosts = { for zone in(var.database.high_availability ? keys(var.network.subnets) : [var.zone]) : zone => {
    zone             = zone
    subnet_id        = yandex_vpc_subnet.main[zone].id
    assign_public_ip = false
    priority         = 0 # the service's own; left out, every host is updated once more
  } }

  config {
    version                   = var.database.version
    backup_retain_period_days = var.database.backup_days
    backup_window_start       = { hours = 0, minutes = 30 }

    resources {
      resource_preset_id = var.database.preset
      disk_type_id       = var.database.disk_type
      disk_size          = var.database.disk_gib
    }
  }

  maintenance_window = { type = "WEEKLY", day = "SUN", hour = 2 }

  depends_on = [yandex_lockbox_secret_version.password, yandex_iam_service_account_static_access_key.main] # destroyed the other way round: see secrets.tf
}

resource "yandex_mdb_postgresql_user" "mlflow" {
  count               = local.database_is_managed ? 1 : 0
  cluster_id          = yandex_mdb_postgresql_cluster_v2.main[0].id
  name                = "mlflow"
  conn_limit          = var.database.connections
  deletion_protection = tostring(var.protect)
  password_wo         = var.database_password
  password_wo_version = var.database.password_version

  lifecycle {
    precondition {
      condition     = var.database_password != null
      error_message = "database_password is not set, and the managed database needs it. Put the value of the Lockbox secret ${var.prefix}-database into the environment variable TF_VAR_database_password (terraform/README.md; `make bootstrap` does it)."
    }
    precondition {
      condition     = contains(local.unknown_presets, var.database.preset) || var.database.connections <= local.most_connections
      error_message = "database.connections is ${var.database.connections}, and a server of preset ${var.database.preset} has ${local.most_connections} for its users. Take fewer, or a larger preset (200 for each vCPU, of which the service keeps 15)."
    }
  }
}

resource "yandex_mdb_postgresql_database" "main" {
  for_each            = local.database_is_managed ? toset(local.databases) : []
  cluster_id          = yandex_mdb_postgresql_cluster_v2.main[0].id
  name                = each.key
  owner               = yandex_mdb_postgresql_user.mlflow[0].name
  deletion_protection = tostring(var.protect)
}

locals {
  # The service's rule (its page "Conn limit"): 200 for each vCPU, or a fixed number where a vCPU is shared; 15 are its own.
  shared_cpu       = { "b1.small" = 100, "b2.small" = 100, "b1.medium" = 200, "b2.medium" = 200 }
  most_connections = lookup(local.shared_cpu, var.database.preset, 200 * local.vcpu[var.database.preset]) - 15

  databases = ["mlflow", "mlflow_auth"] # runs and models; users and permissions
}
