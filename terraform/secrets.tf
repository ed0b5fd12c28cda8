# Lockbox. No value of a secret is in the state or in a plan: Lockbox makes the passwords, S3 keys go straight into it,
# connections are made here empty and filled by the deployer.
#
# What a secret opens depends on the secret: so `terraform destroy`, which goes the other way round, stops at a database, an
# Airflow or a bucket that is protected before it has taken the password, the S3 key or the cipher of what stays.
locals {
  database_reader = local.database_is_managed ? [] : ["database"]

  # name -> readers. `special`: Airflow asks for a special character, the others go into addresses and INI files.
  passwords = merge(
    {
      mlflow-admin   = { readers = ["mlflow"], special = false }
      mlflow-trainer = { readers = ["mlflow", "deployer"], special = false } # the jobs' user
      mlflow-airflow = { readers = ["mlflow", "deployer"], special = false } # the DAGs' user
      mlflow-viewer  = { readers = ["mlflow"], special = false }
      mlflow-session = { readers = ["mlflow"], special = false } # signs cookies
      database       = { readers = concat(["mlflow"], local.database_reader), special = false }
    },
    # Encrypts the archive of write-ahead logs and backups; a managed database keeps its own.
    local.database_is_managed ? {} : { database-archive = { readers = ["database"], special = false } },
    var.airflow.enabled ? { airflow-admin = { readers = [], special = true } } : {}, # a person reads it
  )

  # S3 keys, for programs that know no other way to log in; each secret has the entries access_key and secret_key.
  storage_keys = merge(
    {
      airflow  = { readers = ["deployer"] } # who puts it into the connection
      deployer = { readers = ["deployer"] }
      mlflow   = { readers = ["mlflow"] }
    },
    local.database_is_managed ? {} : { database = { readers = ["database"] } },
  )

  # Named as Airflow's secrets back-end asks for.
  connections = merge(
    {
      "airflow/connections/mlflow"         = { readers = ["airflow"] }
      "airflow/connections/object_storage" = { readers = ["airflow"] }
      "airflow/variables/fraud_retraining" = { readers = ["airflow"] }
      "jobs/mlflow"                        = { readers = ["dataproc"] } # entries username and password
    },
    # What fails on a machine is told by the same channels.
    { for name in var.airflow.connections : "airflow/connections/${name}" => { readers = concat(["airflow"], keys(local.machines)) } },
  )

  secret_readers = merge(
    { for reader in flatten([for name, secret in local.passwords : [for account in secret.readers :
      { secret = "password ${name}", id = yandex_lockbox_secret.password[name].id, account = account }
    ]]) : "${reader.secret} ${reader.account}" => reader },
    { for reader in flatten([for name, secret in local.storage_keys : [for account in secret.readers :
      { secret = "storage key ${name}", id = yandex_lockbox_secret.storage_key[name].id, account = account }
    ]]) : "${reader.secret} ${reader.account}" => reader },
    { for reader in flatten([for name, secret in local.connections : [for account in concat(secret.readers, ["deployer"]) :
      { secret = name, id = yandex_lockbox_secret.connection[name].id, account = account }
    ]]) : "${reader.secret} ${reader.account}" => reader },
  )
}

resource "yandex_lockbox_secret" "password" {
  for_each   = local.passwords
  name       = "${var.prefix}-${each.key}"
  folder_id  = var.folder_id
  labels     = local.labels
  kms_key_id = yandex_kms_symmetric_key.main["secrets"].id

  deletion_protection = var.protect

  password_payload_specification {
    password_key         = "password"
    length               = 40
    include_punctuation  = each.value.special
    included_punctuation = each.value.special ? "!#%*+,-.:=?@^_~" : null
  }
}

# The provider makes the secret without a version, which is the password. Without entries the state has ids only; whoever
# plans or applies reads the version, though, and needs lockbox.payloadViewer and the key for it.
resource "yandex_lockbox_secret_version" "password" {
  for_each  = yandex_lockbox_secret.password
  secret_id = each.value.id
}

resource "yandex_lockbox_secret" "storage_key" {
  for_each   = local.storage_keys
  name       = "${var.prefix}-${each.key}-storage-key"
  folder_id  = var.folder_id
  labels     = local.labels
  kms_key_id = yandex_kms_symmetric_key.main["secrets"].id

  deletion_protection = var.protect
}

resource "yandex_iam_service_account_static_access_key" "main" {
  for_each           = local.storage_keys
  service_account_id = yandex_iam_service_account.main[each.key].id
  description        = "Object Storage"

  output_to_lockbox {
    secret_id            = yandex_lockbox_secret.storage_key[each.key].id
    entry_for_access_key = "access_key"
    entry_for_secret_key = "secret_key"
  }
}

resource "yandex_lockbox_secret" "connection" {
  for_each   = local.connections
  name       = "${dirname(each.key)}/${var.prefix}-${basename(each.key)}" # of two stacks in one folder each finds its own
  folder_id  = var.folder_id
  labels     = local.labels
  kms_key_id = yandex_kms_symmetric_key.main["secrets"].id

  # A channel of alerts that is asked for no longer is deleted before the setting could lift a protection.
  deletion_protection = var.protect && !contains(var.airflow.connections, basename(each.key))
}

resource "yandex_lockbox_secret_iam_member" "reader" {
  for_each  = local.secret_readers
  secret_id = each.value.id
  role      = "lockbox.payloadViewer"
  member    = local.member[each.value.account]
}

resource "yandex_lockbox_secret_iam_member" "writer" {
  for_each  = local.connections
  secret_id = yandex_lockbox_secret.connection[each.key].id
  role      = "lockbox.editor" # adds versions
  member    = local.member["deployer"]
}

resource "yandex_kms_symmetric_key_iam_member" "secrets" {
  for_each         = toset([for reader in local.secret_readers : reader.account])
  symmetric_key_id = yandex_kms_symmetric_key.main["secrets"].id
  role             = each.key == "deployer" ? "kms.keys.encrypterDecrypter" : "kms.keys.decrypter"
  member           = local.member[each.key]
}
