"""Machines, their disks, and snapshots of these."""

from typing import Any, ClassVar

from stack.provider.kinds.api import Api
from stack.provider.kinds.base import Kind, gib, nested, one, said, whole
from stack.provider.messages import Json

OPTIONS = [f"{form}_http_{what}" for form in ("gce", "aws_v1", "aws_v2") for what in ("endpoint", "token")]
SETTING = ("METADATA_OPTION_UNSPECIFIED", "ENABLED", "DISABLED")


def image(api: Api, values: Json) -> Json:
    """The newest image of a family, which is public."""
    folder = values["folder_id"] if isinstance(values["folder_id"], str) else "standard-images"
    message = api.call("compute.v1.ImageService/GetLatestByFamily", {"folder_id": folder, "family": values["family"]})
    sizes = {"size": whole(message["storage_size"]), "min_disk_size": whole(message["min_disk_size"])}
    names = (
        "id",
        "name",
        "family",
        "folder_id",
        "description",
        "labels",
        "created_at",
        "status",
        "product_ids",
        "pooled",
    )
    found = {name: message[name] for name in names} | {"image_id": message["id"], "os_type": message["os"]["type"]}
    return values | found | sizes


class Disk(Kind):
    """Each change is a call of its own."""

    service, own = "compute.v1.DiskService", "disk_id"
    anew = frozenset({"type", "zone", "image_id", "snapshot_id", "block_size", "kms_key_id"})
    defaults: ClassVar = {"type": "network-hdd", "block_size": 4096, "size": 150}

    def more(self, values: Json) -> Json:
        source = said(values, "image_id", "snapshot_id")
        return {"zone_id": values["zone"], "type_id": values["type"], "size": gib(values["size"]), **source}

    def create(self, api: Api, values: Json) -> None:
        request = {**self.fields(values), "block_size": values["block_size"]}
        values["id"] = api.do(f"{self.service}/Create", request)[0][self.own]

    def update(self, api: Api, prior: Json, values: Json) -> None:
        before, after = self.fields(prior), self.fields(values)
        for name in ("labels", "name", "description", "size"):
            if before.get(name) != after.get(name):
                request = {self.own: prior["id"], **said(after, name), "update_mask": [name]}
                api.do(f"{self.service}/Update", request)

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {
            "zone": message["zone_id"],
            "type": message["type_id"],
            "size": whole(message["size"]),
            "block_size": int(message["block_size"]),
            "image_id": message.get("source_image_id", ""),
            "snapshot_id": message.get("source_snapshot_id", ""),
            "status": message["status"].lower(),
            "product_ids": message["product_ids"],
        }

    def delete(self, api: Api, values: Json) -> None:
        """It is taken off the machines that still have it."""
        there = api.find(f"{self.service}/Get", {self.own: values["id"]})
        for machine in there["instance_ids"] if there else ():
            request = {"instance_id": machine, "disk_id": values["id"]}
            api.do("compute.v1.InstanceService/DetachDisk", request)
        super().delete(api, values)


class Instance(Kind):
    service, own = "compute.v1.InstanceService", "instance_id"
    anew = frozenset({"zone", "hostname"})  # and what boots it: see provider.py
    kept = ("boot_disk.initialize_params", "metadata_options", "placement_policy", "scheduling_policy")
    defaults: ClassVar = {
        "network_acceleration_type": "standard",
        "platform_id": "standard-v1",
        "resources.core_fraction": 100,
        "boot_disk.auto_delete": True,
        "boot_disk.initialize_params.type": "network-hdd",
        "network_interface.ipv4": True,
        "network_interface.nat": False,
        "secondary_disk.auto_delete": False,
        "secondary_disk.mode": "READ_WRITE",
    }
    # What is changed while it runs, each by a call of its own; all else needs it to be stopped.
    running = ("labels", "metadata", "metadata_options", "name", "description", "service_account_id")
    stopped = ("resources_spec", "platform_id", "network_settings")

    def more(self, values: Json) -> Json:
        options = one(values["metadata_options"])
        resources = one(values["resources"])
        sizes = {"cores": resources["cores"], "core_fraction": resources["core_fraction"]}
        return {
            **said(values, "hostname", "platform_id", "service_account_id", "metadata"),
            "zone_id": values["zone"],
            "resources_spec": {**sizes, "memory": gib(resources["memory"])},
            "metadata_options": {
                name: SETTING[options[name]] for name in OPTIONS if isinstance(options.get(name), int)
            },
            "network_settings": {"type": values["network_acceleration_type"].upper()},
        }

    def create(self, api: Api, values: Json) -> None:
        disks = [attached(each) for each in values["secondary_disk"]]
        interfaces = [interface(each) for each in values["network_interface"]]
        request = {
            **self.fields(values),
            "boot_disk_spec": boot(one(values["boot_disk"])),
            "secondary_disk_specs": disks,
            "network_interface_specs": interfaces,
            "scheduling_policy": {},
            "placement_policy": {},
        }
        values["id"] = api.do(f"{self.service}/Create", request)[0][self.own]

    def message(self, api: Api, values: Json) -> Json | None:
        return api.find(f"{self.service}/Get", {self.own: values["id"], "view": "FULL"})

    def act(self, api: Api, identity: str, method: str, **request: Any) -> None:
        api.do(f"{self.service}/{method}", {self.own: identity, **request})

    def update(self, api: Api, prior: Json, values: Json) -> None:
        identity, before, after = prior["id"], self.fields(prior), self.fields(values)
        there = api.call(f"{self.service}/Get", {self.own: identity})
        changed = [name for name in (*self.running, *self.stopped) if before.get(name) != after.get(name)]
        for name in self.running:
            if name in changed:
                self.act(api, identity, "Update", **said(after, name), update_mask=[name])
        self.change_addresses(api, prior, values)
        self.change_disks(api, there, values)
        at_rest = [name for name in self.stopped if name in changed]
        if at_rest:
            if not values["allow_stopping_for_update"]:
                raise ValueError(f"to change {at_rest} of an instance it must be stopped: allow_stopping_for_update")
            self.act(api, identity, "Stop")
            self.act(api, identity, "Update", **said(after, *at_rest), update_mask=at_rest)
            self.act(api, identity, "Start")

    def change_addresses(self, api: Api, prior: Json, values: Json) -> None:
        for index, (was, will) in enumerate(zip(prior["network_interface"], values["network_interface"], strict=True)):
            named = {"network_interface_index": str(index)}
            old, new = (nat(each) for each in (was, will))
            if old != new:
                if old is not None:
                    self.act(api, prior["id"], "RemoveOneToOneNat", **named)
                if new is not None:
                    self.act(api, prior["id"], "AddOneToOneNat", **named, one_to_one_nat_spec=new)
            if sorted(was["security_group_ids"] or []) != sorted(will["security_group_ids"] or []):
                groups = {"security_group_ids": will["security_group_ids"], "update_mask": ["security_group_ids"]}
                self.act(api, prior["id"], "UpdateNetworkInterface", **named, **groups)

    def change_disks(self, api: Api, there: Json, values: Json) -> None:
        wanted = {each["disk_id"]: attached(each) for each in values["secondary_disk"]}
        has = {each["disk_id"] for each in there["secondary_disks"]}
        for disk in has - set(wanted):
            self.act(api, there["id"], "DetachDisk", disk_id=disk)
        for disk in set(wanted) - has:
            self.act(api, there["id"], "AttachDisk", attached_disk_spec=wanted[disk])

    def told(self, api: Api, message: Json, values: Json) -> Json:
        disk = api.call("compute.v1.DiskService/Get", {"disk_id": message["boot_disk"]["disk_id"]})
        resources = message["resources"]
        machine, _, rest = message["fqdn"].partition(".")
        options = message["metadata_options"]
        return {
            **{name: message[name] for name in ("platform_id", "fqdn", "service_account_id", "metadata")},
            "zone": message["zone_id"],
            "hostname": "" if rest == "auto.internal" else machine,
            "status": message["status"].lower(),
            "resources": [
                {
                    "cores": int(resources["cores"]),
                    "memory": whole(resources["memory"]),
                    "core_fraction": int(resources["core_fraction"]),
                    "gpus": int(resources["gpus"]),
                }
            ],
            "boot_disk": [of_disk(message["boot_disk"]) | {"initialize_params": [of_boot(disk)]}],
            "secondary_disk": [of_disk(each) for each in message["secondary_disks"]],
            "network_interface": [of_interface(each) for each in message["network_interfaces"]],
            "metadata_options": [{name: SETTING.index(options[name]) for name in OPTIONS}],
            "network_acceleration_type": message["network_settings"]["type"].lower(),
            "scheduling_policy": [{"preemptible": message["scheduling_policy"]["preemptible"]}],
            "placement_policy": [{"placement_group_id": "", "placement_group_partition": 0, "host_affinity_rules": []}],
            "gpu_cluster_id": "",
            "maintenance_policy": "",
            "maintenance_grace_period": "",
            "reserved_instance_pool_id": message["reserved_instance_pool_id"],
            "hardware_generation": [],
        }


def known(value: Any) -> Any:
    """A value, or nothing if the cloud is to choose it."""
    return value if isinstance(value, str | int | list) else None


def boot(disk: Json) -> Json:
    plain = {"auto_delete": disk["auto_delete"], **{n: v for n in ("device_name", "mode") if (v := known(disk[n]))}}
    if known(disk["disk_id"]):
        return plain | {"disk_id": disk["disk_id"]}
    made = one(disk["initialize_params"])
    size = {"size": gib(made["size"])} if known(made.get("size")) else {}
    return plain | {"disk_spec": {"type_id": made.get("type") or "network-hdd", "image_id": made["image_id"], **size}}


def attached(disk: Json) -> Json:
    named = {"device_name": name} if (name := known(disk["device_name"])) else {}
    return {"disk_id": disk["disk_id"], "mode": disk["mode"], "auto_delete": disk["auto_delete"], **named}


def nat(values: Json) -> Json | None:
    """The public address of an interface as a request asks for it."""
    if not values["nat"]:
        return None
    address = known(values["nat_ip_address"])
    return {"ip_version": "IPV4", **({"address": address} if address else {})}


def interface(values: Json) -> Json:
    address: Json = {"address": values["ip_address"]} if known(values["ip_address"]) else {}
    if (public := nat(values)) is not None:
        address["one_to_one_nat_spec"] = public
    return {**said(values, "subnet_id", "security_group_ids"), "primary_v4_address_spec": address}


def of_disk(message: Json) -> Json:
    return {name: message[name] for name in ("disk_id", "device_name", "auto_delete", "mode")}


def of_boot(disk: Json) -> Json:
    """The disk that boots it, as it would have been made with the machine."""
    return {
        **{name: disk[name] for name in ("name", "description")},
        "size": whole(disk["size"]),
        "type": disk["type_id"],
        "block_size": int(disk["block_size"]),
        "image_id": disk.get("source_image_id", ""),
        "snapshot_id": disk.get("source_snapshot_id", ""),
        "kms_key_id": "",
    }


def of_interface(message: Json) -> Json:
    address = message["primary_v4_address"]
    public = address.get("one_to_one_nat", {})
    return {
        "index": int(message["index"]),
        "mac_address": message["mac_address"],
        "subnet_id": message["subnet_id"],
        "ipv4": True,
        "ip_address": address["address"],
        "ipv6": False,
        "ipv6_address": "",
        "nat": bool(public),
        "nat_ip_address": public.get("address", ""),
        "nat_ip_version": public.get("ip_version", ""),
        "security_group_ids": message["security_group_ids"],
        "dns_record": [],
        "ipv6_dns_record": [],
        "nat_dns_record": [],
    }


class SnapshotSchedule(Kind):
    service, own = "compute.v1.SnapshotScheduleService", "snapshot_schedule_id"
    kept = ("schedule_policy", "snapshot_spec")

    def more(self, values: Json) -> Json:
        policy, specification = one(values["schedule_policy"]), one(values["snapshot_spec"])
        return {
            **said(values, "snapshot_count"),
            **{f"schedule_policy.{name}": value for name, value in said(policy, "expression").items()},
            **{f"snapshot_spec.{name}": value for name, value in said(specification, "description", "labels").items()},
        }

    def create(self, api: Api, values: Json) -> None:
        request = {**nested(self.fields(values)), "disk_ids": sorted(values["disk_ids"])}
        values["id"] = api.do(f"{self.service}/Create", request)[0][self.own]

    def disks(self, api: Api, identity: str) -> list[str]:
        answer = api.call(f"{self.service}/ListDisks", {self.own: identity})
        return [each["id"] for each in answer["disks"]]

    def update(self, api: Api, prior: Json, values: Json) -> None:
        fields = {name: value for name, value in self.fields(values).items() if name != "folder_id"}
        before = self.fields(prior)
        paths = [name for name in fields if before.get(name) != fields[name]]
        if paths:  # an empty mask means every field, `start_at` among them
            api.do(f"{self.service}/Update", {self.own: prior["id"], **nested(fields), "update_mask": paths})
        has, wanted = set(self.disks(api, prior["id"])), set(values["disk_ids"])
        if has != wanted:
            change = {"remove": sorted(has - wanted), "add": sorted(wanted - has)}
            api.do(f"{self.service}/UpdateDisks", {self.own: prior["id"], **change})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        policy, specification = message["schedule_policy"], message.get("snapshot_spec", {})
        return {
            "disk_ids": self.disks(api, message["id"]),
            "snapshot_count": int(message.get("snapshot_count", 0)),
            "retention_period": "",
            "status": message["status"].lower(),
            "schedule_policy": [{"expression": policy["expression"], "start_at": policy.get("start_at", "")}],
            "snapshot_spec": [
                {"description": specification.get("description", ""), "labels": specification.get("labels", {})}
            ],
        }
