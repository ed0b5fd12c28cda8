# ---------------------------------------------------------------------------------------- what a first user must set
variable "folder_id" {
  description = "Folder in which everything is made: `yc resource-manager folder list`"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{20}$", var.folder_id))
    error_message = "folder_id is \"${var.folder_id}\"; a folder's id is 20 of a-z and 0-9. `yc resource-manager folder list` shows yours."
  }
}

variable "operator_cidrs" {
  description = "Addresses from which people may reach ssh on the machines, e.g. [\"198.51.100.7/32\"]"
  type        = list(string)

  validation {
    condition     = length(var.operator_cidrs) > 0 && alltrue([for cidr in var.operator_cidrs : can(cidrnetmask(cidr))])
    error_message = "operator_cidrs is ${jsonencode(var.operator_cidrs)}; at least one range such as \"198.51.100.7/32\" is needed. `curl -4 https://ifconfig.co` shows your address."
  }
  validation {
    condition     = alltrue([for cidr in var.operator_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, true)])
    error_message = "operator_cidrs is ${jsonencode(var.operator_cidrs)}; ssh is for known addresses, so no range may be wider than /16."
  }
}

variable "ssh" {
  description = "How people log in: a user with a key, or OS Login (then `user` is your login in the organisation, and no key is used)"
  type = object({
    public_key_file = optional(string, "~/.ssh/id_ed25519.pub")
    user            = optional(string, "ops")
    os_login        = optional(bool, false)
    jump_host       = optional(string) # [user@]host[:port]: the way to a machine without a public address
    neighbour       = optional(string) # or, from inside (VPN, a machine of the network): HOST:PORT there that answers this computer
  })
  default = {}

  validation {
    condition     = var.ssh.jump_host == null || can(regex("^([^@[:space:]]+@)?([^@:[:space:]]+|\\[[0-9a-fA-F:]+\\])(:[0-9]+)?$", var.ssh.jump_host))
    error_message = "ssh.jump_host is \"${coalesce(var.ssh.jump_host, "null")}\"; [user@]host[:port] is expected, such as ops@bastion.example.com:2222."
  }
  validation {
    condition     = var.ssh.neighbour == null || can(regex("^[0-9]+(\\.[0-9]+){3}:[0-9]+$", var.ssh.neighbour))
    error_message = "ssh.neighbour is \"${coalesce(var.ssh.neighbour, "null")}\"; an address of the network with a port is expected, such as 10.130.2.5:22."
  }

  validation {
    condition = var.ssh.os_login || can(regex(
      "^(ssh-ed25519|sk-ssh-ed25519@openssh\\.com) AAAA", file(pathexpand(var.ssh.public_key_file))
    ))
    error_message = "ssh.public_key_file is \"${var.ssh.public_key_file}\", which is absent or no public ed25519 key. Make one: `ssh-keygen -t ed25519`."
  }
  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{0,30}$", var.ssh.user))
    error_message = "ssh.user is \"${var.ssh.user}\"; it must be a login name of a-z, 0-9 and -, at most 31 of them."
  }
  validation {
    condition     = var.ssh.os_login || !contains(local.taken_names, var.ssh.user)
    error_message = "ssh.user is \"${var.ssh.user}\", a user or a group that Debian or one of our roles has: `useradd` fails and nobody could log in. Take a name of your own, such as ops."
  }
}

locals {
  # What no new user may be called, for `useradd` makes a group of the same name. tests/terraform/test_login.py compares.
  taken_names = [
    # base-passwd of Debian 12 and 13, and what left it
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup",
    "list", "irc", "gnats", "nobody", "nogroup", "adm", "tty", "disk", "kmem", "dialout", "fax", "voice", "cdrom",
    "floppy", "tape", "sudo", "audio", "dip", "operator", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff",
    "users",
    # systemd, udev and what else is on an image or comes with its packages
    "input", "sgx", "kvm", "render", "clock", "systemd-journal", "systemd-network", "systemd-resolve",
    "systemd-timesync", "systemd-coredump", "systemd-oom", "messagebus", "polkitd", "sshd", "ssh", "crontab", "netdev",
    "tcpdump", "uuidd", "dhcpcd", "tss", "rdma", "avahi", "ntp", "ntpsec", "syslog",
    # packages of our roles, and the roles themselves
    "postgres", "ssl-cert", "nginx", "mlflow",
  ]
}

# ---------------------------------------------------------------------------------------- advanced
variable "prefix" {
  description = "First part of every name"
  type        = string
  default     = "fraud"

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,18}[a-z0-9]$", var.prefix))
    error_message = "prefix is \"${var.prefix}\"; it must be 3 to 20 of a-z, 0-9 and -, begin with a letter and not end with -."
  }
}

variable "labels" {
  description = "Labels on everything, besides our own"
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([for key, value in var.labels :
      can(regex("^[a-z][-_0-9a-z]{0,62}$", key)) && can(regex("^[-_0-9a-z]{0,63}$", value))
    ])
    error_message = "labels are ${jsonencode(var.labels)}; keys and values are at most 63 of a-z, 0-9, - and _, and a key begins with a letter: the strictest of the services takes no others."
  }
}

variable "protect" {
  description = "Keep databases, Airflow and filled buckets from being deleted; `make destroy` sets it to false"
  type        = bool
  default     = true
}

variable "zone" {
  description = "Zone of the machines, the database and the clusters; one of network.subnets"
  type        = string
  default     = "ru-central1-d"

  validation {
    condition     = contains(keys(var.network.subnets), var.zone)
    error_message = "zone is \"${var.zone}\", which has no subnet; network.subnets has ${join(", ", keys(var.network.subnets))}."
  }
}

variable "network" {
  description = "Subnets by zone; Managed Airflow's own network, which they may not touch; zone of the internal names"
  type = object({
    subnets = optional(map(string), {
      ru-central1-a = "10.130.0.0/24"
      ru-central1-b = "10.130.1.0/24"
      ru-central1-d = "10.130.2.0/24"
    })
    airflow_service_cidr = optional(string, "10.248.0.0/13")
    dns_zone             = optional(string) # by default <prefix>.internal
  })
  default = {}

  validation {
    condition     = alltrue([for zone in keys(var.network.subnets) : contains(["ru-central1-a", "ru-central1-b", "ru-central1-d"], zone)])
    error_message = "network.subnets names ${join(", ", keys(var.network.subnets))}; the zones are ru-central1-a, ru-central1-b and ru-central1-d."
  }
  validation {
    condition = length(var.network.subnets) > 0 && alltrue([for cidr in values(var.network.subnets) :
      try(cidrhost(cidr, 0) == split("/", cidr)[0] && tonumber(split("/", cidr)[1]) >= 16 && tonumber(split("/", cidr)[1]) <= 26, false)
    ])
    error_message = "network.subnets are ${jsonencode(var.network.subnets)}; at least one range between /16 and /26 is needed, without host bits, such as \"10.130.0.0/24\"."
  }
  validation {
    # Two ranges overlap where the address of each, cut at the shorter of their masks, is the same.
    condition = alltrue([
      for pair in setproduct(values(var.network.subnets), concat(values(var.network.subnets), [var.network.airflow_service_cidr])) : try(
        cidrhost(format("%s/%d", split("/", pair[0])[0], min([for cidr in pair : tonumber(split("/", cidr)[1])]...)), 0) !=
        cidrhost(format("%s/%d", split("/", pair[1])[0], min([for cidr in pair : tonumber(split("/", cidr)[1])]...)), 0),
        false
      ) || pair[0] == pair[1]
    ]) && length(distinct(values(var.network.subnets))) == length(var.network.subnets)
    error_message = "network.subnets are ${jsonencode(var.network.subnets)}; they may overlap neither one another nor ${var.network.airflow_service_cidr}, which Managed Airflow uses itself."
  }
  validation {
    condition     = var.network.dns_zone == null || can(regex("^([a-z0-9][-a-z0-9]*\\.)*[a-z0-9]+$", var.network.dns_zone))
    error_message = "network.dns_zone is \"${coalesce(var.network.dns_zone, "null")}\"; a name such as \"fraud.internal\", without a dot at the end, is needed."
  }
}

variable "image_family" {
  description = "Debian of the machines; with OS Login one that has its agent (`yc compute image list --folder-id standard-images`)"
  type        = string
  default     = "debian-13"

  validation {
    condition     = can(regex("^debian-1[23](-|$)", var.image_family))
    error_message = "image_family is \"${var.image_family}\"; the roles are made and tested for debian-12 and debian-13."
  }
}

variable "mlflow" {
  description = "MLflow's machine; with `public` it has an address of its own, and `https_cidrs` may reach 443 besides the network itself"
  type = object({
    cores       = optional(number, 2)
    memory_gib  = optional(number, 4)
    disk_gib    = optional(number, 30)
    disk_type   = optional(string, "network-ssd")
    platform    = optional(string, "standard-v3")
    public      = optional(bool, false)
    https_cidrs = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = var.mlflow.cores >= 2 && var.mlflow.cores % 2 == 0 && var.mlflow.memory_gib >= var.mlflow.cores && var.mlflow.memory_gib <= 16 * var.mlflow.cores
    error_message = "mlflow has ${var.mlflow.cores} cores and ${var.mlflow.memory_gib} GiB; cores come in twos, with 1 to 16 GiB each."
  }
  validation {
    condition     = var.mlflow.disk_gib >= 20 && contains(["network-hdd", "network-ssd"], var.mlflow.disk_type)
    error_message = "mlflow has a disk of ${var.mlflow.disk_gib} GiB of type ${var.mlflow.disk_type}; at least 20 GiB of network-hdd or network-ssd are needed."
  }
  validation {
    condition     = contains(["standard-v2", "standard-v3", "standard-v4a", "amd-v1", "highfreq-v3"], var.mlflow.platform)
    error_message = "mlflow.platform is \"${var.mlflow.platform}\"; take standard-v2, standard-v3, standard-v4a, amd-v1 or highfreq-v3."
  }
  validation {
    condition     = alltrue([for cidr in var.mlflow.https_cidrs : can(cidrnetmask(cidr))])
    error_message = "mlflow.https_cidrs is ${jsonencode(var.mlflow.https_cidrs)}; each must be a range such as \"198.51.100.0/24\"."
  }
}

variable "database" {
  description = "PostgreSQL with MLflow's metadata: `managed` by the cloud, or a `vm` for the role postgresql"
  type = object({
    kind              = optional(string, "managed")
    version           = optional(string, "17")       # vm: what its Debian has, 17 on debian-13, 15 on debian-12
    client            = optional(string, "debian")   # managed: whose programs dump it, Debian's or, of every version, PostgreSQL's own: pgdg
    connections       = optional(number, 100)        # that MLflow's machine may have at once
    preset            = optional(string, "s3-c2-m8") # managed
    cores             = optional(number, 2)          # vm
    memory_gib        = optional(number, 4)          # vm
    disk_gib          = optional(number, 20)         # of PostgreSQL's data; may grow
    system_disk_gib   = optional(number, 20)         # vm: besides, for Debian
    disk_type         = optional(string, "network-ssd")
    high_availability = optional(bool, false) # managed: a host in every zone
    backup_days       = optional(number, 14)  # managed
    password_version  = optional(number, 1)   # managed: raise it when the secret has a new password
  })
  default = {}

  validation {
    condition     = contains(["managed", "vm"], var.database.kind)
    error_message = "database.kind is \"${var.database.kind}\"; take managed or vm."
  }
  validation {
    condition     = contains(["15", "16", "17", "18"], var.database.version)
    error_message = "database.version is \"${var.database.version}\"; the service makes 15, 16, 17 and 18."
  }
  validation {
    condition     = contains(["debian", "pgdg"], var.database.client) && (var.database.kind == "managed" || var.database.client == "debian")
    error_message = "database.client is \"${var.database.client}\" with kind ${var.database.kind}; take debian or, for a managed one, pgdg (PostgreSQL's own archive)."
  }
  validation {
    # pg_dump of another version than the server's fails, or writes what that server refuses on the way back.
    condition     = var.database.client == "pgdg" || startswith(var.image_family, lookup({ "15" = "debian-12", "17" = "debian-13" }, var.database.version, "none"))
    error_message = "database.version is ${var.database.version} and image_family ${var.image_family}: backups need PostgreSQL's programs of that very version, and Debian 12 has those of 15, Debian 13 those of 17. Take database = { version = \"17\" } with image_family = \"debian-13\", or version 15 with debian-12; or, with a managed database, client = \"pgdg\" for the programs of PostgreSQL's own archive."
  }
  validation {
    condition     = var.database.connections >= 20 && floor(var.database.connections) == var.database.connections
    error_message = "database.connections is ${var.database.connections}; a whole number of at least 20 is needed: MLflow's workers hold 96 at most (roles/mlflow/README.md)."
  }
  validation {
    condition     = can(regex("^([bsmc][1-4]\\.[a-z0-9]+|[bsmci][2-4][a-z]{0,2}-c[0-9]+-m[0-9]+)$", var.database.preset))
    error_message = "database.preset is \"${var.database.preset}\"; a name such as s3-c2-m8 is needed. `yc managed-postgresql resource-preset list` shows them."
  }
  validation {
    condition     = var.database.cores >= 2 && var.database.cores % 2 == 0 && var.database.memory_gib >= var.database.cores && var.database.memory_gib <= 16 * var.database.cores
    error_message = "database has ${var.database.cores} cores and ${var.database.memory_gib} GiB; cores come in twos, with 1 to 16 GiB each."
  }
  validation {
    condition     = var.database.disk_gib >= 10 && var.database.system_disk_gib >= 10 && contains(["network-hdd", "network-ssd"], var.database.disk_type)
    error_message = "database has disks of ${var.database.disk_gib} GiB (data) and ${var.database.system_disk_gib} GiB (system, of a vm) of type ${var.database.disk_type}; at least 10 GiB each of network-hdd or network-ssd are needed."
  }
  validation {
    condition     = var.database.backup_days >= 7 && var.database.backup_days <= 60
    error_message = "database.backup_days is ${var.database.backup_days}; PostgreSQL's backups are kept for 7 to 60 days."
  }
}

variable "database_password" {
  description = "Value of the Lockbox secret <prefix>-database, for a managed database: in the environment only, never in the state"
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "airflow" {
  description = "Managed Airflow: version of a new one (the service updates it by itself later on), sizes, channels of alerts besides the log"
  type = object({
    enabled        = optional(bool, true)
    version        = optional(string, "3.1")
    python_version = optional(string, "3.12")
    webserver      = optional(object({ count = optional(number, 1), preset = optional(string, "c1-m4") }), {})
    scheduler      = optional(object({ count = optional(number, 1), preset = optional(string, "c1-m4") }), {})
    dag_processor  = optional(object({ count = optional(number, 1), preset = optional(string, "c1-m4") }), {}) # from 3.0 on
    triggerer      = optional(object({ count = optional(number, 1), preset = optional(string, "c1-m2") }))     # none: one is made if promotion.mode is "approval" on Airflow 3
    worker         = optional(object({ min = optional(number, 1), max = optional(number, 2), preset = optional(string, "c1-m4") }), {})
    config         = optional(map(map(string)), {})
    connections    = optional(set(string), [])    # of alerts: an empty secret airflow/connections/<prefix>-NAME is made for you to fill
    egress_ports   = optional(set(number), [443]) # a mail server's besides, for alert_email
  })
  default = {}

  validation {
    # By form: which of them the service offers to a new cluster changes every few months.
    condition     = can(regex("^(2\\.11|3\\.[1-9][0-9]*)$", var.airflow.version))
    error_message = "airflow.version is \"${var.airflow.version}\"; the DAGs run on 2.11 and on 3.1 and newer, given as two numbers. The console shows which of them the service offers to a new cluster."
  }
  validation {
    condition     = can(regex(startswith(var.airflow.version, "2.") ? "^3\\.1[0-2]$" : "^3\\.1[2-9]$", var.airflow.python_version))
    error_message = "airflow.python_version is \"${var.airflow.python_version}\"; Airflow ${var.airflow.version} runs on ${startswith(var.airflow.version, "2.") ? "3.10, 3.11 or 3.12" : "3.12 or newer"}."
  }
  validation {
    condition     = length(setsubtract(var.airflow.connections, ["alert_slack", "alert_telegram", "alert_email"])) == 0
    error_message = "airflow.connections are ${jsonencode(var.airflow.connections)}; the DAGs read alert_slack, alert_telegram and alert_email (dags/README.md), and of any other name nobody would hear."
  }
  validation {
    condition     = contains(var.airflow.egress_ports, 443) && (!contains(var.airflow.connections, "alert_email") || length(setsubtract(var.airflow.egress_ports, [25, 80, 443])) > 0)
    error_message = "airflow.egress_ports are ${jsonencode(var.airflow.egress_ports)}, airflow.connections ${jsonencode(var.airflow.connections)}; Airflow needs 443, and alert_email the port of its mail server besides: 465 or 587, for the cloud closes 25. Set egress_ports = [443, 587]."
  }
  validation {
    condition = alltrue([
      for part in [var.airflow.webserver, var.airflow.scheduler, var.airflow.dag_processor, var.airflow.triggerer, var.airflow.worker] :
      part == null || contains(["c1-m2", "c1-m4", "c2-m4", "c2-m8", "c4-m8", "c4-m16", "c8-m16", "c8-m32"], try(part.preset, ""))
    ])
    error_message = "airflow's presets are ${join(", ", [for part in [var.airflow.webserver, var.airflow.scheduler, var.airflow.dag_processor, var.airflow.triggerer, var.airflow.worker] : try(part.preset, "-")])}; take c1-m2, c1-m4, c2-m4, c2-m8, c4-m8, c4-m16, c8-m16 or c8-m32."
  }
  validation {
    condition     = var.airflow.worker.min >= 1 && var.airflow.worker.max >= var.airflow.worker.min
    error_message = "airflow.worker is ${var.airflow.worker.min} to ${var.airflow.worker.max}; at least one is needed, and max may not be below min."
  }
}

variable "airflow_admin_password" {
  description = "Value of the Lockbox secret <prefix>-airflow-admin: in the environment, only while Airflow is being created. It is the one secret in the state."
  type        = string
  default     = null
  sensitive   = true
}

variable "dataproc" {
  description = "The cluster that the DAG makes for each run; Terraform makes what it needs, not the cluster"
  type = object({
    image             = optional(string, "2.1") # 2.2 is beta and given on request: from 2.2.9 on Spark 3.5.6
    master_preset     = optional(string, "s3-c2-m8")
    compute_preset    = optional(string, "s3-c4-m16")
    compute_count     = optional(number, 2)
    compute_max_count = optional(number) # above compute_count: autoscaling
    preemptible       = optional(bool, false)
    disk_gib          = optional(number, 40) # of each host; a fresh cloud has 200 GiB of network-ssd, 500 of network-hdd
    disk_type         = optional(string, "network-ssd")
    hours             = optional(number, 6)        # after these the sweep deletes it
    ssh_public_keys   = optional(list(string), []) # who may log in to its hosts; without any, by OS Login
  })
  default = {}

  validation {
    condition     = contains(["2.1", "2.2"], var.dataproc.image)
    error_message = "dataproc.image is \"${var.dataproc.image}\"; the jobs are locked and tested for 2.1 and 2.2."
  }
  validation {
    condition = alltrue([for preset in [var.dataproc.master_preset, var.dataproc.compute_preset] :
      can(regex("^([bsmc][1-4]\\.[a-z0-9]+|[bsmchig]{1,2}[2-4][a-z]{0,2}-c[0-9]+-m[0-9]+)$", preset))
    ])
    error_message = "dataproc's presets are ${var.dataproc.master_preset} and ${var.dataproc.compute_preset}; names such as s3-c4-m16 are needed. `yc dataproc resource-preset list` shows them."
  }
  validation {
    condition     = var.dataproc.compute_count >= 1 && coalesce(var.dataproc.compute_max_count, var.dataproc.compute_count) >= var.dataproc.compute_count
    error_message = "dataproc has ${var.dataproc.compute_count} to ${coalesce(var.dataproc.compute_max_count, var.dataproc.compute_count)} hosts; at least one is needed, and compute_max_count may not be below compute_count."
  }
  validation {
    condition     = !var.dataproc.preemptible || var.dataproc.compute_max_count != null
    error_message = "dataproc.preemptible is true and compute_max_count is not set; hosts are preemptible only in an autoscaled subcluster. Set dataproc.compute_max_count."
  }
  validation {
    condition     = alltrue([for key in var.dataproc.ssh_public_keys : can(regex("^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp[0-9]+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+", key))])
    error_message = "dataproc.ssh_public_keys has an entry that is no public key; the text of a file such as ~/.ssh/id_ed25519.pub is needed."
  }
  validation {
    condition     = var.dataproc.disk_gib >= 20 && contains(["network-hdd", "network-ssd"], var.dataproc.disk_type) && var.dataproc.hours >= 1 && var.dataproc.hours <= 48
    error_message = "dataproc has disks of ${var.dataproc.disk_gib} GiB of type ${var.dataproc.disk_type} and lives ${var.dataproc.hours} h at most; at least 20 GiB of network-hdd or network-ssd and 1 to 48 h are needed."
  }
}

variable "snapshots" {
  description = "Snapshots of the machines' disks: when (cron, UTC) and how many are kept; keep = 0 turns them off"
  type        = object({ schedule = optional(string, "0 1 * * *"), keep = optional(number, 7) })
  default     = {}

  validation {
    condition     = length(split(" ", var.snapshots.schedule)) == 5 && var.snapshots.keep >= 0
    error_message = "snapshots are taken at \"${var.snapshots.schedule}\" and ${var.snapshots.keep} kept; a cron expression of five fields and a number from 0 on are needed."
  }
}

variable "retention" {
  description = "Days that the bucket of logs, the log group, and versions of artifacts which are no longer the newest, are kept"
  type = object({
    log_days              = optional(number, 30)
    log_group_days        = optional(number, 3) # the cloud's quota, until support raises it
    artifact_version_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = alltrue([for days in values(var.retention) : days >= 1 && days <= 365])
    error_message = "retention is ${jsonencode(var.retention)}; each is 1 to 365 days."
  }
}

variable "quality" {
  description = "What is asked of the lake's rows: the share of a file's rows that may be bad, whether negative amounts are refunds, how many days before its file's first one a row may be"
  type = object({
    max_quarantine = optional(number, 0.01)
    refunds        = optional(bool, false)
    late_days      = optional(number, 31)
  })
  default = {}

  validation {
    condition     = var.quality.max_quarantine >= 0 && var.quality.max_quarantine < 1 && var.quality.late_days >= 0 && floor(var.quality.late_days) == var.quality.late_days
    error_message = "quality is ${jsonencode(var.quality)}; max_quarantine is a share, from 0 to below 1, late_days a whole number of days."
  }
}

variable "ripening" {
  description = "How labels ripen: the share of a day's frauds that must be known before a retrain measures that day; from corrected files follows after how many days that is, 7 to 28"
  type = object({
    share = optional(number, 0.95)
  })
  default = {}

  validation {
    condition     = var.ripening.share > 0 && var.ripening.share <= 1
    error_message = "ripening.share is ${var.ripening.share}, a share above 0 and at most 1 is expected, such as 0.95."
  }
}

variable "score" {
  description = "What the daily scoring gives to people: cards a day that they look at"
  type = object({
    budget = optional(number, 100)
  })
  default = {}

  validation {
    condition     = var.score.budget >= 1 && floor(var.score.budget) == var.score.budget
    error_message = "score.budget is ${var.score.budget}, a whole number of cards a day is expected, such as 100."
  }
}

variable "budget" {
  description = "Above which no cluster is made, at list prices in roubles: of one run, and of all runs of a month; 0 is none"
  type = object({
    run   = optional(number, 0)
    month = optional(number, 0)
  })
  default = {}

  validation {
    condition     = var.budget.run >= 0 && var.budget.month >= 0 && (var.budget.month == 0 || var.budget.run <= var.budget.month)
    error_message = "budget is ${jsonencode(var.budget)}; roubles from 0 on are expected (0: no budget), for a month no fewer than for a run, such as { run = 50, month = 1500 }."
  }
}

variable "promotion" {
  description = "Who decides that a better model serves: the comparison alone (automatic), or a person besides (approval), who has so many hours to answer in Airflow; without an answer the champion stays. By which rule: weeks (one week's gain of .02, or else the evidence of many) or week (one week's gain of .01 alone); null: the application's own, weeks"
  type = object({
    mode  = optional(string, "automatic")
    hours = optional(number, 48)
    rule  = optional(string)
  })
  default = {}

  validation {
    condition     = contains(["automatic", "approval"], var.promotion.mode)
    error_message = "promotion.mode is \"${var.promotion.mode}\", automatic or approval is expected."
  }
  validation {
    condition     = var.promotion.hours >= 1 && var.promotion.hours <= 144
    error_message = "promotion.hours is ${var.promotion.hours}; 1 to 144 are expected, for the run that waits keeps the next one waiting."
  }
  validation {
    condition     = var.promotion.rule == null || contains(["week", "weeks"], coalesce(var.promotion.rule, "week"))
    error_message = "promotion.rule is \"${coalesce(var.promotion.rule, "null")}\", week or weeks is expected."
  }
}

variable "dashboard" {
  description = "A dashboard of the machines and the clusters in Yandex Monitoring"
  type        = bool
  default     = false
}
