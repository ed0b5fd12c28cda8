"""A lab: a network namespace with a bridge and the proxy; its machines hang on the bridge and nothing else does."""

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_cloud.machines import host

NETWORK, GATEWAY, PROXY_PORT = "10.231.7", "10.231.7.1", 3128
METADATA = "169.254.169.254"
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise host.MachineError(f"{name!r} is no name; expected is {NAME.pattern}")
    return name


@dataclass(frozen=True)
class Lab:
    """Several labs live side by side: each has the same addresses in a namespace of its own."""

    name: str

    @property
    def folder(self) -> Path:
        return host.STATE / "labs" / checked(self.name)

    @property
    def namespace(self) -> str:
        return f"fraud-{self.name}"

    @property
    def group(self) -> Path:
        return host.cgroup(self.name)

    @property
    def key(self) -> Path:
        """The private key that its machines' first user answers to."""
        return self.folder / "id_ed25519"

    def ensure(self) -> None:
        """Makes what is missing: folder, key, namespace, bridge, proxy."""
        (self.folder / "machines").mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "hosts").touch()
        if not self.key.exists():
            host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.namespace, "-f", self.key)
        if not Path("/run/netns", self.namespace).exists():
            host.run("ip", "netns", "add", self.namespace)
            for step in (
                "link set lo up",
                # Guests find the cloud's metadata service at this address; whoever serves it listens here.
                f"addr add {METADATA}/32 dev lo",
                "link add br0 type bridge",
                f"addr add {GATEWAY}/24 dev br0",
                "link set br0 up",
                # A program finds its own address by the route to a far one (XGBoost asks for 10.255.255.255's). The
                # bridge leads to none of them.
                "route add 10.0.0.0/8 dev br0",
            ):
                self.ip(step)
        if not host.alive(self.group / "proxy"):
            allowed = ",".join(host.allowed_hosts())
            command = (sys.executable, "-m", "local_cloud.machines.proxy", self.namespace, GATEWAY, str(PROXY_PORT))
            host.spawn(self.group / "proxy", self.log("proxy"), *command, allowed)

    @property
    def connections(self) -> Path:
        """Where Ansible keeps its ssh connections to the lab's machines, found by address."""
        return self.folder / "connections"

    def forget_connections(self) -> None:
        """A kept connection outlives its machine: whoever boots at that address next would be unreachable by it."""
        for kept in self.connections.glob("*"):
            kept.unlink(missing_ok=True)

    def names(self) -> list[tuple[str, str]]:
        """(address, name) of what is known in the lab besides its machines."""
        files = sorted((self.folder / "names").glob("*.json"))
        return [(address, name) for file in files for name, address in json.loads(file.read_text()).items()]

    def know(self, whose: str, names: Mapping[str, str]) -> None:
        """Takes these names (name -> address) for those that `whose` had; whoever calls it introduces them."""
        (self.folder / "names").mkdir(exist_ok=True)
        (self.folder / "names" / f"{checked(whose)}.json").write_text(json.dumps(names))

    def have(self, address: str) -> None:
        """One more address of the lab's own, for what is served in it."""
        if address not in host.run("ip", "-n", self.namespace, "-o", "addr", "show", "dev", "br0"):
            self.ip(f"addr add {address}/24 dev br0")

    def publish(self, addresses: Mapping[str, str]) -> None:
        """Public address -> own address: as by the cloud's NAT, who is in the lab gets by the former to the machine."""
        rules = "".join(f"    ip daddr {public} dnat to {own}\n" for public, own in addresses.items())
        file = self.folder / "public.nft"
        if not addresses and not file.exists():
            return
        file.write_text(
            "table ip public\ndelete table ip public\ntable ip public {\n  chain out {\n"
            f"    type nat hook output priority -100\n{rules}  }}\n}}\n"
        )
        host.run("ip", "netns", "exec", self.namespace, "nft", "-f", file)
        for public in addresses:
            self.ip(f"route replace {public}/32 dev br0")  # a connection needs a route before any rule sees it

    def ip(self, command: str) -> None:
        host.run("ip", "-n", self.namespace, *command.split())

    def serve(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Starts a command in the lab, with its network and its names, unless it runs; it ends with the lab.

        Args:
            environment: the command's whole environment; this process's without it.
        """
        group = self.group / f"service-{checked(name)}"
        if not host.alive(group):
            inside = (sys.executable, "-m", "local_cloud.machines.inside", self.name)
            host.spawn(group, self.log(name), *inside, *command, environment=environment)

    def end(self, name: str) -> None:
        """Ends what `serve` has started under that name, with all that it started."""
        host.end(self.group / f"service-{checked(name)}", 10)

    def serves(self, name: str) -> bool:
        """Whether what `serve` has started under that name runs."""
        return host.alive(self.group / f"service-{checked(name)}")

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def serve_metadata(self) -> None:
        """The cloud's metadata service, for machines that the cloud's API describes.

        Raises:
            MachineError: somebody else is at its address already.
        """
        group = self.group / "service-metadata"
        log = self.log("metadata")
        if not host.alive(group):
            host.spawn(group, log, sys.executable, "-m", "local_cloud.machines.metadata", self.name)
        if not host.wait_until(lambda: self.answers(METADATA, 80) or not host.alive(group), 30) or not host.alive(
            group
        ):
            raise host.MachineError(f"no metadata service at {METADATA}:80 of lab {self.name!r}; {log} says why")

    def answers(self, address: str, port: int) -> bool:
        """Whether somebody listens there, in the lab's network."""
        with host.network(self.namespace), socket.socket() as attempt:
            return attempt.connect_ex((address, port)) == 0

    def enter(self, command: list[str]) -> None:
        """Becomes that command, inside the lab's network: outside of every machine, where an attacker stands."""
        os.execvp("nsenter", ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *command])

    def remove(self) -> None:
        """Ends the proxy and every service, removes the network with whoever is in it; machines must be down."""
        host.end(self.group)
        if Path("/run/netns", self.namespace).exists():
            for process in host.run("ip", "netns", "pids", self.namespace).split():
                host.kill(int(process))  # such as a connection that ssh keeps
            host.run("ip", "netns", "del", self.namespace)

    def forget(self) -> None:
        """Removes what is left of a lab that was removed: its key, its logs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        host.lock_file(f"lab-{self.name}").unlink(missing_ok=True)
