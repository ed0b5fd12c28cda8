"""What this host must have, where things are kept, and how it reaches its package archives."""

import configparser
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STATE = Path(os.environ.get("MACHINES_STATE", "/var/lib/fraud-machines"))
TOOLS = {  # program -> Debian package
    "ip": "iproute2",
    "losetup": "mount",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN, DEBIAN_SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
CLONE_NEWNET = 0x40000000


class MachineError(Exception):
    """What is wrong, what was expected and the command that mends it; printed without a traceback."""


def missing() -> list[str]:
    """What keeps this host from running machines, each with the command that mends it; empty if nothing does."""
    found = []
    if os.geteuid() != 0:
        found.append(f"user id is {os.geteuid()}, needed is 0 (root): sudo {sys.executable} -m local_cloud.machines …")
    packages = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    packages += [] if KEYRING.exists() else ["debian-archive-keyring"]
    if packages:
        found.append(f"missing programs: apt-get install {' '.join(packages)}")
    if not _cgroup2():
        found.append("no cgroup v2 mount in /proc/self/mounts: mount -t cgroup2 none /sys/fs/cgroup/unified")
    if "overlay" not in Path("/proc/filesystems").read_text():
        found.append("the kernel has no overlay file system: modprobe overlay")
    return found


def preflight() -> None:
    if problems := missing():
        raise MachineError("This host cannot run machines:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _cgroup2() -> Path | None:
    """The cgroup v2 mount; on a hybrid host it lies beside the v1 controllers."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(point) for _, point, kind, *_ in mounts if kind == "cgroup2"), None)


def cgroup(name: str) -> Path:
    root = _cgroup2()
    assert root is not None, "preflight() has not been called"
    return root / f"fraud-{name}"


def run(*command: str | Path, check: bool = True) -> str:
    """Runs a command; returns its standard output, raises MachineError with the end of what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if check and done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise MachineError(f"`{' '.join(map(str, command))}` failed with status {done.returncode}:\n{tail}")
    return done.stdout


def lock_file(name: str) -> Path:
    return STATE / f".{name}.lock"


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """One process at a time changes `name` (a lab, a base); the others wait."""
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(lock_file(name), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def network(namespace: str | None) -> Iterator[None]:
    """What this thread creates meanwhile (a socket) belongs to that network namespace, and stays there."""
    if namespace is None:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


# ------------------------------------------------------------------------------------------------ package archives
def debian_mirrors() -> tuple[str, str]:
    """Addresses of Debian's archive and of its security archive: those that this host's apt uses."""
    if not shutil.which("apt-get"):
        return DEBIAN, DEBIAN_SECURITY
    lines = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", check=False).splitlines()
    addresses = sorted({line.split()[1].rstrip("/") for line in lines if line.startswith("Debian ")})
    security = [address for address in addresses if "security" in address]
    main = [address for address in addresses if address not in security]
    return (main or [DEBIAN])[0], (security or [DEBIAN_SECURITY])[0]


def pip_index() -> str | None:
    """The package index that this host's pip is told to use; None: pip's own default."""
    for variable in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        if os.environ.get(variable):
            return os.environ[variable]
    settings = configparser.RawConfigParser()
    settings.read([os.environ.get("PIP_CONFIG_FILE", ""), "/etc/pip.conf", Path.home() / ".config/pip/pip.conf"])
    return settings.get("global", "index-url", fallback=None)


def allowed_hosts() -> list[str]:
    """Hosts that machines may reach through the proxy: MACHINES_ALLOW (comma-separated) or this host's archives."""
    if given := os.environ.get("MACHINES_ALLOW"):
        return sorted({host.strip() for host in given.split(",") if host.strip()})
    index = pip_index()
    addresses = [*debian_mirrors(), *([index] if index else pip_default())]
    return sorted({host for address in addresses if (host := urllib.parse.urlsplit(address).hostname)})


def pip_default() -> list[str]:
    """Addresses of the index that pip takes when it is told nothing, as any pip of this host knows them.

    A fresh Debian has none; the environment that brought uv, beside that of this program, does.
    """
    ask = "from pip._internal.models.index import PyPI as i; print(i.url, 'https://' + i.file_storage_domain)"
    beside = [str(pip.with_name("python")) for pip in sorted(Path(sys.prefix).parent.glob("*/bin/pip"))]
    for python in (sys.executable, "python3", "/usr/bin/python3", *beside):
        if shutil.which(python) and (found := run(python, "-c", ask, check=False).split()):
            return found
    raise MachineError(
        f"No pip is told which index to use, and none is installed to ask for its own (tried {sys.executable} and "
        "python3): apt-get install python3-pip, or set PIP_INDEX_URL, or MACHINES_ALLOW to the hosts machines may reach"
    )


def extra_authorities() -> list[str]:
    """Certificates (PEM) of SSL_CERT_FILE that Debian itself does not ship: a company's own authority, for example."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle or not Path(bundle).exists():
        return []
    block = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
    shipped = {c for f in Path("/usr/share/ca-certificates").rglob("*.crt") for c in block.findall(f.read_text())}
    return [certificate for certificate in block.findall(Path(bundle).read_text()) if certificate not in shipped]


# ------------------------------------------------------------------------------------------------ processes
def spawn(group: Path, log: Path, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """Starts a command that outlives this process, in a cgroup of its own, by which it is found and ended again.

    Args:
        environment: in place of this process's own.
    """
    group.mkdir(parents=True, exist_ok=True)
    ours = {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONUNBUFFERED": "1"}
    environment = ours | dict(environment) if environment is not None else {**os.environ, **ours}
    with open(log, "ab") as output:
        subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0") and None,
        )


def alive(group: Path) -> bool:
    """True while any process is left in the cgroup or below it."""
    events = group / "cgroup.events"
    return events.exists() and "populated 1" in events.read_text()


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def end(group: Path, seconds: float = 0) -> None:
    """Asks the first process of a cgroup to end (SIGTERM), kills what is left after `seconds`, removes it."""
    if seconds and alive(group):
        for process in (group / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGTERM)
        wait_until(lambda: not alive(group), seconds)
    if alive(group):
        (group / "cgroup.kill").write_text("1")
        wait_until(lambda: not alive(group), 10)
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Asks every 50 ms until it is true or the time has passed; returns the last answer."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
