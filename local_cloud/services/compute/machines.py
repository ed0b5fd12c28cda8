"""Instances as machines of this host: booted by cloud-init, with the disks and the identity that the API says."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf import json_format

from local_cloud.core.context import Listener, Machine, Site
from local_cloud.core.lab import LabCommand
from local_cloud.core.resources import Row
from local_cloud.core.store import Store
from local_cloud.services.compute import errors
from local_cloud.services.compute.models import DISK, IMAGE


class Machines:
    """The machines of all instances, each called by its instance's id. None of them knows another one's disks."""

    def __init__(self, lab: LabCommand, store: Store, site: Site) -> None:
        self._lab, self._store, self._site = lab, store, site
        self._identities: dict[str, Listener] = {}

    def up(self, row: Row) -> None:
        """Makes the machine unless it exists, tells it what the API says of it, and boots it unless it runs."""
        message = row.message
        with TemporaryDirectory() as folder:
            file = Path(folder, "instance.json")
            file.write_text(json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True)))
            disks = [self._disk(each) for each in message.secondary_disks]
            self._lab.run(
                *("up", row.key, "--no-wait", f"--debian={self._debian(row)}", f"--instance={file}"),
                f"--address={message.network_interfaces[0].primary_v4_address.address}",
                f"--authority={self._site.authority}",
                *([f"--identity={self._identity(row)}"] if message.service_account_id else []),
                *(f"--disk={each}" for each in disks),
            )

    def stop(self, row: Row) -> None:
        self._lab.run("stop", row.key)

    def restart(self, row: Row) -> None:
        self.stop(row)
        self.up(row)

    def down(self, row: Row) -> None:
        """Removes the machine with its boot disk; others stay."""
        if listener := self._identities.pop(row.key, None):
            listener.close()
        self._lab.run("down", row.key)

    def grow(self, disk: Row) -> None:
        """Lets a disk that is attached have the size that the API says."""
        for instance in disk.message.instance_ids:
            row = self._store.find(instance)
            for each in row.message.secondary_disks if row else ():
                if each.disk_id == disk.key:
                    self._lab.run("disk", instance, each.device_name, _size(disk))

    def remove(self, disk: Row) -> None:
        self._lab.run("remove-disk", disk.key)

    def close(self) -> None:
        """The endpoint ends; the machines go on without tokens until the next one."""
        for listener in self._identities.values():
            listener.close()
        self._identities.clear()

    def _disk(self, attached: Any) -> str:
        disk = self._store.get(DISK, attached.disk_id)
        return f"{attached.device_name}={_size(disk)},{disk.key}"

    def _debian(self, row: Row) -> str:
        boot = self._store.get(DISK, row.message.boot_disk.disk_id)
        image = self._store.find(boot.message.source_image_id)
        family = image.message.family if image and image.type == IMAGE else ""
        found = re.fullmatch(r"debian-(12|13)", family)
        if found is None:
            raise errors.no_machine_of(family)
        return found[1]

    def _identity(self, row: Row) -> str:
        """Where its metadata service gets tokens of the account that the API says."""
        if former := self._identities.pop(row.key, None):
            former.close()
        message = row.message
        machine = Machine(row.key, message.name, message.zone_id, message.service_account_id)
        self._identities[row.key] = self._site.open_metadata(machine)
        return self._lab.endpoint(self._identities[row.key].address)


def _size(disk: Row) -> str:
    return f"{disk.message.size >> 20}M"
