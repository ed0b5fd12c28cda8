# Managed Airflow. DAGs come from the bucket `dags`, connections and variables from Lockbox.
locals {
  # One source of truth: the packages that requirements/airflow.in asks for, in the versions that airflow.txt locks.
  # Airflow itself is the service's.
  lock     = { for pin in regexall("(?m)^([a-z0-9-]+)==([^ ;]+)", file("${path.module}/../requirements/airflow.txt")) : pin[0] => pin[1]... }
  asked    = flatten(regexall("(?m)^([a-z][a-z0-9-]*)", file("${path.module}/../requirements/airflow.in")))
  packages = [for name in local.asked : "${name}==${one(local.lock[name])}" if name != "apache-airflow"]

  # What asks a person waits in the triggerer; on 2.11 it needs none.
  waits     = var.promotion.mode == "approval" && !startswith(var.airflow.version, "2.")
  triggerer = var.airflow.triggerer == null && local.waits ? { count = 1, preset = "c1-m2" } : var.airflow.triggerer

  # `make history`, `rollback` and `status` log in to Airflow's REST API by password; Airflow 2 takes one only if told to.
  by_password = { api = { auth_backends = "airflow.api.auth.backend.basic_auth,airflow.api.auth.backend.session" } }
  defaults    = { for part, values in local.by_password : part => values if startswith(var.airflow.version, "2.") }
  config      = { for part in setunion(keys(local.defaults), keys(var.airflow.config)) : part => merge(lookup(local.defaults, part, {}), lookup(var.airflow.config, part, {})) }
}

resource "yandex_airflow_cluster" "main" {
  count               = var.airflow.enabled ? 1 : 0
  name                = "${var.prefix}-airflow"
  description         = "Retrains the fraud model"
  folder_id           = var.folder_id
  labels              = local.labels
  service_account_id  = yandex_iam_service_account.main["airflow"].id
  subnet_ids          = [for subnet in yandex_vpc_subnet.main : subnet.id]
  security_group_ids  = [yandex_vpc_security_group.airflow.id]
  deletion_protection = var.protect

  airflow_version = var.airflow.version
  python_version  = var.airflow.python_version
  airflow_config  = length(local.config) > 0 ? local.config : null # {} comes back as nothing: "inconsistent result"
  pip_packages    = local.packages
  admin_password  = var.airflow_admin_password

  code_sync               = { s3 = { bucket = yandex_storage_bucket.main["dags"].bucket } }
  lockbox_secrets_backend = { enabled = true }
  logging                 = { enabled = true, log_group_id = yandex_logging_group.main.id, min_level = "INFO" }
  maintenance_window      = { type = "WEEKLY", day = "SUN", hour = 3 }

  webserver     = { count = var.airflow.webserver.count, resource_preset_id = var.airflow.webserver.preset }
  scheduler     = { count = var.airflow.scheduler.count, resource_preset_id = var.airflow.scheduler.preset }
  worker        = { min_count = var.airflow.worker.min, max_count = var.airflow.worker.max, resource_preset_id = var.airflow.worker.preset }
  dag_processor = startswith(var.airflow.version, "2.") ? null : { count = var.airflow.dag_processor.count, resource_preset_id = var.airflow.dag_processor.preset }
  triggerer     = local.triggerer == null ? null : { count = local.triggerer.count, resource_preset_id = local.triggerer.preset }

  # It reads the bucket while it is being made.
  depends_on = [
    yandex_resourcemanager_folder_iam_member.main,
    yandex_storage_bucket_iam_binding.main,
    yandex_kms_symmetric_key_iam_member.storage,
    yandex_lockbox_secret_version.password,
    yandex_iam_service_account_static_access_key.main,
  ]

  # The provider notes the id when creation has ended, and gives up after 30 minutes: README.md, "What the state lost".
  timeouts {
    create = "60m"
  }

  lifecycle {
    # A change of any of these would replace Airflow. People change the password in Airflow; the service moves clusters to
    # newer versions by itself.
    ignore_changes = [admin_password, airflow_version, python_version]
  }
}
