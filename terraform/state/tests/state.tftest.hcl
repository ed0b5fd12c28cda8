mock_provider "yandex" {}

variables {
  folder_id = "b1gfolder00000000000"
}

run "defaults" {
  assert {
    condition     = output.bucket == "fraud-tfstate-b1gfolder00000000000" && one(yandex_storage_bucket.state.versioning).enabled && !yandex_storage_bucket.state.force_destroy
    error_message = "The bucket is ${output.bucket}; it should be versioned and not be deleted with what is in it."
  }
  assert {
    condition     = one(one(one(yandex_storage_bucket.state.server_side_encryption_configuration).rule).apply_server_side_encryption_by_default).kms_master_key_id == yandex_kms_symmetric_key.state.id
    error_message = "The bucket is not encrypted."
  }
  assert {
    condition     = yandex_storage_bucket_iam_binding.state.role == "storage.editor" && yandex_storage_bucket_iam_binding.state.members == toset(["serviceAccount:${yandex_iam_service_account.state.id}"])
    error_message = "One account, and nobody else, writes the state."
  }
  assert {
    condition     = one(yandex_iam_service_account_static_access_key.state.output_to_lockbox).secret_id == output.key_secret_id
    error_message = "The key goes to Lockbox."
  }
}

run "folder_id" {
  command = plan
  variables {
    folder_id = "B1G"
  }
  expect_failures = [var.folder_id]
}

run "prefix" {
  command = plan
  variables {
    prefix = "a-prefix-of-21-letters"
  }
  expect_failures = [var.prefix]
}
