# Exactly which role each account has, and on what: `account | role | on`. README.md shows the same list.
mock_provider "yandex" {}

variables {
  folder_id              = "b1gfolder00000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { public_key_file = "tests/data/operator.pub" }
  database_password      = "secret-of-the-database" # `terraform test` wants an ephemeral variable set, also where it has a default
  database               = { kind = "vm" }
  protect                = false # else the disk of the data would outlive the test
  airflow_admin_password = "secret-of-airflow"
}

run "least_privilege" {
  assert {
    condition = toset([for grant in concat(
      [for grant in yandex_resourcemanager_folder_iam_member.main : { member = grant.member, role = grant.role, on = "folder" }],
      [for grant in yandex_iam_service_account_iam_member.lent_to_airflow : { member = grant.member, role = grant.role, on = "account ${one([for name, account in yandex_iam_service_account.main : name if account.id == grant.service_account_id])}" }],
      flatten([for grant in yandex_storage_bucket_iam_binding.main : [for member in grant.members : { member = member, role = grant.role, on = "bucket ${split("-", grant.bucket)[1]}" }]]),
      [for grant in concat(values(yandex_kms_symmetric_key_iam_member.storage), values(yandex_kms_symmetric_key_iam_member.secrets)) : { member = grant.member, role = grant.role, on = "key ${one([
        for name, key in yandex_kms_symmetric_key.main : name if key.id == grant.symmetric_key_id
      ])}" }],
      [for grant in concat(values(yandex_lockbox_secret_iam_member.reader), values(yandex_lockbox_secret_iam_member.writer)) : { member = grant.member, role = grant.role, on = "secret ${one([
        for secret in concat(values(yandex_lockbox_secret.password), values(yandex_lockbox_secret.storage_key), values(yandex_lockbox_secret.connection)) : secret.name if secret.id == grant.secret_id
      ])}" }],
      ) : "${one([for name, account in yandex_iam_service_account.main : name if "serviceAccount:${account.id}" == grant.member])} | ${grant.role} | ${grant.on}"
      ]) == toset([
      "airflow | dataproc.editor | folder",
      "airflow | vpc.user | folder",
      "airflow | managed-airflow.integrationProvider | folder",
      "airflow | iam.serviceAccounts.user | account dataproc",
      "airflow | iam.serviceAccounts.user | account autoscaling",
      "airflow | storage.uploader | bucket lake",
      "airflow | kms.keys.encrypterDecrypter | key lake",
      "airflow | kms.keys.decrypter | key dags",
      "airflow | kms.keys.decrypter | key secrets",
      "airflow | lockbox.payloadViewer | secret airflow/connections/fraud-mlflow",
      "airflow | lockbox.payloadViewer | secret airflow/connections/fraud-object_storage",
      "airflow | lockbox.payloadViewer | secret airflow/variables/fraud-fraud_retraining",
      "dataproc | dataproc.agent | folder",
      "dataproc | storage.editor | bucket lake",
      "dataproc | storage.viewer | bucket jobs",
      "dataproc | storage.editor | bucket logs",
      "dataproc | kms.keys.encrypterDecrypter | key lake",
      "dataproc | kms.keys.decrypter | key jobs",
      "dataproc | kms.keys.encrypterDecrypter | key logs",
      "dataproc | kms.keys.decrypter | key secrets",
      "dataproc | lockbox.payloadViewer | secret jobs/fraud-mlflow",
      "autoscaling | dataproc.provisioner | folder",
      "mlflow | storage.editor | bucket artifacts",
      "mlflow | kms.keys.encrypterDecrypter | key artifacts",
      "mlflow | kms.keys.decrypter | key secrets",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-admin",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-trainer",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-airflow",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-viewer",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-session",
      "mlflow | lockbox.payloadViewer | secret fraud-database",
      "mlflow | lockbox.payloadViewer | secret fraud-mlflow-storage-key",
      "database | storage.editor | bucket backups",
      "database | kms.keys.encrypterDecrypter | key backups",
      "database | kms.keys.decrypter | key secrets",
      "database | lockbox.payloadViewer | secret fraud-database",
      "database | lockbox.payloadViewer | secret fraud-database-storage-key",
      "database | lockbox.payloadViewer | secret fraud-database-archive",
      "deployer | lockbox.viewer | folder",
      "deployer | storage.editor | bucket dags",
      "deployer | storage.uploader | bucket jobs",
      "deployer | kms.keys.encrypterDecrypter | key dags",
      "deployer | kms.keys.encrypterDecrypter | key jobs",
      "deployer | kms.keys.encrypterDecrypter | key secrets",
      "deployer | lockbox.payloadViewer | secret fraud-mlflow-trainer",
      "deployer | lockbox.payloadViewer | secret fraud-mlflow-airflow",
      "deployer | lockbox.payloadViewer | secret fraud-airflow-storage-key",
      "deployer | lockbox.payloadViewer | secret fraud-deployer-storage-key",
      "deployer | lockbox.payloadViewer | secret airflow/connections/fraud-mlflow",
      "deployer | lockbox.payloadViewer | secret airflow/connections/fraud-object_storage",
      "deployer | lockbox.payloadViewer | secret airflow/variables/fraud-fraud_retraining",
      "deployer | lockbox.payloadViewer | secret jobs/fraud-mlflow",
      "deployer | lockbox.editor | secret airflow/connections/fraud-mlflow",
      "deployer | lockbox.editor | secret airflow/connections/fraud-object_storage",
      "deployer | lockbox.editor | secret airflow/variables/fraud-fraud_retraining",
      "deployer | lockbox.editor | secret jobs/fraud-mlflow",
    ])
    error_message = "The roles are others than those listed here (`terraform test -verbose` shows them)."
  }
}
