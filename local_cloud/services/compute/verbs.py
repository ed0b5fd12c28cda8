"""Machines with their disks and addresses; a disk that is in use stays."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from yandex.cloud.compute.v1 import instance_pb2, instance_service_pb2, snapshot_schedule_service_pb2

from local_cloud.core import schema
from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.hardware import DEFAULT_DISK
from local_cloud.core.identity import PUBLIC_IMAGES
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, set_status, status_of
from local_cloud.services.base import Finish, Service, on_host
from local_cloud.services.compute import checks, errors
from local_cloud.services.compute.machines import Machines
from local_cloud.services.compute.models import (
    ADDRESS,
    DISK,
    FAMILIES,
    HOLDINGS,
    INSTANCE,
    SECURITY_GROUP,
    SUBNET,
    addresses,
    attached,
    complete,
    name_attached,
    name_source,
    new_disk,
    public_image,
)
from local_cloud.services.generic.listing import paged

_INSTANCES, _DISKS, _IMAGES, _SCHEDULES = (
    f"yandex.cloud.compute.v1.{name}Service" for name in ("Instance", "Disk", "Image", "SnapshotSchedule")
)
# What may be changed only while a machine is stopped.
_AT_REST = ("platform_id", "resources_spec")


# What is done to an instance's machine, and what to a disk on it.
Act = Callable[[Machines, Row], None]


class Compute(Service):
    def __init__(self, context: Context, site: Site) -> None:
        super().__init__(context, site)
        self._machines = Machines(context.lab, self.store, site) if context.lab else None

    def handlers(self) -> Mapping[str, Handler]:
        shared, of_machine, up = self.resources, self._of_machine, Machines.up
        return {
            f"{_INSTANCES}/Create": Verb(self._create, of_machine(up, shared.finish), self._undo_create),
            f"{_INSTANCES}/Update": Verb(self._begin_update, self._told(shared.finish_update), shared.undo_change),
            f"{_INSTANCES}/Start": Verb(self._begin_start, of_machine(up, shared.finish), shared.undo_change),
            f"{_INSTANCES}/Stop": Verb(
                shared.begin_change, of_machine(Machines.stop, shared.finish), shared.undo_change
            ),
            f"{_INSTANCES}/Restart": Verb(
                shared.begin_change, of_machine(Machines.restart, shared.finish), shared.undo_change
            ),
            f"{_INSTANCES}/Delete": Verb(
                shared.begin_delete, of_machine(Machines.down, self._delete), shared.undo_change
            ),
            f"{_INSTANCES}/AddOneToOneNat": Verb(self._add_nat, self._told(self._answer)),
            f"{_INSTANCES}/RemoveOneToOneNat": Verb(self._remove_nat, self._told(self._answer)),
            f"{_INSTANCES}/AttachDisk": Verb(self._attach, self._rebooted(self._answer)),
            f"{_INSTANCES}/DetachDisk": Verb(self._detach, self._rebooted(self._answer)),
            f"{_INSTANCES}/UpdateMetadata": Verb(self._update_metadata, self._told(self._answer)),
            f"{_INSTANCES}/UpdateNetworkInterface": Verb(self._update_interface, self._answer),
            f"{_INSTANCES}/Get": self._get,
            f"{_DISKS}/Create": Verb(self._create_disk, shared.finish, shared.undo_create),
            f"{_DISKS}/Update": Verb(shared.begin_update, self._grow, shared.undo_change),
            f"{_DISKS}/Delete": Verb(
                self._begin_disk_delete, of_machine(Machines.remove, shared.finish_delete), shared.undo_change
            ),
            f"{_IMAGES}/GetLatestByFamily": self._latest,
            f"{_SCHEDULES}/Create": Verb(self._create_schedule, shared.finish, shared.undo_create),
            f"{_SCHEDULES}/UpdateDisks": Verb(self._update_disks, self._scheduled),
            f"{_SCHEDULES}/ListDisks": self._list_disks,
        }

    def resume(self) -> None:
        """Machines that should run do; they get tokens again, of this endpoint."""
        if self._machines:
            for row in self.running(INSTANCE):
                self._machines.up(row)

    def shutdown(self) -> None:
        if self._machines:
            self._machines.close()

    def _of_machine(self, act: Act, finish: Finish) -> Finish:
        return on_host(self._machines, lambda machines, work: act(machines, self.resources.current(work)), finish)

    def _told(self, finish: Finish, reboot: bool = False) -> Finish:
        """The end of a verb, after which a machine that runs is told what the API says of it now."""

        def ending(work: Work) -> Message:
            answer = finish(work)
            row = self.store.get(INSTANCE, work.resource)
            if self._machines and status_of(row.message) == "RUNNING":
                (self._machines.restart if reboot else self._machines.up)(row)
            return answer

        return ending

    def _rebooted(self, finish: Finish) -> Finish:
        """As `_told`; a machine here has its disks from its boot on."""
        return self._told(finish, reboot=True)

    def _grow(self, work: Work) -> Message:
        answer = self.resources.finish_update(work)
        if self._machines:
            self._machines.grow(self.store.get(DISK, work.resource))
        return answer

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_INSTANCES}/Create": lambda call: checks.check_instance(self.store, call.request),
            f"{_DISKS}/Create": lambda call: checks.check_new_disk(self.store, call.request),
            f"{_DISKS}/Update": lambda call: checks.check_disk_change(self.store, call.request),
            f"{_SCHEDULES}/Create": lambda call: checks.check_schedule(self.store, call.request.disk_ids),
            f"{_SCHEDULES}/UpdateDisks": lambda call: checks.check_schedule(self.store, call.request.add),
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
        for interface in message.network_interfaces:
            self._give_addresses(row, interface)
        complete(message)
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
        # Another network may have the same range: an address is its subnet's.
        beside = [i for each in others for i in each.message.network_interfaces if i.subnet_id == subnet.key]
        taken = {i.primary_v4_address.address for i in beside}
        address, possible = interface.primary_v4_address, addresses(subnet.message)
        if address.address in taken:
            raise errors.internal_address_used(subnet, address.address)
        if address.address and address.address not in set(possible):
            raise errors.no_address_of(subnet, address.address)
        address.address = address.address or next((each for each in possible if each not in taken), "")
        if not address.address:
            raise errors.subnet_full(subnet)
        if address.HasField("one_to_one_nat"):
            self._give_public(address.one_to_one_nat, address.one_to_one_nat.address, row)

    def _give_public(self, nat: Any, wanted: str, row: Row) -> None:
        nat.address, nat.ip_version = self._public(wanted, row), instance_pb2.IPV4

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
        row = self.store.find(work.resource)
        if row is not None and self._machines:
            self._machines.down(row)
        with self.store.transaction():
            if row is not None:
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

    def _create_disk(self, call: Call) -> Begun:
        row = self.resources.create(call)
        row.message.type_id = row.message.type_id or DEFAULT_DISK
        row.message.block_size = row.message.block_size or 4096
        name_source(row.message, call.request)
        self.store.save(row)
        return Begun(row)

    def _latest(self, call: Call) -> Message:
        """The image is kept from now on, so that it is found by its id."""
        if call.request.folder_id != PUBLIC_IMAGES or call.request.family not in FAMILIES:
            raise errors.image_not_found(call.request.family)
        image = public_image(call.request.family)
        row = self.store.find(image.id) or self.store.insert(image, image.id, PUBLIC_IMAGES, {})
        message: Message = row.message
        return message

    def _get(self, call: Call) -> Message:
        """Without its metadata, where secrets may be, unless the whole is asked for."""
        message: Message = self.resources.named(call).message
        if call.request.view != instance_service_pb2.FULL:
            message.ClearField("metadata")
        return message

    # ---------------------------------------------------------------------------- schedules of snapshots
    def _create_schedule(self, call: Call) -> Begun:
        row = self.resources.create(call)
        if not row.message.schedule_policy.HasField("start_at"):
            row.message.schedule_policy.start_at.CopyFrom(row.message.created_at)
        self.store.save(row)
        for disk in call.request.disk_ids:
            self.store.link(row.key, disk)
        return Begun(row)

    def _update_disks(self, call: Call) -> Begun:
        row = self.resources.named(call)
        for disk in call.request.remove:
            self.store.unlink(row.key, disk)
        for disk in call.request.add:
            self.store.link(row.key, disk)
        return Begun(row)

    def _scheduled(self, work: Work) -> Message:
        message: Message = self.resources.current(work).message
        return message

    def _list_disks(self, call: Call) -> Message:
        disks = sorted(self.store.linked(self.resources.named(call).key), key=lambda row: row.number)
        page, token = paged(call.request, disks, lambda row: row.number)
        listed = [row.message for row in page]
        return snapshot_schedule_service_pb2.ListSnapshotScheduleDisksResponse(disks=listed, next_page_token=token)

    # ---------------------------------------------------------------------------- of a machine
    def _update_metadata(self, call: Call) -> Begun:
        row = self.store.get(INSTANCE, call.request.instance_id)
        for name in call.request.delete:
            row.message.metadata.pop(name, None)
        row.message.metadata.update(call.request.upsert)
        self.store.save(row)
        return Begun(row)

    def _update_interface(self, call: Call) -> Begun:
        """Another subnet or another address of one's own is for a machine that is stopped."""
        row, request = self.store.get(INSTANCE, call.request.instance_id), call.request
        interface, paths = self._interface(row, request.network_interface_index), list(request.update_mask.paths)
        at_rest = [path for path in paths if path in ("subnet_id", "primary_v4_address_spec")]
        if at_rest and status_of(row.message) != "STOPPED":
            raise errors.not_stopped(row, at_rest, status_of(row.message))
        if at_rest and self._machines:
            raise errors.address_stays(row)
        if "subnet_id" in paths:
            interface.subnet_id = request.subnet_id
        if at_rest:
            self._mark(self._address(interface.primary_v4_address.one_to_one_nat.address), False)
            interface.ClearField("primary_v4_address")
            schema.merge(request.primary_v4_address_spec, interface.primary_v4_address)
            self._give_addresses(row, interface)
        if "security_group_ids" in paths:
            for group in request.security_group_ids:
                self.store.get(SECURITY_GROUP, group)
            interface.security_group_ids[:] = request.security_group_ids
        self.store.save(row)
        return Begun(row)

    def _answer(self, work: Work) -> Message:
        message: Message = self.store.get(INSTANCE, work.resource).message
        return message

    def _add_nat(self, call: Call) -> Begun:
        row = self.store.get(INSTANCE, call.request.instance_id)
        interface = self._interface(row, call.request.network_interface_index)
        if interface.primary_v4_address.HasField("one_to_one_nat"):
            raise errors.nat_there(row, interface.index)
        wanted = call.request.one_to_one_nat_spec.address
        self._give_public(interface.primary_v4_address.one_to_one_nat, wanted, row)
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
        name_attached(disk)
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
