terraform {
  required_version = ">= 1.11.0, < 2.0.0" # 1.11: write-only arguments, lock files in S3

  required_providers {
    yandex = {
      source  = "yandex-cloud/yandex"
      version = ">= 0.222.0, < 1.0.0" # older ones print write-only passwords at debug
    }
  }

  # The bucket (and whatever differs on one machine) comes by `terraform init -backend-config=FILE`; ./state makes it.
  backend "s3" {
    endpoints                   = { s3 = "https://storage.yandexcloud.net" }
    region                      = "ru-central1"
    key                         = "fraud-retraining.tfstate"
    use_lockfile                = true
    skip_region_validation      = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
}

# Credentials come from the environment: YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE.
provider "yandex" {
  folder_id = var.folder_id
  zone      = var.zone
}
