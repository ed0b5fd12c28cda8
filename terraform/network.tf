# One network, a subnet in each zone, one way out (NAT), internal names.
resource "yandex_vpc_network" "main" {
  name      = var.prefix
  folder_id = var.folder_id
  labels    = local.labels
}

resource "yandex_vpc_gateway" "nat" {
  name      = "${var.prefix}-nat"
  folder_id = var.folder_id
  labels    = local.labels
  shared_egress_gateway {}
}

resource "yandex_vpc_route_table" "nat" {
  name       = "${var.prefix}-nat"
  folder_id  = var.folder_id
  labels     = local.labels
  network_id = yandex_vpc_network.main.id

  static_route {
    destination_prefix = "0.0.0.0/0"
    gateway_id         = yandex_vpc_gateway.nat.id
  }
}

resource "yandex_vpc_subnet" "main" {
  for_each       = var.network.subnets
  name           = "${var.prefix}-${each.key}"
  folder_id      = var.folder_id
  labels         = local.labels
  network_id     = yandex_vpc_network.main.id
  zone           = each.key
  v4_cidr_blocks = [each.value]
  route_table_id = yandex_vpc_route_table.nat.id
}

resource "yandex_dns_zone" "internal" {
  name             = "${var.prefix}-internal"
  folder_id        = var.folder_id
  labels           = local.labels
  zone             = "${local.dns_zone}."
  public           = false
  private_networks = [yandex_vpc_network.main.id]
}

resource "yandex_dns_recordset" "machine" {
  for_each = local.machines
  zone_id  = yandex_dns_zone.internal.id
  name     = "${each.key}.${local.dns_zone}."
  type     = "A"
  ttl      = 300
  data     = [each.value.address]
}
