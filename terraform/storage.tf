# Buckets: each encrypted with a key of its own, closed to the public, opened to one account at a time. The keys are what
# keeps Managed Airflow's account out of the other buckets: the role that the service asks for lists and reads them all.
locals {
  buckets = merge(
    {
      lake      = { expire_days = null, versioned = false }
      dags      = { expire_days = null, versioned = false }
      jobs      = { expire_days = null, versioned = false }
      artifacts = { expire_days = null, versioned = true } # models: what was overwritten or deleted can be had back
      logs      = { expire_days = var.retention.log_days, versioned = false }
    },
    local.database_is_managed ? {} : { backups = { expire_days = null, versioned = false } }, # pgBackRest expires its own
  )

  # bucket -> account -> role. storage.uploader reads and writes and cannot delete; storage.editor deletes too.
  bucket_access = merge(
    {
      lake = {
        dataproc = "storage.editor"   # Spark's committers rename, which is copy and delete
        airflow  = "storage.uploader" # looks for new files, marks those that were used
      }
      dags = {
        airflow  = "storage.viewer"
        deployer = "storage.editor" # takes away files that are no longer ours
      }
      jobs = {
        dataproc = "storage.viewer"
        deployer = "storage.uploader" # a release is never changed
      }
      artifacts = { mlflow = "storage.editor" } # `mlflow gc` deletes; clients get presigned addresses
      logs      = { dataproc = "storage.editor" }
    },
    local.database_is_managed ? {} : { backups = { database = "storage.editor" } },
  )
  bucket_grants = merge([for bucket, roles in local.bucket_access : {
    for account, role in roles : "${bucket} ${account}" => { bucket = bucket, account = account, role = role }
  }]...)
  # What a role on the folder gives already is not given again.
  bucket_bindings = { for grant in values(local.bucket_grants) : "${grant.bucket} ${grant.role}" => grant...
    if !(grant.account == "airflow" && grant.role == "storage.viewer" && var.airflow.enabled)
  }
}

resource "yandex_kms_symmetric_key" "main" {
  for_each            = toset(concat(keys(local.buckets), ["secrets"]))
  name                = "${var.prefix}-${each.key}"
  description         = "Encrypts ${each.key == "secrets" ? "Lockbox" : "the bucket ${each.key}"}; without it the content is lost"
  folder_id           = var.folder_id
  labels              = local.labels
  default_algorithm   = "AES_256"
  rotation_period     = "8760h"
  deletion_protection = var.protect
}

resource "yandex_kms_symmetric_key_iam_member" "storage" {
  for_each         = local.bucket_grants
  symmetric_key_id = yandex_kms_symmetric_key.main[each.value.bucket].id
  role             = each.value.role == "storage.viewer" ? "kms.keys.decrypter" : "kms.keys.encrypterDecrypter"
  member           = local.member[each.value.account]
}

resource "yandex_storage_bucket" "main" {
  for_each      = local.buckets
  bucket        = "${var.prefix}-${each.key}-${var.folder_id}" # names are taken in the whole cloud; a folder's id is not
  folder_id     = var.folder_id
  tags          = local.labels
  force_destroy = !var.protect

  anonymous_access_flags {
    read        = false
    list        = false
    config_read = false
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        kms_master_key_id = yandex_kms_symmetric_key.main[each.key].id
        sse_algorithm     = "aws:kms"
      }
    }
  }

  versioning {
    enabled = each.value.versioned
  }

  lifecycle_rule {
    id                                     = "unfinished-uploads"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 7
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.expire_days[*]
    content {
      id      = "expire"
      enabled = true
      expiration {
        days = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioned ? [var.retention.artifact_version_days] : []
    content {
      id      = "old-versions"
      enabled = true
      noncurrent_version_expiration {
        days = lifecycle_rule.value
      }
    }
  }

  depends_on = [yandex_lockbox_secret_version.password, yandex_iam_service_account_static_access_key.main] # destroyed the other way round: see secrets.tf
}

resource "yandex_storage_bucket_iam_binding" "main" {
  for_each = local.bucket_bindings
  bucket   = yandex_storage_bucket.main[each.value[0].bucket].bucket
  role     = each.value[0].role
  members  = [for grant in each.value : local.member[grant.account]]
}
