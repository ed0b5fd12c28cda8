# What of the cloud's quotas this configuration takes, so that it can be compared before anything is made. Names and units
# (bytes, pieces) are those of the quota service: `yc quota-manager quota-limit list`. A fresh cloud, as read on 2026-11-26:
# 12 machines, 32 vCPU, 128 GiB of memory, 200 GiB of network-ssd, 500 GiB of network-hdd, 2 networks, 5 to 10 security groups.
locals {
  gib = 1024 * 1024 * 1024

  # vCPU and GiB of presets whose names do not say them; the others end in -c<vCPU>-m<GiB>.
  old_presets = {
    "b1.small"   = [2, 4], "b1.medium" = [2, 4], "b2.small" = [2, 4], "b2.medium" = [2, 4], "b3-c1-m4" = [2, 4]
    "s1.micro"   = [2, 8], "s1.small" = [4, 16], "s1.medium" = [8, 32], "m1.micro" = [2, 16], "m1.small" = [4, 32]
    "s2.micro"   = [2, 8], "s2.small" = [4, 16], "s2.medium" = [8, 32], "s2.large" = [12, 48], "s2.xlarge" = [16, 64]
    "s2.2xlarge" = [24, 96], "s2.3xlarge" = [32, 128], "m2.micro" = [2, 16], "m2.small" = [4, 32], "m2.medium" = [6, 48]
    "m2.large"   = [8, 64], "m2.xlarge" = [12, 96], "m2.2xlarge" = [16, 128]
  }
  presets = toset(concat(
    [var.dataproc.master_preset, var.dataproc.compute_preset, var.database.preset],
    [for part in local.airflow_parts : part.preset],
  ))
  size_of = { for preset in local.presets : preset => lookup(
    local.old_presets, preset, try([for number in regex("c(\\d+)-m(\\d+)$", preset) : tonumber(number)], null)
  ) }
  unknown_presets = [for preset, size in local.size_of : preset if size == null]
  vcpu            = { for preset, size in local.size_of : preset => try(size[0], 0) }
  memory          = { for preset, size in local.size_of : preset => try(size[1], 0) * local.gib }

  # -------------------------------------------------------------------------------------- what stands
  disks = flatten([for machine in local.machines : [for gib in [machine.system_gib, machine.data_gib] :
    { type = machine.size.disk_type, gib = gib } if gib != null
  ]])

  needs_of_machines = {
    "compute.instances.count"           = length(local.machines)
    "compute.instanceCores.count"       = sum(values(local.machines)[*].size.cores)
    "compute.instanceMemory.size"       = sum(values(local.machines)[*].size.memory_gib) * local.gib
    "compute.disks.count"               = length(local.disks)
    "compute.ssdDisks.size"             = sum(concat([0], [for disk in local.disks : disk.gib if disk.type == "network-ssd"])) * local.gib
    "compute.hddDisks.size"             = sum(concat([0], [for disk in local.disks : disk.gib if disk.type == "network-hdd"])) * local.gib
    "compute.snapshots.count"           = var.snapshots.keep * length(local.disks)
    "vpc.externalAddresses.count"       = length([for machine in local.machines : machine if machine.public])
    "vpc.externalStaticAddresses.count" = length([for machine in local.machines : machine if machine.public])
  }

  needs_of_the_network = {
    "vpc.networks.count"       = 1
    "vpc.subnets.count"        = length(var.network.subnets)
    "vpc.routeTables.count"    = 1
    "vpc.staticRoutes.count"   = 1
    "vpc.securityGroups.count" = 3 + 1 # ours, and the one that comes with a network
    "dns.zones.count"          = 1
    "dns.recordSets.count"     = length(local.machines)
  }

  # With what ./state makes: an account, a bucket, a key and its secret.
  needs_of_the_folder = {
    "iam.serviceAccounts.count" = length(local.accounts) + 1
    "iam.accessKeys.count"      = length(local.storage_keys) + 1
    "lockbox.secrets.count"     = length(local.passwords) + length(local.storage_keys) + length(local.connections) + 1
    "storage.buckets.count"     = length(local.buckets) + 1
  }

  database_hosts = var.database.high_availability ? length(var.network.subnets) : 1
  needs_of_the_database = local.database_is_managed ? {
    "mdb.clusters.count" = 1
    "mdb.cpu.count"      = local.database_hosts * local.vcpu[var.database.preset]
    "mdb.memory.size"    = local.database_hosts * local.memory[var.database.preset]
    "mdb.ssd.size"       = local.database_hosts * (var.database.disk_type == "network-ssd" ? var.database.disk_gib : 0) * local.gib
    "mdb.hdd.size"       = local.database_hosts * (var.database.disk_type == "network-hdd" ? var.database.disk_gib : 0) * local.gib
  } : {}

  airflow_parts = { for name, part in {
    webserver     = { count = var.airflow.webserver.count, preset = var.airflow.webserver.preset }
    scheduler     = { count = var.airflow.scheduler.count, preset = var.airflow.scheduler.preset }
    worker        = { count = var.airflow.worker.min, max_count = var.airflow.worker.max, preset = var.airflow.worker.preset }
    dag_processor = startswith(var.airflow.version, "2.") ? null : var.airflow.dag_processor
    triggerer     = var.airflow.triggerer
  } : name => part if part != null && var.airflow.enabled }
  needs_of_airflow = var.airflow.enabled ? {
    "managed-airflow.clusters.count" = 1
    "managed-airflow.cpu.count"      = sum(concat([0], [for part in local.airflow_parts : try(part.max_count, part.count) * local.vcpu[part.preset]]))
    "managed-airflow.memory.size"    = sum(concat([0], [for part in local.airflow_parts : try(part.max_count, part.count) * local.memory[part.preset]]))
  } : {}

  # -------------------------------------------------------------------------------------- what a run takes besides
  most_hosts = coalesce(var.dataproc.compute_max_count, var.dataproc.compute_count)
  run_disks  = (1 + local.most_hosts) * var.dataproc.disk_gib * local.gib
  needs_of_a_run = {
    "compute.instances.count"     = 1 + local.most_hosts
    "compute.instanceCores.count" = local.vcpu[var.dataproc.master_preset] + local.most_hosts * local.vcpu[var.dataproc.compute_preset]
    "compute.instanceMemory.size" = local.memory[var.dataproc.master_preset] + local.most_hosts * local.memory[var.dataproc.compute_preset]
    "compute.disks.count"         = 1 + local.most_hosts
    "compute.ssdDisks.size"       = var.dataproc.disk_type == "network-ssd" ? local.run_disks : 0
    "compute.hddDisks.size"       = var.dataproc.disk_type == "network-hdd" ? local.run_disks : 0
  }

  needs_of_all_that_stands = merge(
    local.needs_of_machines, local.needs_of_the_network, local.needs_of_the_folder, local.needs_of_the_database, local.needs_of_airflow,
  )
}
