# Service accounts, each with one purpose, and their roles on the folder, each with its reason. Roles on single buckets,
# secrets and keys stand beside those (storage.tf, secrets.tf). Nothing here has a key: people and CI impersonate `deployer`.
locals {
  accounts = merge(
    {
      airflow     = "Runs the DAGs: makes and deletes clusters, reads its connections"
      dataproc    = "Clusters: reads and writes the lake"
      autoscaling = "Adds and removes hosts of a cluster; apart from dataproc, whose token any job can read"
      mlflow      = "MLflow's machine: artifacts and its own secrets"
      deployer    = "Uploads code and fills Airflow's secrets"
    },
    local.database_is_managed ? {} : { database = "The database's machine: its password and its backups" },
  )

  folder_roles = {
    airflow = merge(
      {
        "dataproc.editor" = "makes a cluster for a run, submits its jobs, deletes it"
        "vpc.user"        = "puts the cluster into our subnet and security group"
      },
      var.airflow.enabled ? { "managed-airflow.integrationProvider" = "the service asks for it: logs, metrics, names of secrets, reads the DAGs" } : {},
    )
    dataproc = {
      "dataproc.agent" = "the agent on a cluster's hosts takes jobs, reports, and logs into our log group"
    }
    autoscaling = {
      "dataproc.provisioner" = "adds and removes hosts"
    }
    deployer = {
      "lockbox.viewer" = "finds secrets by name; payloads only of those in secrets.tf"
    }
  }

  # Accounts that Airflow may hand to a cluster: without this any account of the folder would have to do.
  lent_to_airflow = ["dataproc", "autoscaling"]
}

resource "yandex_iam_service_account" "main" {
  for_each    = local.accounts
  name        = "${var.prefix}-${each.key}"
  description = each.value
  folder_id   = var.folder_id
  labels      = local.labels
}

resource "yandex_resourcemanager_folder_iam_member" "main" {
  for_each = merge([for account, roles in local.folder_roles : {
    for role in keys(roles) : "${account} ${role}" => { account = account, role = role }
  }]...)
  folder_id = var.folder_id
  role      = each.value.role
  member    = local.member[each.value.account]
}

resource "yandex_iam_service_account_iam_member" "lent_to_airflow" {
  for_each           = toset(local.lent_to_airflow)
  service_account_id = yandex_iam_service_account.main[each.key].id
  role               = "iam.serviceAccounts.user"
  member             = local.member["airflow"]
}

locals {
  member = { for name, account in yandex_iam_service_account.main : name => "serviceAccount:${account.id}" }
}
