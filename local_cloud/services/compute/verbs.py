"""Machines with their disks and addresses; a disk that is in use stays."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, set_status, status_of
from local_cloud.services.base import Service
from local_cloud.services.compute import checks, errors
from local_cloud.services.compute.models import (
    ADDRESS,
    DISK,
    HOLDINGS,
    INSTANCE,
    SUBNET,
    attached,
    free_address,
    new_disk,
)

_INSTANCES, _DISKS = "yandex.cloud.compute.v1.InstanceService", "yandex.cloud.compute.v1.DiskService"
# What may be changed only while a machine is stopped.
_AT_REST = ("platform_id", "resources_spec")


class Compute(Service):
    def handlers(self) -> Mapping[str, Handler]:
        shared = self.resources
        return {
            f"{_INSTANCES}/Create": Verb(self._create, shared.finish, self._undo_create),
            f"{_INSTANCES}/Update": Verb(self._begin_update, shared.finish_update, shared.undo_change),
            f"{_INSTANCES}/Start": Verb(self._begin_start, shared.finish, shared.undo_change),
            f"{_INSTANCES}/Delete": Verb(shared.begin_delete, self._delete, shared.undo_change),
            f"{_INSTANCES}/AddOneToOneNat": Verb(self._add_nat, self._answer),
            f"{_INSTANCES}/RemoveOneToOneNat": Verb(self._remove_nat, self._answer),
            f"{_INSTANCES}/AttachDisk": Verb(self._attach, self._answer),
            f"{_INSTANCES}/DetachDisk": Verb(self._detach, self._answer),
            f"{_DISKS}/Delete": Verb(self._begin_disk_delete, shared.finish_delete, shared.undo_change),
        }

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_INSTANCES}/Create": lambda call: checks.check_instance(self.store, call.request),
            f"{_DISKS}/Create": lambda call: checks.check_new_disk(self.store, call.request),
            f"{_DISKS}/Update": lambda call: checks.check_disk_change(self.store, call.request),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return HOLDINGS

    def _create(self, call: Call) -> Begun:
        row, request = self.resources.create(call), call.request
        message = row.message
        if request.HasField("boot_disk_spec"):
            self._give_disk(row, message.boot_disk, request.boot_disk_spec)
        for disk, specification in zip(message.secondary_disks, request.secondary_disk_specs, strict=True):
            self._give_disk(row, disk, specification)
        for number, interface in enumerate(message.network_interfaces):
            interface.index = str(number)
            self._give_addresses(row, interface)
        message.fqdn = f"{request.hostname}.ru-central1.internal" if request.hostname else f"{row.key}.auto.internal"
        self.store.save(row)
        return Begun(row)

    def _give_disk(self, row: Row, disk: Any, specification: Any) -> None:
        """A new disk as described, or the one that is named."""
        if specification.WhichOneof("disk") == "disk_id":
            named = self.store.get(DISK, specification.disk_id)
            named.message.instance_ids.append(row.key)
            self.store.save(named)
            return
        message = new_disk(row, specification.disk_spec)
        self.context.quotas.check(Row(0, DISK, message.id, row.folder, {}, message))
        self.store.insert(message, message.id, row.folder, {})
        disk.disk_id = message.id

    def _give_addresses(self, row: Row, interface: Any) -> None:
        subnet = self.store.get(SUBNET, interface.subnet_id)
        others = [each for each in self.store.select(INSTANCE) if each.key != row.key]
        taken = {i.primary_v4_address.address for each in others for i in each.message.network_interfaces}
        address = interface.primary_v4_address
        address.address = address.address or free_address(subnet.message, taken)
        if not address.address:
            raise errors.subnet_full(subnet)
        if address.HasField("one_to_one_nat"):
            address.one_to_one_nat.address = self._public(address.one_to_one_nat.address, row)

    def _public(self, wanted: str, row: Row) -> str:
        """The public address that a machine gets: the reserved one that it names (in use from now on), or any."""
        if not wanted:
            return f"158.160.{row.number // 250 % 250}.{row.number % 250 + 1}"
        address = self._address(wanted)
        if address is None:
            raise errors.address_unknown(wanted)
        if address.message.used:
            raise errors.address_used(address, wanted)
        self._mark(address, True)
        return wanted

    def _address(self, value: str) -> Row | None:
        rows = self.store.select(ADDRESS)
        return next((row for row in rows if row.message.external_ipv4_address.address == value), None)

    def _mark(self, address: Row | None, used: bool) -> None:
        if address is not None:
            address.message.used = used
            self.store.save(address)

    def _begin_update(self, call: Call) -> Begun:
        row = self.resources.named(call)
        paths = [path.split(".")[0] for path in call.request.update_mask.paths]
        changed = [name for name in _AT_REST if name in paths]
        if changed and status_of(row.message) != "STOPPED":
            raise errors.not_stopped(row, changed, status_of(row.message))
        if changed:
            request, message = call.request, row.message
            platform = request.platform_id if "platform_id" in paths else message.platform_id
            resources = request.resources_spec if "resources_spec" in paths else message.resources
            checks.check_platform(platform, message.zone_id)
            checks.check_resources(platform, resources)
        return self.resources.begin_update(call)

    def _begin_start(self, call: Call) -> Begun:
        """Its cores and its memory count again, so there must be some left."""
        row = self.resources.named(call)
        message = type(row.message).FromString(row.message.SerializeToString())
        set_status(message, "RUNNING")
        self.context.quotas.check(Row(row.number, row.type, row.key, row.folder, row.parents, message))
        return self.resources.begin_change(call)

    def _delete(self, work: Work) -> Message:
        with self.store.transaction():
            self._release(self.store.get(INSTANCE, work.resource))
            return self.resources.finish_delete(work)

    def _undo_create(self, work: Work, error: Any) -> None:
        """A machine that could not be made leaves no disk of its own and no address in use."""
        with self.store.transaction():
            if (row := self.store.find(work.resource)) is not None:
                self._release(row)
        self.resources.undo_create(work, error)

    def _release(self, row: Row) -> None:
        """Delete the disks that go with the machine, free the others and its reserved addresses."""
        for disk in attached(row.message):
            found = self.store.find(disk.disk_id)
            if found is not None and disk.auto_delete:
                self.store.delete(found)
            elif found is not None:
                self._free(found, row.key)
        for interface in row.message.network_interfaces:
            self._mark(self._address(interface.primary_v4_address.one_to_one_nat.address), False)

    def _free(self, disk: Row, instance: str) -> None:
        kept = [key for key in disk.message.instance_ids if key != instance]
        del disk.message.instance_ids[:]
        disk.message.instance_ids.extend(kept)
        self.store.save(disk)

    def _begin_disk_delete(self, call: Call) -> Begun:
        row = self.resources.named(call)
        if row.message.instance_ids:
            raise errors.disk_attached(row, list(row.message.instance_ids))
        return self.resources.begin_delete(call)

    def _answer(self, work: Work) -> Message:
        message: Message = self.store.get(INSTANCE, work.resource).message
        return message

    def _add_nat(self, call: Call) -> Begun:
        row = self.store.get(INSTANCE, call.request.instance_id)
        interface = self._interface(row, call.request.network_interface_index)
        if interface.primary_v4_address.HasField("one_to_one_nat"):
            raise errors.nat_there(row, interface.index)
        wanted = call.request.one_to_one_nat_spec.address
        interface.primary_v4_address.one_to_one_nat.address = self._public(wanted, row)
        self.store.save(row)
        return Begun(row)

    def _remove_nat(self, call: Call) -> Begun:
        row = self.store.get(INSTANCE, call.request.instance_id)
        interface = self._interface(row, call.request.network_interface_index)
        if not interface.primary_v4_address.HasField("one_to_one_nat"):
            raise errors.no_nat(row, interface.index)
        self._mark(self._address(interface.primary_v4_address.one_to_one_nat.address), False)
        interface.primary_v4_address.ClearField("one_to_one_nat")
        self.store.save(row)
        return Begun(row)

    def _interface(self, row: Row, index: str) -> Any:
        for interface in row.message.network_interfaces:
            if interface.index == index:
                return interface
        raise errors.no_interface(row, index)

    def _attach(self, call: Call) -> Begun:
        row = self.store.get(INSTANCE, call.request.instance_id)
        specification = call.request.attached_disk_spec
        checks.check_attached(self.store, "attached_disk_spec", specification, row.message.zone_id)
        disk = row.message.secondary_disks.add(
            mode=specification.mode, device_name=specification.device_name, auto_delete=specification.auto_delete
        )
        disk.disk_id = specification.disk_id
        self._give_disk(row, disk, specification)
        self.store.save(row)
        return Begun(row)

    def _detach(self, call: Call) -> Begun:
        row, request = self.store.get(INSTANCE, call.request.instance_id), call.request
        key = request.WhichOneof("disk") or "disk_id"
        found = [disk for disk in row.message.secondary_disks if getattr(disk, key) == getattr(request, key)]
        if not found:
            raise errors.no_disk(row, getattr(request, key))
        self._free(self.store.get(DISK, found[0].disk_id), row.key)
        row.message.secondary_disks.remove(found[0])
        self.store.save(row)
        return Begun(row)
