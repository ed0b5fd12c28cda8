"""Runs a program of this host in a lab: in its network, and with its names in place of /etc/hosts.

    python3 -m local_cloud.machines.inside LAB COMMAND …

This process stays outside until the program ends: a program that is to make machines enters its parent's namespaces.
"""

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

from local_cloud.machines import host
from local_cloud.machines.lab import Lab

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def enter(lab: Lab) -> None:
    """Takes this process into the lab; mounts that it makes are its own."""
    libc = ctypes.CDLL(None, use_errno=True)

    def succeed(status: int, what: str) -> None:
        if status:
            raise OSError(ctypes.get_errno(), f"cannot enter the lab {lab.name}: {what}")

    namespace = os.open(f"/run/netns/{lab.namespace}", os.O_RDONLY)
    succeed(libc.setns(namespace, host.CLONE_NEWNET), "its network")
    os.close(namespace)
    succeed(libc.unshare(CLONE_NEWNS), "mounts of its own")
    succeed(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    succeed(libc.mount(os.fsencode(lab.folder / "hosts"), b"/etc/hosts", None, MS_BIND, None), "its names")


def main() -> int:
    """The program's exit status; signals are passed on, and Ctrl-C reaches it by itself."""
    lab = Lab(sys.argv[1])
    program = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: enter(lab))

    def pass_on(number: int, _: FrameType | None) -> None:
        program.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = program.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
