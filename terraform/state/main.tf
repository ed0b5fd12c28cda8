# The bucket that keeps the other module's state, and a key for it. A first step of its own: its own state is a local file
# without a secret in it.
terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    yandex = {
      source  = "yandex-cloud/yandex"
      version = ">= 0.222.0, < 1.0.0"
    }
  }
}

provider "yandex" {
  folder_id = var.folder_id
}

variable "folder_id" {
  description = "The folder of the other module"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{20}$", var.folder_id))
    error_message = "folder_id is \"${var.folder_id}\"; a folder's id is 20 of a-z and 0-9. `yc resource-manager folder list` shows yours."
  }
}

variable "prefix" {
  description = "First part of every name"
  type        = string
  default     = "fraud"

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,18}[a-z0-9]$", var.prefix))
    error_message = "prefix is \"${var.prefix}\"; it must be 3 to 20 of a-z, 0-9 and -, begin with a letter and not end with -."
  }
}

variable "protect" {
  description = "Keep the filled bucket, its encryption key and the key to it from being deleted"
  type        = bool
  default     = true
}

locals {
  name   = "${var.prefix}-tfstate"
  labels = { project = "fraud-retraining", stack = var.prefix, managed-by = "terraform" }
}

resource "yandex_iam_service_account" "state" {
  name        = local.name
  description = "Reads and writes Terraform's state, nothing else"
  folder_id   = var.folder_id
  labels      = local.labels
}

resource "yandex_kms_symmetric_key" "state" {
  name                = local.name
  description         = "Encrypts Terraform's state and the key to it"
  folder_id           = var.folder_id
  labels              = local.labels
  default_algorithm   = "AES_256"
  rotation_period     = "8760h"
  deletion_protection = var.protect
}

resource "yandex_kms_symmetric_key_iam_member" "state" {
  symmetric_key_id = yandex_kms_symmetric_key.state.id
  role             = "kms.keys.encrypterDecrypter" # the bucket is encrypted
  member           = "serviceAccount:${yandex_iam_service_account.state.id}"
}

resource "yandex_storage_bucket" "state" {
  bucket        = "${local.name}-${var.folder_id}"
  folder_id     = var.folder_id
  tags          = local.labels
  force_destroy = !var.protect

  anonymous_access_flags {
    read        = false
    list        = false
    config_read = false
  }

  versioning {
    enabled = true # a state that was spoilt can be had back
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        kms_master_key_id = yandex_kms_symmetric_key.state.id
        sse_algorithm     = "aws:kms"
      }
    }
  }

  lifecycle_rule {
    id      = "old-versions"
    enabled = true
    noncurrent_version_expiration {
      days = 90
    }
  }
}

resource "yandex_storage_bucket_iam_binding" "state" {
  bucket  = yandex_storage_bucket.state.bucket
  role    = "storage.editor" # deletes too: the lock is an object
  members = ["serviceAccount:${yandex_iam_service_account.state.id}"]
}

resource "yandex_lockbox_secret" "key" {
  name        = "${local.name}-key"
  description = "S3 key of the account ${local.name}: entries access_key and secret_key"
  folder_id   = var.folder_id
  labels      = local.labels
  kms_key_id  = yandex_kms_symmetric_key.state.id

  deletion_protection = var.protect
}

resource "yandex_iam_service_account_static_access_key" "state" {
  service_account_id = yandex_iam_service_account.state.id
  description        = "Terraform's state"

  output_to_lockbox {
    secret_id            = yandex_lockbox_secret.key.id
    entry_for_access_key = "access_key"
    entry_for_secret_key = "secret_key"
  }
}

output "bucket" {
  value = yandex_storage_bucket.state.bucket
}

output "key_secret_id" {
  description = "Lockbox secret with the entries access_key and secret_key"
  value       = yandex_lockbox_secret.key.id
}

output "service_account_id" {
  value = yandex_iam_service_account.state.id
}
