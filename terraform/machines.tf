# MLflow's machine and, with database.kind = "vm", PostgreSQL's: Debian that Ansible can log in to, and nothing more.
locals {
  machine_subnet = var.network.subnets[var.zone]
  machines = merge(
    {
      mlflow = {
        address = cidrhost(local.machine_subnet, 10) # the same again when the machine is made anew
        public  = var.mlflow.public
        size    = var.mlflow
      }
    },
    local.database_is_managed ? {} : {
      database = {
        address = cidrhost(local.machine_subnet, 11)
        public  = false
        size    = merge(var.database, { platform = var.mlflow.platform })
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
    initialize_params {
      image_id = data.yandex_compute_image.debian.id
      size     = each.value.size.disk_gib
      type     = each.value.size.disk_type
    }
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

  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image_id] # a newer image of the family is no reason to lose a machine
  }
}

resource "yandex_compute_snapshot_schedule" "main" {
  count          = var.snapshots.keep > 0 ? 1 : 0
  name           = "${var.prefix}-machines"
  folder_id      = var.folder_id
  labels         = local.labels
  snapshot_count = var.snapshots.keep
  disk_ids       = [for machine in yandex_compute_instance.main : machine.boot_disk[0].disk_id]

  schedule_policy {
    expression = var.snapshots.schedule
  }
  snapshot_spec {
    labels = local.labels
  }
}
