"""Ports of loopback for what starts in a moment."""

import itertools
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")  # what the kernel gives to whoever asks for any port
_BELOW = 8192  # ports


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, below those that the kernel gives away: there any connection may take one meanwhile.

    Raises:
        OSError: there are not so many.
    """
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 49152
    ports = range(max(1024, first - _BELOW), first)
    found = list(itertools.islice(filter(is_free, random.sample(ports, len(ports))), count))
    if len(found) < count:
        raise OSError(f"{len(found)} ports of 127.0.0.1 are free from {ports.start} to {first - 1}, {count} are needed")
    return found


def is_free(port: int) -> bool:
    """Whether a port of 127.0.0.1 can be had now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
