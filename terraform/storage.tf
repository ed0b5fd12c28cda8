# Buckets: encrypted with our key, closed to the public, opened to one account at a time.
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

  # bucket -> role -> accounts. storage.uploader reads and writes and cannot delete; storage.editor deletes too.
  bucket_roles = merge(
    {
      lake = {
        "storage.editor"   = ["dataproc"] # Spark's committers rename, which is copy and delete
        "storage.uploader" = ["airflow"]  # looks for new files, marks those that were used
      }
      dags = {
        "storage.viewer" = ["airflow"]
        "storage.editor" = ["deployer"] # takes away files that are no longer ours
      }
      jobs = {
        "storage.viewer"   = ["dataproc"]
        "storage.uploader" = ["deployer"] # a release is never changed
      }
      artifacts = { "storage.editor" = ["mlflow"] } # `mlflow gc` deletes; clients get presigned addresses
      logs      = { "storage.editor" = ["dataproc"] }
    },
    local.database_is_managed ? {} : { backups = { "storage.editor" = ["database"] } },
  )
  bucket_bindings = merge([for bucket, roles in local.bucket_roles : {
    for role, accounts in roles : "${bucket} ${role}" => { bucket = bucket, role = role, accounts = accounts }
  }]...)
}

resource "yandex_kms_symmetric_key" "main" {
  for_each            = toset(["storage", "secrets"])
  name                = "${var.prefix}-${each.key}"
  description         = "Encrypts ${each.key == "storage" ? "the buckets" : "Lockbox"}; without it their content is lost"
  folder_id           = var.folder_id
  labels              = local.labels
  default_algorithm   = "AES_256"
  rotation_period     = "8760h"
  deletion_protection = var.protect
}

resource "yandex_kms_symmetric_key_iam_member" "storage" {
  for_each         = toset(flatten([for roles in values(local.bucket_roles) : values(roles)]))
  symmetric_key_id = yandex_kms_symmetric_key.main["storage"].id
  role             = "kms.keys.encrypterDecrypter"
  member           = local.member[each.key]
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
        kms_master_key_id = yandex_kms_symmetric_key.main["storage"].id
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
}

resource "yandex_storage_bucket_iam_binding" "main" {
  for_each = local.bucket_bindings
  bucket   = yandex_storage_bucket.main[each.value.bucket].bucket
  role     = each.value.role
  members  = [for account in each.value.accounts : local.member[account]]
}
