# MLflow's machine and, with database.kind = "vm", PostgreSQL's: Debian that Ansible can log in to, and nothing more.
#
# Disks are resources of their own: one that grows, grows in place, where `initialize_params` would make the machine anew.
# PostgreSQL's data have a disk besides, so that a machine may lose its system disk. MLflow's machine has no data to lose:
# runs are PostgreSQL's, artifacts the bucket's, and a new authority is handed out by the next `make bootstrap`.
locals {
  machine_subnet = var.network.subnets[var.zone]
  data_device    = "data" # /dev/disk/by-id/virtio-data on the machine
  machines = merge(
    {
      mlflow = {
        address    = cidrhost(local.machine_subnet, 10) # the same again when the machine is made anew
        public     = var.mlflow.public
        size       = var.mlflow
        system_gib = var.mlflow.disk_gib
        data_gib   = null
      }
    },
    local.database_is_managed ? {} : {
      database = {
        address    = cidrhost(local.machine_subnet, 11)
        public     = false
        size       = merge(var.database, { platform = var.mlflow.platform })
        system_gib = var.database.system_disk_gib
        data_gib   = var.database.disk_gib
      }
    },
  )
}

data "yandex_compute_image" "debian" {
  family = var.image_family
}

resource "yandex_vpc_address" "public" {
  for_each  = toset([for name, machine in local.machines : name if machine.public])
  name      = "${var.prefix}-${each.key}"
  folder_id = var.folder_id
  labels    = local.labels

  external_ipv4_address {
    zone_id = var.zone
  }

  # Once `public` is off again the machine must let go of the address before it is deleted; so it is not protected either.
  lifecycle {
    create_before_destroy = true
  }
}

resource "yandex_compute_disk" "system" {
  for_each  = local.machines
  name      = "${var.prefix}-${each.key}-system"
  folder_id = var.folder_id
  labels    = local.labels
  zone      = var.zone
  type      = each.value.size.disk_type
  size      = each.value.system_gib
  image_id  = data.yandex_compute_image.debian.id

  lifecycle {
    ignore_changes = [image_id] # a newer image of the family is no reason to lose a machine
  }
}

resource "yandex_compute_disk" "data" {
  for_each  = { for name, machine in local.machines : name => machine if machine.data_gib != null }
  name      = "${var.prefix}-${each.key}-data"
  folder_id = var.folder_id
  labels    = merge(local.labels, { protected = tostring(var.protect) })
  zone      = var.zone
  type      = each.value.size.disk_type
  size      = each.value.data_gib

  # So that a destroy that this disk refuses leaves the password and the cipher of what is on it, too.
  depends_on = [yandex_lockbox_secret_version.password, yandex_iam_service_account_static_access_key.main]

  # The cloud has no protection for disks, and `prevent_destroy` none that a variable can lift.
  provisioner "local-exec" {
    when = destroy
    command = self.labels["protected"] != "true" ? "true" : join(" ", [
      "echo \"The disk ${self.name} has data and is protected, so it stays.",
      "Take back what would delete it (database.kind, zone, prefix, a smaller disk_gib, another disk_type),",
      "or give it up: terraform apply -var=protect=false, then again.\" >&2; exit 1",
    ])
  }
}

resource "yandex_compute_instance" "main" {
  for_each                  = local.machines
  name                      = "${var.prefix}-${each.key}"
  hostname                  = each.key
  folder_id                 = var.folder_id
  labels                    = local.labels
  zone                      = var.zone
  platform_id               = each.value.size.platform
  service_account_id        = yandex_iam_service_account.main[each.key].id
  allow_stopping_for_update = true

  resources {
    cores  = each.value.size.cores
    memory = each.value.size.memory_gib
  }

  boot_disk {
    disk_id     = yandex_compute_disk.system[each.key].id
    auto_delete = false # Terraform deletes it
  }

  dynamic "secondary_disk" {
    for_each = [for name, disk in yandex_compute_disk.data : disk.id if name == each.key]
    content {
      disk_id     = secondary_disk.value
      device_name = local.data_device
      auto_delete = false
    }
  }

  lifecycle {
    ignore_changes = [boot_disk[0].auto_delete] # of machines from before their disk was a resource: no reason for others
  }

  network_interface {
    subnet_id          = yandex_vpc_subnet.main[var.zone].id
    ip_address         = each.value.address
    nat                = each.value.public
    nat_ip_address     = each.value.public ? yandex_vpc_address.public[each.key].external_ipv4_address[0].address : null
    security_group_ids = [yandex_vpc_security_group.mlflow.id]
  }

  metadata = {
    serial-port-enable = "0"
    enable-oslogin     = tostring(var.ssh.os_login)
    user-data = templatefile("${path.module}/cloud-init.yaml.tftpl", {
      user = var.ssh.user
      key  = var.ssh.os_login ? "" : trimspace(file(pathexpand(var.ssh.public_key_file)))
    })
  }

  # 1 on, 2 off. cloud-init reads user-data at the AWS endpoints, where its Ec2 datasource looks. The machine's token, with
  # which programs read their secrets, is there in the one form that asks for a header.
  metadata_options {
    gce_http_endpoint    = 1
    gce_http_token       = 1
    aws_v1_http_endpoint = 1
    aws_v1_http_token    = 2
    aws_v2_http_endpoint = 1
    aws_v2_http_token    = 2
  }
}

resource "yandex_compute_snapshot_schedule" "main" {
  count          = var.snapshots.keep > 0 ? 1 : 0
  name           = "${var.prefix}-machines"
  folder_id      = var.folder_id
  labels         = local.labels
  snapshot_count = var.snapshots.keep
  disk_ids       = [for disk in concat(values(yandex_compute_disk.system), values(yandex_compute_disk.data)) : disk.id]

  schedule_policy {
    expression = var.snapshots.schedule
  }
  snapshot_spec {
    labels = local.labels
  }
}
