resource "yandex_logging_group" "main" {
  name             = "${var.prefix}-retraining"
  description      = "Airflow and the clusters"
  folder_id        = var.folder_id
  labels           = local.labels
  retention_period = "${var.retention.log_group_days * 24}h"
}

locals {
  charts = {
    "CPU of the machines, %"            = "\"compute.cpu_utilization\"{folderId=\"${var.folder_id}\", service=\"compute\"}"
    "Memory of the machines, bytes"     = "\"sys.memory.MemAvailable\"{folderId=\"${var.folder_id}\", service=\"custom\"}"
    "Containers that wait in a cluster" = "\"yarn.cluster.containersPending\"{folderId=\"${var.folder_id}\", service=\"data-proc\"}"
    "Size of the buckets, bytes"        = "\"space_usage\"{folderId=\"${var.folder_id}\", service=\"storage\"}"
  }
}

resource "yandex_monitoring_dashboard" "main" {
  count     = var.dashboard ? 1 : 0
  name      = "${var.prefix}-retraining"
  title     = "Fraud retraining"
  folder_id = var.folder_id
  labels    = local.labels

  dynamic "widgets" {
    for_each = keys(local.charts)
    content {
      position {
        x = widgets.key % 2 * 18
        y = floor(widgets.key / 2) * 12
        w = 18
        h = 12
      }
      chart {
        chart_id       = "chart${widgets.key}"
        title          = widgets.value
        display_legend = true
        queries {
          target {
            query = local.charts[widgets.value]
          }
        }
      }
    }
  }
}
