# Every validation of a variable refuses what it is there for; tests/terraform checks that each has its run here.
mock_provider "yandex" {}

variables {
  folder_id              = "b1gfolder00000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { public_key_file = "tests/data/operator.pub" }
  database_password      = "secret-of-the-database"
  airflow_admin_password = "secret-of-airflow"
}

run "folder_id_with_capitals" {
  command = plan
  variables {
    folder_id = "B1G"
  }
  expect_failures = [var.folder_id]
}

run "operator_cidrs_empty" {
  command = plan
  variables {
    operator_cidrs = []
  }
  expect_failures = [var.operator_cidrs]
}

run "operator_cidrs_not_a_range" {
  command = plan
  variables {
    operator_cidrs = ["198.51.100.7"]
  }
  expect_failures = [var.operator_cidrs]
}

run "operator_cidrs_everybody" {
  command = plan
  variables {
    operator_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.operator_cidrs]
}

run "ssh_a_jump_host_of_two_words" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/data/operator.pub", jump_host = "two words" }
  }
  expect_failures = [var.ssh]
}

run "ssh_a_neighbour_without_a_port" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/data/operator.pub", neighbour = "10.130.2.5" }
  }
  expect_failures = [var.ssh]
}

run "ssh_no_key_file" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/absent.pub" }
  }
  expect_failures = [var.ssh]
}

run "ssh_a_key_of_another_kind" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/data/rsa.pub" }
  }
  expect_failures = [var.ssh]
}

run "ssh_no_login_name" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/data/operator.pub", user = "Ops" }
  }
  expect_failures = [var.ssh]
}

run "ssh_a_group_of_debian" {
  command = plan
  variables {
    ssh = { public_key_file = "tests/data/operator.pub", user = "operator" }
  }
  expect_failures = [var.ssh]
}

run "prefix_too_long" {
  command = plan
  variables {
    prefix = "a-prefix-of-21-letters"
  }
  expect_failures = [var.prefix]
}

run "labels_capitals" {
  command = plan
  variables {
    labels = { Team = "risk" }
  }
  expect_failures = [var.labels]
}

run "labels_with_what_only_some_services_take" {
  command = plan
  variables {
    labels = { "team/name" = "risk" }
  }
  expect_failures = [var.labels]
}

run "zone_without_a_subnet" {
  command = plan
  variables {
    zone = "ru-central1-c"
  }
  expect_failures = [var.zone]
}

run "network_an_unknown_zone" {
  command = plan
  variables {
    network = { subnets = { ru-central1-c = "10.130.0.0/24", ru-central1-d = "10.130.1.0/24" } }
  }
  expect_failures = [var.network]
}

run "network_host_bits" {
  command = plan
  variables {
    network = { subnets = { ru-central1-d = "10.130.0.1/24" } }
  }
  expect_failures = [var.network]
}

run "network_too_small_a_range" {
  command = plan
  variables {
    network = { subnets = { ru-central1-d = "10.130.0.0/28" } }
  }
  expect_failures = [var.network]
}

run "network_ranges_that_overlap" {
  command = plan
  variables {
    network = { subnets = { ru-central1-a = "10.130.0.0/16", ru-central1-d = "10.130.7.0/24" } }
  }
  expect_failures = [var.network]
}

run "network_the_same_range_twice" {
  command = plan
  variables {
    network = { subnets = { ru-central1-a = "10.130.7.0/24", ru-central1-d = "10.130.7.0/24" } }
  }
  expect_failures = [var.network]
}

run "network_airflow_s_own_range" {
  command = plan
  variables {
    network = { subnets = { ru-central1-d = "10.250.0.0/24" } }
  }
  expect_failures = [var.network]
}

run "network_a_bad_name" {
  command = plan
  variables {
    network = { dns_zone = "fraud.internal." }
  }
  expect_failures = [var.network]
}

run "image_family_of_another_system" {
  command = plan
  variables {
    image_family = "ubuntu-2404-lts"
  }
  expect_failures = [var.image_family]
}

run "mlflow_three_cores" {
  command = plan
  variables {
    mlflow = { cores = 3 }
  }
  expect_failures = [var.mlflow]
}

run "mlflow_too_little_memory" {
  command = plan
  variables {
    mlflow = { cores = 4, memory_gib = 2 }
  }
  expect_failures = [var.mlflow]
}

run "mlflow_a_small_disk" {
  command = plan
  variables {
    mlflow = { disk_gib = 10 }
  }
  expect_failures = [var.mlflow]
}

run "mlflow_an_unknown_disk" {
  command = plan
  variables {
    mlflow = { disk_type = "ssd" }
  }
  expect_failures = [var.mlflow]
}

run "mlflow_an_unknown_platform" {
  command = plan
  variables {
    mlflow = { platform = "standard" }
  }
  expect_failures = [var.mlflow]
}

run "mlflow_a_bad_range" {
  command = plan
  variables {
    mlflow = { https_cidrs = ["everybody"] }
  }
  expect_failures = [var.mlflow]
}

run "database_an_unknown_kind" {
  command = plan
  variables {
    database = { kind = "sqlite" }
  }
  expect_failures = [var.database]
}

run "database_an_old_version" {
  command = plan
  variables {
    database = { version = "14", client = "pgdg" }
  }
  expect_failures = [var.database]
}

run "database_17_on_debian_12" {
  command = plan
  variables {
    image_family = "debian-12"
  }
  expect_failures = [var.database]
}

run "database_of_a_version_that_no_debian_has" {
  command = plan
  variables {
    database = { version = "18" }
  }
  expect_failures = [var.database]
}

run "database_on_a_machine_whose_debian_has_another" {
  command = plan
  variables {
    database     = { kind = "vm" }
    image_family = "debian-12-oslogin"
  }
  expect_failures = [var.database]
}

run "database_15_on_debian_12" {
  command = plan
  variables {
    database     = { kind = "vm", version = "15" }
    image_family = "debian-12"
  }
}

run "database_of_any_version_with_programs_of_its_own_archive" {
  command = plan
  variables {
    database     = { version = "18", client = "pgdg" }
    image_family = "debian-12"
  }
}

run "database_programs_from_nowhere" {
  command = plan
  variables {
    database = { client = "ubuntu" }
  }
  expect_failures = [var.database]
}

run "database_on_a_machine_with_programs_of_another_archive" {
  command = plan
  variables {
    database = { kind = "vm", client = "pgdg" }
  }
  expect_failures = [var.database]
}

run "database_hardly_any_connections" {
  command = plan
  variables {
    database = { connections = 5 }
  }
  expect_failures = [var.database]
}

run "database_an_unknown_preset" {
  command = plan
  variables {
    database = { preset = "large" }
  }
  expect_failures = [var.database]
}

run "database_three_cores" {
  command = plan
  variables {
    database = { kind = "vm", cores = 3 }
  }
  expect_failures = [var.database]
}

run "database_a_small_disk" {
  command = plan
  variables {
    database = { disk_gib = 5 }
  }
  expect_failures = [var.database]
}

run "database_short_lived_backups" {
  command = plan
  variables {
    database = { backup_days = 1 }
  }
  expect_failures = [var.database]
}

run "airflow_an_old_version" {
  command = plan
  variables {
    airflow = { version = "2.10" }
  }
  expect_failures = [var.airflow]
}

run "airflow_3_0" {
  command = plan
  variables {
    airflow = { version = "3.0" }
  }
  expect_failures = [var.airflow]
}

run "airflow_whatever_is_newer" {
  command = plan
  variables {
    airflow = { version = "3.12", python_version = "3.14" }
  }
}

run "airflow_2_11" {
  command = plan
  variables {
    airflow = { version = "2.11", python_version = "3.11" }
  }
}

run "airflow_a_channel_that_no_dag_reads" {
  command = plan
  variables {
    airflow = { connections = ["telegram"] }
  }
  expect_failures = [var.airflow]
}

run "airflow_mail_without_its_port" {
  command = plan
  variables {
    airflow = { connections = ["alert_email"], egress_ports = [443, 25] }
  }
  expect_failures = [var.airflow]
}

run "airflow_a_python_of_another_airflow" {
  command = plan
  variables {
    airflow = { python_version = "3.10" }
  }
  expect_failures = [var.airflow]
}

run "airflow_an_unknown_preset" {
  command = plan
  variables {
    airflow = { scheduler = { preset = "s3-c2-m8" } }
  }
  expect_failures = [var.airflow]
}

run "airflow_fewer_workers_than_one" {
  command = plan
  variables {
    airflow = { worker = { min = 0 } }
  }
  expect_failures = [var.airflow]
}

run "airflow_max_below_min" {
  command = plan
  variables {
    airflow = { worker = { min = 3, max = 2 } }
  }
  expect_failures = [var.airflow]
}

run "dataproc_an_image_without_pins" {
  command = plan
  variables {
    dataproc = { image = "2.0" }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_a_key_that_is_none" {
  command = plan
  variables {
    dataproc = { ssh_public_keys = ["~/.ssh/id_ed25519.pub"] }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_an_unknown_preset" {
  command = plan
  variables {
    dataproc = { compute_preset = "c2-m8" }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_no_hosts" {
  command = plan
  variables {
    dataproc = { compute_count = 0 }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_max_below_count" {
  command = plan
  variables {
    dataproc = { compute_count = 4, compute_max_count = 2 }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_preemptible_without_autoscaling" {
  command = plan
  variables {
    dataproc = { preemptible = true }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_a_disk_of_another_kind" {
  command = plan
  variables {
    dataproc = { disk_type = "ssd" }
  }
  expect_failures = [var.dataproc]
}

run "dataproc_a_life_without_end" {
  command = plan
  variables {
    dataproc = { hours = 1000 }
  }
  expect_failures = [var.dataproc]
}

run "snapshots_four_fields" {
  command = plan
  variables {
    snapshots = { schedule = "0 1 * *" }
  }
  expect_failures = [var.snapshots]
}

run "quality_of_all_rows" {
  command = plan
  variables {
    quality = { max_quarantine = 1 }
  }
  expect_failures = [var.quality]
}

run "quality_half_a_day" {
  command = plan
  variables {
    quality = { late_days = 0.5 }
  }
  expect_failures = [var.quality]
}

run "score_for_nobody" {
  command = plan
  variables {
    score = { budget = 0 }
  }
  expect_failures = [var.score]
}

run "score_of_half_a_card" {
  command = plan
  variables {
    score = { budget = 0.5 }
  }
  expect_failures = [var.score]
}

run "budget_below_nothing" {
  command = plan
  variables {
    budget = { run = -1 }
  }
  expect_failures = [var.budget]
}

run "budget_of_a_run_above_the_month" {
  command = plan
  variables {
    budget = { run = 50, month = 40 }
  }
  expect_failures = [var.budget]
}

run "labels_ripen_beyond_all" {
  command = plan
  variables {
    ripening = { share = 95 }
  }
  expect_failures = [var.ripening]
}

run "promotion_by_nobody" {
  command = plan
  variables {
    promotion = { mode = "manual" }
  }
  expect_failures = [var.promotion]
}

run "promotion_without_time" {
  command = plan
  variables {
    promotion = { mode = "approval", hours = 0 }
  }
  expect_failures = [var.promotion]
}

run "promotion_by_another_rule" {
  command = plan
  variables {
    promotion = { rule = "month" }
  }
  expect_failures = [var.promotion]
}

run "promotion_longer_than_a_week" {
  command = plan
  variables {
    promotion = { mode = "approval", hours = 168 }
  }
  expect_failures = [var.promotion]
}

run "retention_nothing_kept" {
  command = plan
  variables {
    retention = { log_days = 0 }
  }
  expect_failures = [var.retention]
}
