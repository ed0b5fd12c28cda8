"""How ssh gets to MLflow's machine, and whether it will: asked before anything is made, for the machines cost money."""

import ipaddress
import re
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.cloud.deployment import Deployment
from stack.cloud.settings import read_expressions
from stack.common.errors import StackError

SECONDS = 10  # for a connection
NOBODYS = 1  # a port at which nobody listens
MACHINE = (
    "cidrhost(var.network.subnets[var.zone], 10)"  # MLflow's internal address; terraform/machines.tf says the same
)
JUMP = "jump"  # the jump host's name in ssh's configuration


@dataclass(frozen=True)
class JumpHost:
    """A machine that reaches the network: `[user@]host[:port]`, as in ssh's ProxyJump."""

    host: str
    user: str | None
    port: str | None

    @classmethod
    def parse(cls, text: str) -> "JumpHost":
        found = re.fullmatch(r"(?:([^@\s]+)@)?([^@:\s]+|\[[0-9a-fA-F:]+\])(?::(\d+))?", text)
        if not found:
            raise StackError(
                f'ssh.jump_host is "{text}": [user@]host[:port] is expected, such as "ops@bastion.example.com:2222".'
            )
        return cls(found[2].strip("[]"), found[1], found[3])

    def lines(self) -> list[str]:
        """Its part of an ssh configuration."""
        more = [f"  User {self.user}"] * bool(self.user) + [f"  Port {self.port}"] * bool(self.port)
        return [f"Host {JUMP}", f"  HostName {self.host}", *more]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class WayIn:
    """What the settings say of it. `address` is MLflow's internal one; `key` the operator's, None with OS Login."""

    public: bool
    address: str
    operators: list[str]
    subnets: list[str]
    jump_host: JumpHost | None
    neighbour: str | None
    key: str | None


def read_way_in(deployment: Deployment) -> WayIn:
    found: dict[str, Any] = read_expressions(
        deployment,
        public="var.mlflow.public",
        address=MACHINE,
        operators="var.operator_cidrs",
        subnets="values(var.network.subnets)",
        jump_host="var.ssh.jump_host",
        neighbour="var.ssh.neighbour",
        key="var.ssh.os_login ? null : var.ssh.public_key_file",
    )
    jump, key = found["jump_host"], found["key"]
    return WayIn(
        **found
        | {
            "jump_host": JumpHost.parse(jump) if jump else None,
            "key": key.removesuffix(".pub") if key else None,
        }
    )


def require_way_in(deployment: Deployment) -> str:
    """Whether this computer will reach the machines; says how.

    Raises:
        StackError: it will not, or what was declared does not answer.
    """
    way = read_way_in(deployment)
    if way.public:
        return f"MLflow's machine has a public address, and ssh is open for {', '.join(way.operators)}"
    if way.jump_host:
        require_operators_inside(way, f"the jump host {way.jump_host}")
        return ask_jump_host(deployment, way, way.jump_host)
    if way.neighbour:
        require_operators_inside(way, "this computer, as it comes out of the VPN,")
        return ask_neighbour(way.neighbour)
    if answers(way.address, 22):  # a deployment from inside that was made before
        return f"MLflow's machine answers at {way.address}"
    raise StackError(
        f"mlflow.public is false, and this computer does not reach {way.address}, where MLflow's machine will be: all "
        "would be made and paid for, and then be out of reach. Say in terraform.tfvars how ssh gets there, one of: "
        'mlflow = { public = true }, ssh from operator_cidrs only; ssh = { jump_host = "user@host" }, a machine that '
        'reaches the network; ssh = { neighbour = "10.130.2.5:22" }, an address in the network that answers this '
        "computer, which is in the VPN or a machine of the network. If the network is to be there first: "
        "`make bootstrap ONLY=network`."
    )


def require_operators_inside(way: WayIn, who: str) -> None:
    """The machine's firewall asks from where ssh comes: inside, that is an address of the network or of a VPN.

    Raises:
        StackError: operator_cidrs has public addresses only.
    """
    if not any(not ipaddress.ip_network(cidr, strict=False).is_global for cidr in way.operators):
        raise StackError(
            f"operator_cidrs is {', '.join(way.operators)}, public addresses only: the machine's firewall would refuse "
            f"ssh, for {who} comes from inside. Add its internal address, or the network's {', '.join(way.subnets)}."
        )


def ask_jump_host(deployment: Deployment, way: WayIn, jump: JumpHost) -> str:
    """Logs in to the jump host and asks it for a way to the machine, which need not be there yet.

    Raises:
        StackError: it does not let us in, or forbids to go on from there.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "ssh_config")
        config.write_text("\n".join([*jump.lines(), *common_lines(deployment, way)]) + "\n")
        options = ["-F", str(config), "-v", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={SECONDS}"]
        try:
            done = subprocess.run(
                ["ssh", *options, "-W", f"{way.address}:22", JUMP],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=2 * SECONDS,
            )
            said = done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired as problem:  # it looks for a machine that is not there yet
            said = (problem.stderr or b"").decode(errors="replace")
    if "Authenticated to" not in said:
        lines = [line for line in said.splitlines() if line and not line.startswith(("debug", "OpenSSH_"))]
        why = " ".join(lines[-2:]).rstrip(".") or "it does not answer"
        raise StackError(
            f"The jump host {jump} does not let this computer in: {why}. Try "
            f"`ssh {f'-p {jump.port} ' if jump.port else ''}{f'{jump.user}@' if jump.user else ''}{jump.host}` until "
            "it asks nothing (a key in the agent), or correct ssh.jump_host in terraform.tfvars."
        )
    if "administratively prohibited" in said:
        raise StackError(
            f"The jump host {jump} lets this computer in and forbids to go on to {way.address}:22. Its sshd needs "
            "AllowTcpForwarding yes, and if it has PermitOpen, that address in it."
        )
    return f"by the jump host {jump}, which lets this computer in and on"


def ask_neighbour(text: str) -> str:
    """Raises StackError unless that private address answers."""
    host, _, port = text.rpartition(":")
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = False
    if not private or not port.isdigit():
        raise StackError(
            f'ssh.neighbour is "{text}": an address of the network with a port is expected, such as "10.130.2.5:22".'
        )
    if not answers(host, int(port)):
        raise StackError(
            f"ssh.neighbour {text} does not answer within {SECONDS} s: this computer is not in the network. Switch the "
            "VPN on, or name another address in terraform.tfvars that answers there."
        )
    return f"from inside: {text} answers this computer"


def answers(host: str, port: int) -> bool:
    """Whether that very address takes a TCP connection there.

    Some networks take every connection, for whomever it is, and look at it: then only ssh's greeting is a proof.
    """
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            if not takes(host, NOBODYS):
                return True
            connection.settimeout(SECONDS / 2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def takes(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=SECONDS / 2).close()
    except OSError:
        return False
    return True


def common_lines(deployment: Deployment, way: WayIn) -> list[str]:
    """What holds for every connection of ours."""
    key = Path(way.key).expanduser() if way.key else None
    return [
        "Host *",
        *([f'  IdentityFile "{key}"'] if key else []),
        f'  UserKnownHostsFile "{deployment.folder / "known_hosts"}"',
        "  StrictHostKeyChecking accept-new",  # the first connection trusts; a changed key is refused
        "  PasswordAuthentication no",
        "  ServerAliveInterval 15",
    ]
