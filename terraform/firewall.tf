# Who may talk to whom. A rule that names no range and no group would be open to all, so each has one. A direction without a
# rule is shut, but what somebody adds to it by hand is nothing that Terraform sees: each group has a rule in each direction.
# Three groups, for a fresh cloud has five, of which its own network and ours bring one each.
resource "yandex_vpc_security_group" "dataproc" {
  # checkov:skip=CKV_YC_19:it breaks off at rules that name a group or a list of variables; tests/managed.tftest.hcl looks instead
  name        = "${var.prefix}-dataproc"
  description = "Data Processing clusters; the service refuses to create one without these rules"
  folder_id   = var.folder_id
  labels      = local.labels
  network_id  = yandex_vpc_network.main.id

  ingress {
    description       = "Hosts of a cluster among themselves"
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  egress {
    description       = "Hosts of a cluster among themselves"
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  egress {
    description    = "Object Storage, the cloud's API, packages, MLflow"
    protocol       = "TCP"
    port           = 443
    v4_cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    description    = "Time (NTP): tokens of a host with a wrong clock are refused"
    protocol       = "UDP"
    port           = 123
    v4_cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "yandex_vpc_security_group" "mlflow" {
  # checkov:skip=CKV_YC_19:it breaks off at rules that name a group or a list of variables; tests/managed.tftest.hcl looks instead
  name        = "${var.prefix}-mlflow"
  description = "MLflow's machine and its database, which only members of this group reach"
  folder_id   = var.folder_id
  labels      = local.labels
  network_id  = yandex_vpc_network.main.id

  ingress {
    description    = "ssh, from operators"
    protocol       = "TCP"
    port           = 22
    v4_cidr_blocks = var.operator_cidrs
  }
  ingress {
    description    = "MLflow, from the network (Airflow, clusters) and from ranges that were asked for"
    protocol       = "TCP"
    port           = 443
    v4_cidr_blocks = concat(local.vpc_cidrs, var.mlflow.https_cidrs)
  }
  dynamic "ingress" {
    for_each = local.database_ports
    content {
      description       = "The database: ${ingress.key}, from MLflow's machine"
      protocol          = "TCP"
      port              = ingress.value
      predefined_target = "self_security_group"
    }
  }
  dynamic "egress" {
    for_each = local.database_ports
    content {
      description       = "The database: ${egress.key}"
      protocol          = "TCP"
      port              = egress.value
      predefined_target = "self_security_group"
    }
  }
  dynamic "egress" {
    for_each = local.machine_egress
    content {
      description    = egress.value.description
      protocol       = egress.value.protocol
      port           = egress.value.port
      v4_cidr_blocks = egress.value.cidrs
    }
  }
}

resource "yandex_vpc_security_group" "airflow" {
  # checkov:skip=CKV_YC_19:it breaks off at rules that name a group or a list of variables; tests/managed.tftest.hcl looks instead
  name        = "${var.prefix}-airflow"
  description = "Managed Airflow; the service looks at outgoing rules only"
  folder_id   = var.folder_id
  labels      = local.labels
  network_id  = yandex_vpc_network.main.id

  ingress {
    description       = "Its own parts"
    protocol          = "TCP"
    port              = 443
    predefined_target = "self_security_group"
  }
  dynamic "egress" {
    for_each = var.airflow.egress_ports
    content {
      description    = "The cloud's API, packages, MLflow, and what was asked for"
      protocol       = "TCP"
      port           = egress.value
      v4_cidr_blocks = ["0.0.0.0/0"]
    }
  }
}

locals {
  machine_egress = concat([for port in setsubtract(var.airflow.egress_ports, [53, 80, 443]) :
    { description = "Alerts: the mail server", protocol = "TCP", port = port, cidrs = ["0.0.0.0/0"] }
    ], [
    { description = "Object Storage, the cloud's API, packages", protocol = "TCP", port = 443, cidrs = ["0.0.0.0/0"] },
    { description = "Packages of archives without TLS (signed), metadata service", protocol = "TCP", port = 80, cidrs = ["0.0.0.0/0"] },
    { description = "Names", protocol = "UDP", port = 53, cidrs = local.vpc_cidrs },
    { description = "Names, long answers", protocol = "TCP", port = 53, cidrs = local.vpc_cidrs },
    { description = "Time (NTP)", protocol = "UDP", port = 123, cidrs = ["0.0.0.0/0"] },
  ])
}
