"""What Compute refuses, besides configurations of hardware (`core/hardware.py`) and quotas."""

from local_cloud.core.errors import ApiError, invalid, not_found, precondition
from local_cloud.core.resources import Row


def metadata_too_large(size: int, most: int) -> ApiError:
    return invalid(f"metadata: has {size} bytes in all, expected at most {most}")


def wrong_zone(name: str, row: Row, actual: str, expected: str) -> ApiError:
    return invalid(f"{name}: {row.kind} {row.key!r} is in zone {actual!r}, the instance in {expected!r}")


def disk_attached(row: Row, machines: object) -> ApiError:
    return precondition(f"Disk {row.key!r} is attached to {machines}; detach it or delete that instance first")


def disk_shrinks(row: Row, size: int) -> ApiError:
    return invalid(
        f"size: {size >> 30} GB is less than the {row.message.size >> 30} GB that disk {row.key!r} has; "
        "a disk can only be enlarged"
    )


def not_stopped(row: Row, fields: object, status: str) -> ApiError:
    return precondition(f"Instance {row.key!r} is {status}; it must be STOPPED to change {fields}")


def address_unknown(value: str) -> ApiError:
    return invalid(f"one_to_one_nat_spec.address: {value!r} is not reserved in this cloud")


def address_used(row: Row, value: str) -> ApiError:
    return precondition(f"one_to_one_nat_spec.address: {value!r} (address {row.key!r}) is in use already")


def no_interface(row: Row, index: str) -> ApiError:
    return invalid(f"network_interface_index: Instance {row.key!r} has no interface {index!r}")


def nat_there(row: Row, index: str) -> ApiError:
    return precondition(f"Interface {index} of instance {row.key!r} has one-to-one NAT already")


def no_nat(row: Row, index: str) -> ApiError:
    return precondition(f"Interface {index} of instance {row.key!r} has no one-to-one NAT")


def no_disk(row: Row, disk: str) -> ApiError:
    return invalid(f"Instance {row.key!r} has no secondary disk {disk!r}")


def image_not_found(family: str) -> ApiError:
    return not_found("Image of family", family)


def smaller_than_image(size: int, image: Row) -> ApiError:
    least = image.message.min_disk_size >> 30
    return invalid(f"size: {size / (1 << 30):g} GB is less than image {image.name!r} asks for: {least} GB")


def no_address_of(subnet: Row, value: str) -> ApiError:
    return invalid(f"primary_v4_address_spec.address: {value!r} is no address of a machine in subnet {subnet.key!r}")


def internal_address_used(subnet: Row, value: str) -> ApiError:
    return precondition(f"primary_v4_address_spec.address: {value!r} is in use already in subnet {subnet.key!r}")


def subnet_full(row: Row) -> ApiError:
    return precondition(f"Address space exhausted: subnet {row.key!r} has no free address")


def no_machine_of(family: str) -> ApiError:
    return precondition(
        f"This host boots machines of debian-12 and debian-13; the boot disk is of {family or 'no image'!r}"
    )


def address_stays(row: Row) -> ApiError:
    return precondition(f"Instance {row.key!r} is a machine of this host, whose address and subnet stay as they are")
