# PostgreSQL's data on a machine outlive everything that may happen to the machine, and are not deleted by the way.
mock_provider "yandex" {}

variables {
  folder_id              = "b1gfolder00000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { public_key_file = "tests/data/operator.pub" }
  database_password      = "not-used-by-a-machine" # `terraform test` wants an ephemeral variable set
  airflow_admin_password = "secret-of-airflow"
  database               = { kind = "vm", disk_gib = 30 }
}

run "data_have_a_disk_of_their_own" {
  assert {
    condition = keys(yandex_compute_disk.data) == ["database"] && yandex_compute_disk.data["database"].size == 30 && [for disk in yandex_compute_instance.main["database"].secondary_disk :
      [disk.disk_id, disk.device_name, tostring(disk.auto_delete)]
    ] == [[yandex_compute_disk.data["database"].id, "data", "false"]]
    error_message = "The database's machine has the disks ${jsonencode(yandex_compute_instance.main["database"].secondary_disk)}; one of 30 GiB is expected, as `data`, that stays when the machine goes."
  }
  assert {
    condition     = output.database.data_disk == "/dev/disk/by-id/virtio-data"
    error_message = "output.database.data_disk is ${jsonencode(output.database.data_disk)}; /dev/disk/by-id/virtio-<device_name> is what the machine has."
  }
  assert {
    condition     = length(yandex_compute_instance.main["mlflow"].secondary_disk) == 0
    error_message = "MLflow's machine has no data, and needs no disk for them."
  }
  # The provider makes a machine anew when `initialize_params` changes, and lets a disk that is a resource grow.
  assert {
    condition = alltrue([for name, machine in yandex_compute_instance.main :
      machine.boot_disk[0].disk_id == yandex_compute_disk.system[name].id && machine.boot_disk[0].auto_delete == false
    ]) && { for name, disk in yandex_compute_disk.system : name => disk.size } == { mlflow = 30, database = 20 }
    error_message = "System disks are ${jsonencode({ for name, disk in yandex_compute_disk.system : name => disk.size })}; each should be a resource of its own."
  }
  assert {
    condition     = one(yandex_compute_snapshot_schedule.main).disk_ids == toset(concat(values(yandex_compute_disk.system)[*].id, values(yandex_compute_disk.data)[*].id))
    error_message = "Snapshots are of ${jsonencode(one(yandex_compute_snapshot_schedule.main).disk_ids)}; all three disks are expected."
  }
  assert {
    condition     = yandex_compute_disk.data["database"].labels.protected == "true"
    error_message = "The disk of the data is not protected."
  }
  assert {
    condition     = output.cost_inputs.machines.database.disk_gib == 20 && output.cost_inputs.machines.database.data_disk_gib == 30
    error_message = "The cost is of ${jsonencode(output.cost_inputs.machines.database)}; 20 and 30 GiB are expected."
  }
}

run "another_system_disk_touches_no_data" {
  variables {
    database     = { kind = "vm", disk_gib = 30, system_disk_gib = 40, cores = 4, memory_gib = 8 }
    image_family = "debian-13-oslogin"
  }
  assert {
    condition     = yandex_compute_disk.data["database"].id == run.data_have_a_disk_of_their_own.database.data_disk_id && yandex_compute_disk.system["database"].size == 40
    error_message = "The disk of the data is another one (${yandex_compute_disk.data["database"].id})."
  }
}

run "data_may_grow" {
  variables {
    database = { kind = "vm", disk_gib = 60 }
  }
  assert {
    condition     = yandex_compute_disk.data["database"].size == 60 && [for disk in yandex_compute_instance.main["database"].secondary_disk : disk.disk_id] == [yandex_compute_disk.data["database"].id]
    error_message = "The disk of the data has ${yandex_compute_disk.data["database"].size} GiB; 60 are expected."
  }
}

run "protection_is_lifted_on_request" {
  variables {
    protect = false
  }
  assert {
    condition     = yandex_compute_disk.data["database"].labels.protected == "false"
    error_message = "With protect = false the disk can be deleted."
  }
}
