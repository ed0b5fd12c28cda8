"""The base image of a machine: a minimal Debian with ssh, as a cloud's image has it; made once, then shared."""

import hashlib
import json
import shutil
import time
from pathlib import Path

from local_cloud.machines import host
from local_cloud.machines.lab import GATEWAY, PROXY_PORT

SUITES = {"12": "bookworm", "13": "trixie"}
DEFAULT = "13"
PACKAGES = "systemd-sysv dbus libpam-systemd openssh-server sudo python3 ca-certificates iproute2 netbase tzdata"
PROXY = f"http://{GATEWAY}:{PROXY_PORT}"


# What a cloud's image has besides: cloud-init, which looks for user-data where the cloud has it. The network is the
# lab's.
CLOUD_INIT = {
    "etc/cloud/cloud.cfg.d/90_lab.cfg": "datasource_list: [Ec2]\n"
    "datasource: {Ec2: {strict_id: false, timeout: 10, max_wait: 30}}\n"
    "apt: {preserve_sources_list: true}\n"
    "network: {config: disabled}\n"
}


def ensure(debian: str, cloud_init: bool = False) -> Path:
    """The base of that Debian release, made (about 20 s) unless there is one from the same inputs."""
    mirror, security = host.debian_mirrors()
    suite, authorities = SUITES[debian], host.extra_authorities()
    files = settings(host.pip_index()) | (CLOUD_INIT if cloud_init else {})
    packages = f"{PACKAGES} cloud-init" if cloud_init else PACKAGES
    inputs = json.dumps([suite, mirror, security, packages, files, authorities, Path(__file__).read_text()])
    folder = host.STATE / "bases" / f"debian-{debian}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    with host.exclusive(f"base-{debian}{'-cloud' * cloud_init}"):
        if not folder.exists():
            begun = time.monotonic()
            print(f"base image Debian {debian} from {mirror} …", flush=True)
            sources = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
            sources.append(f"deb {security} {suite}-security main")
            build(folder.with_suffix(".new"), suite, sources, packages, files, authorities)
            folder.with_suffix(".new").rename(folder)
            print(f"base image Debian {debian}: {time.monotonic() - begun:.0f} s, {folder}", flush=True)
    return folder


def settings(index: str | None) -> dict[str, str]:
    """Files that make apt, pip and the shell of a machine use the lab's proxy: path -> content."""
    apt = "".join(f'Acquire::{scheme}::Proxy "{PROXY}";\n' for scheme in ("http", "https"))
    pip = f"[global]\nproxy = {PROXY}\ncert = /etc/ssl/certs/ca-certificates.crt\ndisable-pip-version-check = true\n"
    pip += f"index-url = {index}\n" if index else ""
    shell = "".join(f"{name}={PROXY}\n" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"))
    shell += "".join(
        f"{name}=localhost,127.0.0.1,::1,10.0.0.0/8,169.254.169.254\n" for name in ("no_proxy", "NO_PROXY")
    )
    return {"etc/apt/apt.conf.d/90lab-proxy": apt, "etc/pip.conf": pip, "etc/environment": shell}


def build(
    folder: Path, suite: str, sources: list[str], packages: str, files: dict[str, str], authorities: list[str]
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    include = "--include=" + ",".join(packages.split())
    host.run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", include, suite, folder, *sources)
    for path, content in files.items():
        (folder / path).write_text(content)
    for number, certificate in enumerate(authorities):
        (folder / f"usr/local/share/ca-certificates/host-{number}.crt").write_text(certificate)
    host.run("chroot", folder, "update-ca-certificates")
    for key in (folder / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (folder / "etc/machine-id").write_text("")
    (folder / "etc/resolv.conf").write_text("# no name service in the lab: see /etc/hosts\n")
