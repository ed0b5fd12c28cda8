"""One machine: an overlay over the base, a network namespace with `host0`, and systemd-nspawn that boots it."""

import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from local_cloud.machines import base, host
from local_cloud.machines.disks import Disk
from local_cloud.machines.lab import GATEWAY, NETWORK, Lab, checked

BOOT_SECONDS = 60
CLOUD_INIT_SECONDS = 900
STOP_SECONDS = 30
ADDRESSES = range(11, 250)
# What no two machines should share; a timer that has run would catch up at the next machine's first boot.
PERSONAL = (
    "etc/ssh/ssh_host_*",
    "etc/sudoers.d/90-first-user",
    "root/.ansible",
    "tmp/*",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers/*",
    "var/log/journal/*",
)


@dataclass(frozen=True)
class Record:
    """What a machine was made with; kept beside its disk."""

    name: str
    address: str
    debian: str
    base: str
    user: str
    binds: list[str]
    layer: str = ""  # directory of what is installed already, over the base
    disks: list[str] = field(default_factory=list)  # those beside its own: NAME, or NAME,KEY
    identity: str | None = None  # where the endpoint gives it tokens: HOST:PORT, or NAMESPACE:HOST:PORT


@dataclass(frozen=True)
class Request:
    """What a machine is to be; what its first user is called, and the public key that user answers to."""

    authorized_key: str
    debian: str = base.DEFAULT
    address: str | None = None  # the next free one
    user: str = "deploy"
    binds: tuple[str, ...] = ()  # HOST-PATH:GUEST-PATH
    layer: str = ""
    disks: tuple[tuple[str, str], ...] = ()  # NAME or NAME,KEY, and the size of those not there yet: 512M, 2G
    instance: str | None = None  # the API's description, as JSON: cloud-init makes of the machine what it says
    identity: str | None = None
    authority: str | None = None  # a certificate (PEM) that it trusts besides Debian's
    wait: bool = True  # until cloud-init has ended and ssh answers


@dataclass(frozen=True)
class Machine:
    lab: Lab
    name: str

    @property
    def folder(self) -> Path:
        return self.lab.folder / "machines" / checked(self.name)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def namespace(self) -> str:
        return f"{self.lab.namespace}-{self.name}"

    @property
    def group(self) -> Path:
        return host.cgroup(f"{self.lab.name}-{self.name}")

    @property
    def exists(self) -> bool:
        return (self.folder / "machine.json").exists()

    @property
    def running(self) -> bool:
        return host.alive(self.group)

    @property
    def record(self) -> Record:
        if not self.exists:
            known = ", ".join(machine.name for machine in machines(self.lab)) or "none"
            raise host.MachineError(
                f"no machine {self.name!r} in lab {self.lab.name!r} (there are: {known}); make it: up {self.name}"
            )
        return Record(**json.loads((self.folder / "machine.json").read_text()))

    @property
    def instance(self) -> dict[str, Any] | None:
        """What the cloud's API says of it, and so its metadata service; None for one that no API knows."""
        file = self.folder / "instance.json"
        return dict(json.loads(file.read_text())) if file.exists() else None

    @property
    def public_address(self) -> str:
        """The one that the cloud's API has given to it, or nothing."""
        (interface, *_) = (self.instance or {}).get("network_interfaces") or [{}]
        return str(interface.get("primary_v4_address", {}).get("one_to_one_nat", {}).get("address", ""))

    @property
    def result(self) -> Path:
        """Where cloud-init says how it ended."""
        return self.root / "var/lib/cloud/data/result.json"

    @property
    def veth(self) -> str:
        return f"v{self.record.address.rpartition('.')[2]}"

    def up(self, wanted: Request) -> None:
        """Makes the machine unless it exists, boots it unless it runs, and returns when ssh answers."""
        begun = time.monotonic()
        checked(self.name)  # before anything is made
        image = Path(self.record.base) if self.exists else base.ensure(wanted.debian, wanted.instance is not None)
        with host.exclusive(f"lab-{self.lab.name}"):
            self.lab.ensure()
            if not self.exists:
                self.folder.mkdir(parents=True, exist_ok=True)
                address = wanted.address or free_address(self.lab)
                self.make_disks(wanted)
                made = Record(
                    self.name,
                    address,
                    wanted.debian,
                    str(image),
                    wanted.user,
                    list(wanted.binds),
                    wanted.layer,
                    [name for name, _ in wanted.disks],
                    wanted.identity,
                )
                self.mount(made)
                if wanted.instance is None:
                    self.personalise(made, wanted.authorized_key)
                else:
                    self.describe(wanted.instance, address)
                if wanted.authority:
                    self.trust(wanted.authority)
                self.save(made)
                introduce(self.lab)
            elif wanted.instance is not None:
                self.revise(wanted, wanted.instance)
                introduce(self.lab)
            if not self.running:
                self.lab.forget_connections()
                self.mount(self.record)
                self.connect()
                if self.instance:
                    self.lab.serve_metadata()
                    self.result.unlink(missing_ok=True)
                self.boot()
            write_ssh_config(self.lab)
        if not wanted.wait:
            return
        if self.instance:
            self.await_cloud_init()
        if not host.wait_until(self.answers, BOOT_SECONDS):
            console = "\n".join((self.folder / "console.log").read_text(errors="replace").splitlines()[-15:])
            raise host.MachineError(
                f"{self.name} does not answer ssh after {BOOT_SECONDS} s; its console ends with:\n{console}"
            )
        print(f"{self.name}: Debian {self.record.debian}, {self.record.address}, {time.monotonic() - begun:.1f} s")

    def save(self, record: Record) -> None:
        draft = self.folder / "machine.json.new"  # the metadata service reads it at any time
        draft.write_text(json.dumps(asdict(record), indent=2) + "\n")
        draft.replace(self.folder / "machine.json")

    def make_disks(self, wanted: Request) -> None:
        for told, size in wanted.disks:
            disk = Disk.of(self.lab, self.name, told)
            if not disk.file.exists():
                disk.size_to(size)

    def revise(self, wanted: Request, instance: str) -> None:
        """Notes what the API says of it now; disks come and go with the next boot."""
        self.make_disks(wanted)
        self.describe(instance, self.record.address)
        self.save(replace(self.record, disks=[name for name, _ in wanted.disks], identity=wanted.identity))

    def trust(self, authority: str) -> None:
        (self.root / "usr/local/share/ca-certificates/lab.crt").write_text(authority)
        host.run("chroot", self.root, "update-ca-certificates")

    def describe(self, instance: str, address: str) -> None:
        """Notes what its metadata service is to say; at its first boot all else comes from there."""
        told = json.loads(instance)
        told["network_interfaces"][0]["primary_v4_address"]["address"] = address  # the lab's network is not the cloud's
        draft = self.folder / "instance.json.new"
        draft.write_text(json.dumps(told))
        draft.replace(self.folder / "instance.json")

    def await_cloud_init(self) -> None:
        """Raises MachineError if cloud-init does not end, or ends so that nobody can log in."""
        if not host.wait_until(self.result.exists, CLOUD_INIT_SECONDS):
            raise host.MachineError(f"cloud-init of {self.name} has not ended after {CLOUD_INIT_SECONDS} s")
        write_ssh_config(self.lab)  # it makes host keys of its own
        if not self.answers() and not self.answers():
            told = json.loads(self.result.read_text())["v1"]
            raise host.MachineError(
                f"{self.record.user} cannot log in to {self.name}: cloud-init has read {told['datasource']} and says "
                f"{told['errors'] or 'nothing'}; its log is {self.root}/var/log/cloud-init.log"
            )

    def stop(self, now: bool = False) -> None:
        """Shuts it down in order, or cuts the power; the disks stay and `up` boots it again."""
        host.end(self.group, 0 if now else STOP_SECONDS)
        self.detach_disks()

    def detach_disks(self) -> None:
        for told in self.record.disks:
            Disk.of(self.lab, self.name, told).detach()

    def down(self) -> None:
        """Removes the machine and its own disk; others stay, for the next machine of that name."""
        with host.exclusive(f"lab-{self.lab.name}"):
            host.end(self.group)
            if self.exists:
                self.detach_disks()
            if Path("/run/netns", self.namespace).exists():
                # Its end of the cable first, and with it the bridge's: a deleted namespace is emptied some time later.
                host.run("ip", "-n", self.namespace, "link", "del", "host0", check=False)
                host.run("ip", "netns", "del", self.namespace)
            self.unmount()
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.lab.folder.exists():
                introduce(self.lab)
                write_ssh_config(self.lab)

    def answers(self) -> bool:
        command = ["ssh", "-F", str(self.lab.folder / "ssh_config"), "-o", "ConnectTimeout=2", self.name, "true"]
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0

    def mount(self, record: Record) -> None:
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if not self.root.is_mount():
            lower = ":".join(filter(None, (record.layer, record.base)))
            options = f"lowerdir={lower},upperdir={self.folder}/upper,workdir={self.folder}/work"
            host.run("mount", "-t", "overlay", self.namespace, "-o", options, self.root)

    def unmount(self) -> None:
        if self.root.is_mount():
            host.run("umount", "--lazy", self.root)

    def personalise(self, record: Record, authorized_key: str) -> None:
        """What a cloud does at the first boot: host name, host keys, and one user with sudo and a key."""
        (self.root / "etc/hostname").write_text(record.name + "\n")
        host.run("ssh-keygen", "-A", "-f", self.root)
        host.run("chroot", self.root, "useradd", "--create-home", "--shell", "/bin/bash", record.user)
        sudoers = self.root / "etc/sudoers.d/90-first-user"
        sudoers.write_text(
            f'{record.user} ALL=(ALL) NOPASSWD:ALL\nDefaults env_keep += "http_proxy https_proxy no_proxy"\n'
        )
        sudoers.chmod(0o440)
        keys = self.root / "home" / record.user / ".ssh" / "authorized_keys"
        keys.parent.mkdir(mode=0o700)
        keys.write_text(authorized_key.strip() + "\n")
        keys.chmod(0o600)
        owner = f"{record.user}:{record.user}"
        host.run("chroot", self.root, "chown", "-R", owner, f"/home/{record.user}/.ssh")

    def forget(self) -> None:
        """Takes back from its disk what made it this machine: the first user, host keys, identity, logs, timers."""
        self.mount(self.record)
        host.run("chroot", self.root, "userdel", "--remove", "--force", self.record.user)
        for pattern in PERSONAL:
            for path in self.root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (self.root / "etc/machine-id").write_text("")

    def connect(self) -> None:
        if Path("/run/netns", self.namespace).exists():
            return
        host.run("ip", "netns", "add", self.namespace)
        self.lab.ip(f"link add {self.veth} type veth peer name host0 netns {self.namespace}")
        self.lab.ip(f"link set {self.veth} master br0 up")
        inside = ("ip", "-n", self.namespace)
        host.run(*inside, "link", "set", "lo", "up")
        host.run(*inside, "addr", "add", f"{self.record.address}/24", "dev", "host0")
        host.run(*inside, "link", "set", "host0", "up")
        host.run(*inside, "route", "add", "default", "via", GATEWAY)

    def boot(self) -> None:
        found = [Disk.of(self.lab, self.name, told) for told in self.record.disks]
        disks = {disk.name: disk.attach() for disk in found}
        command = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--machine={self.namespace}",
            f"--hostname={self.name}",
            f"--network-namespace-path=/run/netns/{self.namespace}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=read-only",
            "--capability=CAP_NET_ADMIN,CAP_AUDIT_CONTROL,CAP_AUDIT_WRITE",
            *(f"--bind={bind}" for bind in self.record.binds),
            *(f"--bind={device}:/dev/disk/by-id/virtio-{name}" for name, device in disks.items()),
        ]
        host.spawn(
            self.group, self.folder / "console.log", sys.executable, "-m", "local_cloud.machines.runner", *command
        )


def machines(lab: Lab) -> list[Machine]:
    found = sorted((lab.folder / "machines").glob("*/machine.json"))
    return [Machine(lab, path.parent.name) for path in found]


def free_address(lab: Lab) -> str:
    taken = {machine.record.address for machine in machines(lab)}
    return next(a for a in (f"{NETWORK}.{number}" for number in ADDRESSES) if a not in taken)


def introduce(lab: Lab) -> None:
    """Every machine knows all machines of its lab by name, the lab itself as `lab`, and the lab's other names."""
    known = [(GATEWAY, "lab")] + [(machine.record.address, machine.name) for machine in machines(lab)] + lab.names()
    for machine in machines(lab):
        if machine.root.is_mount():
            fqdn = str((machine.instance or {}).get("fqdn", ""))
            own = " ".join(filter(None, dict.fromkeys((machine.name, fqdn, fqdn.partition(".")[0]))))
            (machine.root / "etc/hosts").write_text(hosts_file(own, known))
    # In place: a program of this host may have it mounted over its own, and asks for its host's name (Java does).
    (lab.folder / "hosts").write_text(hosts_file(f"lab {socket.gethostname()}", known))
    lab.publish({each.public_address: each.record.address for each in machines(lab) if each.public_address})


def hosts_file(own: str, known: list[tuple[str, str]]) -> str:
    lines = ["127.0.0.1 localhost", f"127.0.1.1 {own}", "::1 localhost ip6-localhost ip6-loopback"]
    return "\n".join([*lines, *(f"{address} {name}" for address, name in known if name not in own.split())]) + "\n"


def write_ssh_config(lab: Lab) -> None:
    """`ssh -F <this> NAME` works from the host's own network, and host keys are known before the first log-in."""
    source = Path(__file__).resolve().parents[2]
    relay = shlex.join(["env", f"PYTHONPATH={source}", sys.executable, "-S", "-m", "local_cloud.machines.relay"])
    config, known = [], []
    for machine in machines(lab):
        record = machine.record
        config += [f"Host {machine.name} {record.address}", f"  HostName {record.address}", f"  User {record.user}"]
        for public in sorted((machine.root / "etc/ssh").glob("ssh_host_*_key.pub")):
            known.append(f"{machine.name},{record.address} {' '.join(public.read_text().split()[:2])}")
    config += [
        "Host *",
        f"  IdentityFile {lab.key}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {lab.folder / 'known_hosts'}",
        "  StrictHostKeyChecking yes",
        "  BatchMode yes",
        f"  ProxyCommand {relay} {lab.namespace}:%h:%p",
    ]
    (lab.folder / "ssh_config").write_text("\n".join(config) + "\n")
    (lab.folder / "known_hosts").write_text("\n".join(known) + "\n")
