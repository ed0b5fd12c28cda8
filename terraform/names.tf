# Names come from the prefix, labels are on everything that can have them.
locals {
  labels    = merge(var.labels, { project = "fraud-retraining", stack = var.prefix, managed-by = "terraform" })
  dns_zone  = coalesce(var.network.dns_zone, "${var.prefix}.internal")
  vpc_cidrs = values(var.network.subnets)

  database_is_managed = var.database.kind == "managed"
  # ssh: MLflow's machine is the only way to the database's
  database_ports = local.database_is_managed ? { postgresql = 6432 } : { postgresql = 5432, ssh = 22 }
}
