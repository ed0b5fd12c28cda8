"""Managed PostgreSQL and Airflow, logs and charts."""

from typing import Any, ClassVar

from stack.provider.kinds.api import Api
from stack.provider.kinds.base import Kind, gib, nested, one, said, whole
from stack.provider.kinds.identity import seconds
from stack.provider.messages import Json

ACCESS = ("web_sql", "data_lens", "data_transfer", "serverless", "yandex_query")
PLACE = ("x", "y", "w", "h")  # of a chart
PARTS = ("webserver", "scheduler", "dag_processor", "triggerer")


def window(values: Any) -> Json | None:
    """A maintenance window as a request has it; None if the service is to choose."""
    if not isinstance(values, dict):
        return None
    if values["type"] == "ANYTIME":
        return {"anytime": {}}
    return {"weekly_maintenance_window": {"day": values["day"], "hour": values["hour"]}}


def of_window(message: Json) -> Json:
    weekly = message.get("weekly_maintenance_window")
    if weekly is None:
        return {"type": "ANYTIME", "day": None, "hour": None}
    return {"type": "WEEKLY", "day": weekly["day"], "hour": int(weekly["hour"])}


class PostgresqlCluster(Kind):
    """What the configuration does not say of a host is set by another call, once it has been made."""

    service, own = "mdb.postgresql.v1.ClusterService", "cluster_id"
    same = (*Kind.same, "network_id", "environment", "security_group_ids", "deletion_protection")
    anew = Kind.anew | {"network_id", "environment"}
    kept = ("maintenance_window",)
    compared = True

    def more(self, values: Json) -> Json:
        config = values["config"]
        resources, backup = config["resources"], config["backup_window_start"]
        size = {"disk_size": gib(resources["disk_size"])}
        days = config["backup_retain_period_days"]
        return {
            "config_spec.version": config["version"],
            "config_spec.resources": {**said(resources, "resource_preset_id", "disk_type_id"), **size},
            "config_spec.backup_retain_period_days": days if isinstance(days, int) else None,
            "config_spec.backup_window_start": said(backup, "hours", "minutes") if isinstance(backup, dict) else None,
            "maintenance_window": window(values["maintenance_window"]),
        }

    def create(self, api: Api, values: Json) -> None:
        request = nested(self.fields(values))
        request["host_specs"] = [host(each) for _, each in sorted(values["hosts"].items())]
        values["id"] = api.do(f"{self.service}/Create", request)[0][self.own]
        for name, each in self.hosts(api, values).items():
            if not isinstance(values["hosts"][name]["priority"], int):
                self.change_host(api, values["id"], each["fqdn"], priority=0)

    def change_host(self, api: Api, cluster: str, name: str, **changes: Any) -> None:
        specification = {"host_name": name, **changes, "update_mask": ",".join(map(camel, changes))}
        api.do(f"{self.service}/UpdateHosts", {self.own: cluster, "update_host_specs": [specification]})

    def update(self, api: Api, prior: Json, values: Json) -> None:
        """Another version first and by itself; then all else; then the hosts."""
        before, after = self.fields(prior), self.fields(values)
        version = "config_spec.version"
        steps = [[version], [path for path in after if path not in (version, "folder_id")]]
        for paths in steps:
            changed = [path for path in paths if before.get(path) != after.get(path)]
            if changed:
                fields = nested({path: after[path] for path in changed})
                api.do(f"{self.service}/Update", {self.own: prior["id"], **fields, "update_mask": changed})
        for name in set(values["hosts"]) - set(prior["hosts"]):
            api.do(f"{self.service}/AddHosts", {self.own: prior["id"], "host_specs": [host(values["hosts"][name])]})
        for name in set(prior["hosts"]) - set(values["hosts"]):
            gone = [prior["hosts"][name]["fqdn"]]
            api.do(f"{self.service}/DeleteHosts", {self.own: prior["id"], "host_names": gone})

    def hosts(self, api: Api, values: Json) -> Json:
        """The hosts by the names that the configuration has for them: each is told by its zone."""
        answer = api.call(f"{self.service}/ListHosts", {self.own: values["id"], "page_size": 1000})
        zones = {each["zone"]: name for name, each in values["hosts"].items()}
        return {
            zones.get(each["zone_id"], each["zone_id"]): {
                "zone": each["zone_id"],
                "subnet_id": each["subnet_id"],
                "assign_public_ip": each["assign_public_ip"],
                "fqdn": each["name"],
                "priority": int(each.get("priority", 0)),
                "replication_source": each["replication_source"],
                "replication_source_name": None,
            }
            for each in answer["hosts"]
        }

    def told(self, api: Api, message: Json, values: Json) -> Json:
        config = message["config"]
        resources, scaling = config["resources"], config.get("disk_size_autoscaling", {})
        backup, diagnostics = config.get("backup_window_start", {}), config.get("performance_diagnostics", {})
        names = ("resource_preset_id", "disk_type_id")
        return {
            **{name: message[name] for name in self.same},
            "hosts": self.hosts(api, values),
            "maintenance_window": of_window(message["maintenance_window"]),
            "disk_encryption_key_id": None,
            "config": {
                "version": config["version"],
                "resources": {name: resources[name] for name in names} | {"disk_size": whole(resources["disk_size"])},
                "access": {name: config.get("access", {}).get(name, False) for name in ACCESS},
                "backup_retain_period_days": int(config["backup_retain_period_days"]),
                "backup_window_start": {name: int(backup.get(name, 0)) for name in ("hours", "minutes")},
                "performance_diagnostics": {
                    "enabled": diagnostics.get("enabled", False),
                    "sessions_sampling_interval": int(diagnostics.get("sessions_sampling_interval", 0)),
                    "statements_sampling_interval": int(diagnostics.get("statements_sampling_interval", 0)),
                },
                "disk_size_autoscaling": {
                    "disk_size_limit": whole(scaling.get("disk_size_limit", 0)),
                    "planned_usage_threshold": int(scaling.get("planned_usage_threshold", 0)),
                    "emergency_usage_threshold": int(scaling.get("emergency_usage_threshold", 0)),
                },
                "pooler_config": {"pooling_mode": config["pooler_config"]["pooling_mode"], "pool_discard": None},
                "connection_manager": None,
                "managed_repack": {"enabled": False},
                "postgresql_config": {},
            },
        }


def camel(name: str) -> str:
    """A path of a mask as JSON has it."""
    head, *rest = name.split("_")
    return head + "".join(each.title() for each in rest)


def host(values: Json) -> Json:
    priority = values["priority"] if isinstance(values["priority"], int) else 0
    public = {"assign_public_ip": values["assign_public_ip"] is True}
    return {"zone_id": values["zone"], **said(values, "subnet_id"), **public, "priority": priority}


class PartOfPostgresql(Kind):
    """A user or a database: its id is that of its cluster and its own name."""

    anew = frozenset({"cluster_id", "name"})
    noun = ""

    def create(self, api: Api, values: Json) -> None:
        specification = {f"{self.noun}_spec": self.specification(values)}
        api.do(f"{self.service}/Create", {"cluster_id": values["cluster_id"], **specification})
        values["id"] = f"{values['cluster_id']}:{values['name']}"

    def specification(self, values: Json) -> Json:
        raise NotImplementedError

    def named(self, values: Json) -> Json:
        cluster, _, name = values["id"].partition(":")
        return {"cluster_id": cluster, f"{self.noun}_name": name}

    def message(self, api: Api, values: Json) -> Json | None:
        return api.find(f"{self.service}/Get", self.named(values))

    def delete(self, api: Api, values: Json) -> None:
        api.remove(f"{self.service}/Delete", self.named(values))

    def protection(self, values: Json) -> Json:
        told = values["deletion_protection"]
        return {"deletion_protection": told == "true"} if told in ("true", "false") else {}

    def of_protection(self, message: Json) -> str:
        return {True: "true", False: "false", None: "unspecified"}[message.get("deletion_protection")]


class PostgresqlUser(PartOfPostgresql):
    service, noun = "mdb.postgresql.v1.UserService", "user"
    defaults: ClassVar = {"login": True, "deletion_protection": "unspecified", "auth_method": "AUTH_METHOD_PASSWORD"}

    def specification(self, values: Json) -> Json:
        limit = {"conn_limit": values["conn_limit"]} if isinstance(values["conn_limit"], int) else {}
        password = {"password": values["password_wo"]} if values.get("password_wo") else {}
        return {"name": values["name"], "login": values["login"], **limit, **password, **self.protection(values)}

    def update(self, api: Api, prior: Json, values: Json) -> None:
        names = {"login": "login", "conn_limit": "conn_limit", "deletion_protection": "deletion_protection"}
        names["password_wo_version"] = "password"  # noqa: S105 (the name of a field)
        mask = [path for name, path in names.items() if prior[name] != values[name]]
        if mask:
            databases = api.call("mdb.postgresql.v1.DatabaseService/List", {"cluster_id": values["cluster_id"]})
            own = [each["name"] for each in databases["databases"] if each["owner"] == values["name"]]
            rights = {"permissions": [{"database_name": name} for name in own]}
            fields = {name: value for name, value in self.specification(values).items() if name != "name"}
            api.do(f"{self.service}/Update", {**self.named(prior), **fields, **rights, "update_mask": mask})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        api.call("mdb.postgresql.v1.DatabaseService/List", {"cluster_id": values["cluster_id"], "page_size": 1000})
        return {
            "login": message.get("login", False),
            "conn_limit": int(message["conn_limit"]),
            "grants": message["grants"],
            "permission": [],
            "settings": {},
            "deletion_protection": self.of_protection(message),
            "auth_method": message["auth_method"],
            "user_password_encryption": message["user_password_encryption"],
            "connection_manager": {},
        }


class PostgresqlDatabase(PartOfPostgresql):
    """An Update names the database itself in its mask."""

    service, noun = "mdb.postgresql.v1.DatabaseService", "database"
    anew = frozenset({"cluster_id", "name", "owner", "lc_collate", "lc_type", "template_db"})
    defaults: ClassVar = {"lc_collate": "C", "lc_type": "C", "deletion_protection": "unspecified"}

    def specification(self, values: Json) -> Json:
        collation = {"lc_collate": values["lc_collate"], "lc_ctype": values["lc_type"]}
        return {**said(values, "name", "owner"), **collation, **self.protection(values)}

    def update(self, api: Api, prior: Json, values: Json) -> None:
        protection = self.protection(values)
        mask = ["cluster_id", "database_name", "new_database_name", "extensions", *protection]
        api.do(f"{self.service}/Update", {**self.named(prior), **protection, "update_mask": mask})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {
            **{name: message[name] for name in ("name", "owner", "lc_collate", "template_db")},
            "lc_type": message["lc_ctype"],
            "extension": [],
            "deletion_protection": self.of_protection(message),
        }


class AirflowCluster(Kind):
    """An Update says everything. An empty `airflow_config` comes back as none."""

    service, own = "airflow.v1.ClusterService", "cluster_id"
    same = (*Kind.same, "service_account_id", "deletion_protection")
    anew = Kind.anew | {"subnet_ids", "admin_password", "airflow_version", "python_version"}
    kept = ("maintenance_window",)
    compared = whole_updates = True

    def more(self, values: Json) -> Json:
        config: Json = {name: component(values[name]) for name in PARTS if isinstance(values[name], dict)}
        config["worker"] = workers(values["worker"])
        config["dependencies.pip_packages"] = sorted(values["pip_packages"] or [])
        settings = values["airflow_config"]
        if settings:
            flat = {f"{section}.{key}": each for section, pairs in settings.items() for key, each in pairs.items()}
            config["airflow"] = {"config": flat}
        backend = values["lockbox_secrets_backend"]
        if backend:
            config["lockbox"] = {"enabled": backend["enabled"]}
        logging = values["logging"]
        return {
            **{f"config_spec.{path}": value for path, value in config.items()},
            **{f"config_spec.{name}": values[name] for name in ("airflow_version", "python_version") if values[name]},
            "network_spec.security_group_ids": sorted(values["security_group_ids"] or []),
            "code_sync": {"s3": {"bucket": values["code_sync"]["s3"]["bucket"]}},
            "logging": said(logging, "enabled", "log_group_id", "folder_id", "min_level") if logging else None,
            "maintenance_window": window(values["maintenance_window"]),
        }

    def create(self, api: Api, values: Json) -> None:
        """The password is said once; of versions that are not said, the service chooses."""
        fields = {
            path: value for path, value in self.fields(values).items() if isinstance(value, str | int | dict | list)
        }
        request = nested(fields)
        request["config"] = request.pop("config_spec")
        request["network"] = {**request.pop("network_spec"), "subnet_ids": sorted(values["subnet_ids"])}
        password = {"admin_password": values["admin_password"]} if isinstance(values["admin_password"], str) else {}
        values["id"] = api.do(f"{self.service}/Create", {**request, **password})[0][self.own]

    def told(self, api: Api, message: Json, values: Json) -> Json:
        config, network = message["config"], message["network"]
        settings: Json = {}
        for path, value in config.get("airflow", {}).get("config", {}).items():
            section, _, key = path.partition(".")
            settings.setdefault(section, {})[key] = value
        packages = config.get("dependencies", {}).get("pip_packages", [])
        logging, lockbox = message.get("logging"), config.get("lockbox")
        names = ("enabled", "log_group_id", "folder_id", "min_level")
        password = values["admin_password"]
        return {
            **{name: message[name] for name in ("service_account_id", "deletion_protection")},
            "airflow_version": config["airflow_version"],
            "python_version": config["python_version"],
            "airflow_config": settings or None,
            "pip_packages": packages or None,
            "deb_packages": None,
            "code_sync": {"s3": {"bucket": message["code_sync"]["s3"]["bucket"]}, "git_sync": None},
            "subnet_ids": network["subnet_ids"],
            "security_group_ids": network["security_group_ids"] or None,
            "lockbox_secrets_backend": {"enabled": lockbox["enabled"]} if lockbox and lockbox["enabled"] else None,
            "logging": {name: logging.get(name) or None for name in names} if logging else None,
            "maintenance_window": of_window(message["maintenance_window"]),
            "worker": of_workers(config["worker"]),
            **{name: of_component(config[name]) if name in config else None for name in PARTS},
            "admin_password": password if isinstance(password, str) else None,
        }


def component(values: Json) -> Json:
    return {"count": values["count"], "resources": {"resource_preset_id": values["resource_preset_id"]}}


def of_component(message: Json) -> Json:
    return {"count": int(message["count"]), "resource_preset_id": message["resources"]["resource_preset_id"]}


def workers(values: Json) -> Json:
    counts = {name: values[name] for name in ("min_count", "max_count")}
    return {**counts, "resources": {"resource_preset_id": values["resource_preset_id"]}}


def of_workers(message: Json) -> Json:
    counts = {name: int(message[name]) for name in ("min_count", "max_count")}
    return {**counts, "resource_preset_id": message["resources"]["resource_preset_id"]}


class LogGroup(Kind):
    service, own = "logging.v1.LogGroupService", "log_group_id"
    compared = whole_updates = True

    def more(self, values: Json) -> Json:
        return {"retention_period": seconds(values["retention_period"])}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        period = message.get("retention_period", "")
        asked = values["retention_period"]
        return {
            "retention_period": asked if seconds(asked) == period else period,
            "log_group_id": message["id"],
            "cloud_id": message["cloud_id"],
            "data_stream": message["data_stream"],
        }


class Dashboard(Kind):
    """An Update has everything, no mask, and the tag of what it was made from."""

    service, own = "monitoring.v3.DashboardService", "dashboard_id"
    same = (*Kind.same, "title")

    def more(self, values: Json) -> Json:
        return {"widgets": [widget(each) for each in values["widgets"]]}

    def update(self, api: Api, prior: Json, values: Json) -> None:
        there = api.call(f"{self.service}/Get", {self.own: prior["id"]})
        fields = {name: value for name, value in self.fields(values).items() if name != "folder_id"}
        api.do(f"{self.service}/Update", {self.own: prior["id"], **fields, "etag": there["etag"]})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        widgets = [of_widget(each) for each in message["widgets"]]
        return {"title": message["title"], "dashboard_id": message["id"], "widgets": widgets}


def widget(values: Json) -> Json:
    chart = one(values["chart"])
    query = one(one(chart["queries"])["target"])["query"]
    plain = said(chart, "title", "display_legend") | {"id": chart["chart_id"]}
    position = said(one(values["position"]), *PLACE)
    return {"position": position, "chart": {**plain, "queries": {"targets": [{"query": query}]}}}


def of_widget(message: Json) -> Json:
    chart, position = message["chart"], message["position"]
    targets = [{"query": each["query"], "text_mode": False, "hidden": False} for each in chart["queries"]["targets"]]
    queries = [{"target": targets, "downsampling": []}]
    told = {name: chart[name] for name in ("title", "display_legend", "description")}
    empty: Json = {name: [] for name in ("name_hiding_settings", "series_overrides", "visualization_settings")}
    whole_chart = {**told, **empty, "chart_id": chart["id"], "queries": queries, "freeze": chart["freeze"]}
    return {
        "position": [{name: int(position[name]) for name in PLACE}],
        "chart": [whole_chart],
        "text": [],
        "title": [],
    }
