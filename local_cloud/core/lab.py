"""Machines of this host for what the cloud makes: the command line of `local_cloud.machines`, outside of the lab.

The endpoint may itself run in the lab (`local_cloud.machines.inside`), so that what it starts reaches the machines.
Commands that make namespaces and mounts make them in those of its parent, where whoever removes the lab looks for them.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc

from local_cloud.core.errors import ApiError

_PACKAGES = Path(__file__).resolve().parents[2]


class LabCommand:
    """One lab's commands; each raises INTERNAL with what it said if it fails."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._parent = os.getppid()

    @property
    def _outside(self) -> list[str]:
        return ["nsenter", f"--target={self._parent}", "--mount", "--net", "--"]

    def run(self, *arguments: str, text: str = "", environment: Mapping[str, str] | None = None) -> str:
        """What the command prints; `text` is its standard input, `environment` in place of this process's own."""
        done = subprocess.run(
            [*self._outside, sys.executable, "-m", "local_cloud.machines", f"--lab={self._lab}", *arguments],
            env={**(os.environ if environment is None else environment), "PYTHONPATH": str(_PACKAGES)},
            umask=0o022,  # a machine's root is for all of its users
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise ApiError(grpc.StatusCode.INTERNAL, f"machines {arguments[0]}: {said}")
        return done.stdout

    def endpoint(self, address: str) -> str:
        """An address of this process (HOST:PORT) as commands take it: with the network that it is in."""
        there, outside = (os.stat(f"/proc/{process}/ns/net").st_ino for process in ("self", self._parent))
        return address if there == outside else f"lab:{address}"

    def name(self, whose: str, names: Mapping[str, str]) -> None:
        """Lets the lab know these names (name -> address) in place of those that `whose` had."""
        self.run("names", whose, *(f"{name}={address}" for name, address in names.items()))
