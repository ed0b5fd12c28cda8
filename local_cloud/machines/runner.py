"""Keeps one machine booted: systemd-nspawn ends with status 133 when its guest asks for a reboot.

python -m local_cloud.machines.runner systemd-nspawn …
"""

import os
import signal
import subprocess
import sys

REBOOT = 133


def main() -> int:
    environment = {
        **os.environ,
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # a guest may set net.* sysctls: its network is its own
    }
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        guest.terminate()  # systemd-nspawn passes it on as an orderly shutdown

    while True:
        guest = subprocess.Popen(sys.argv[1:], env=environment)
        signal.signal(signal.SIGTERM, end)
        status = guest.wait()
        print(f"systemd-nspawn ended with status {status}", flush=True)
        if status != REBOOT or ending:
            return status


if __name__ == "__main__":
    sys.exit(main())
