"""A deployment on this host as a person uses it: its commands, its machines, and what it could leave behind."""

import contextlib
import ipaddress
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import requests

from local_cloud.machines import host
from local_cloud.machines.machine import machines
from stack.cloud.system import ByName
from stack.lab.site import Site
from tests.support import ROOT


def listing() -> dict[str, set[str]]:
    """What a deployment could leave on a host, and where one would look for it."""

    def lines(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())

    return {
        "mounts": {line for line in Path("/proc/self/mounts").read_text().splitlines() if "fraud-local" in line},
        "namespaces": {line for line in lines("ip", "netns") if line.startswith("fraud-local")},
        "links": {line for line in lines("ip", "-o", "-brief", "link") if "br0" in line},
        "loop devices": {line for line in lines("losetup", "--list", "--noheadings") if "labs/local-" in line},
        "firewall tables": lines("nft", "list", "tables"),
        "cgroups": {str(path) for path in host.cgroup("local").parent.glob("fraud-local-*")},
        "labs": {str(path) for path in host.STATE.glob("labs/local-*")}
        | {str(p) for p in host.STATE.glob(".lab-local*")},
    }


def processes_of(site: Site) -> set[str]:
    """Whoever names the lab or a file of the deployment, whose own environment is not asked."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if site.lab.name in line or str(site.folder) in line:
            found.add(line)
    return found


def heard_elsewhere() -> set[str]:
    """Addresses of this host's own network, beside loopback, at which somebody listens."""
    found = psutil.net_connections("inet")
    ours = {each.laddr for each in found if each.status == psutil.CONN_LISTEN or not each.raddr}
    return {f"{each.ip}:{each.port}" for each in ours if not ipaddress.ip_address(each.ip).is_loopback}


class Deployed:
    """One deployment, as a person types its commands; `before` is what the host had when there was none."""

    def __init__(self, folder: Path, before: dict[str, set[str]]) -> None:
        self.folder, self.site, self.before = folder, Site(folder), before

    def line(self, command: str, *options: str) -> list[str]:
        where = "--cloud" if command in ("status", "upload", "ui") else "--state"
        return [sys.executable, "-m", "stack", command, where, str(self.folder), *options]

    def run(self, command: str, *options: str, status: int = 0) -> str:
        """What it says, on both its outputs."""
        begun = time.monotonic()
        done = subprocess.run(
            self.line(command, *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        print(f"measured {command} {' '.join(options)}: {time.monotonic() - begun:.0f} s")
        assert done.returncode == status, done.stdout[-6000:]
        return done.stdout

    def status(self) -> dict[str, Any]:
        """What `make status` finds; before it stands what it had to start."""
        said = self.run("status", "--json", status=1)
        return dict(json.loads(said[said.index("{\n") :]))

    def killed(self, command: str, *options: str, at: str) -> None:
        """Kills a command, as a machine that loses its power would, as soon as it says this."""
        process = subprocess.Popen(
            self.line(command, *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout
        with process:
            said = ""
            for text in process.stdout:
                said += text
                if at in text:
                    break
            assert at in said, said[-6000:]
            children = psutil.Process(process.pid).children(recursive=True)
            for each in [psutil.Process(process.pid), *children]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            process.stdout.read()

    def cut_power(self) -> None:
        """What is left of a deployment when its host loses its power: its files, and nothing else of it."""
        lab = self.site.lab
        assert host.alive(lab.group), "nothing of it runs"
        for machine in machines(lab):
            machine.stop(now=True)
            machine.unmount()
            host.run("ip", "netns", "delete", machine.namespace)
        lab.remove()
        assert processes_of(self.site) == set()

    def settings(self, **changed: str) -> None:
        """Sets these variables of terraform.tfvars; an empty value takes one out."""
        file = self.site.project / "terraform" / "terraform.tfvars"
        kept = [line for line in file.read_text().splitlines() if line.split(" ")[0] not in changed]
        file.write_text("\n".join(kept + [f"{name} = {value}" for name, value in changed.items() if value]) + "\n")

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "outputs.json").read_text()))

    def inside(self, *words: str) -> str:
        """A program of ours in the lab, with what a command of ours is told there."""
        inside = [sys.executable, "-m", "local_cloud.machines.inside", self.site.lab.name, sys.executable]
        done = subprocess.run([*inside, *words], cwd=ROOT, env=self.site.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout

    def retrain(self) -> dict[str, Any]:
        """Follows a run of the DAG to its end: the decision, who serves now, and all versions."""
        begun = time.monotonic()
        said = self.inside("-m", "tests.local.retrain", str(self.folder))
        print(f"measured a retrain: {time.monotonic() - begun:.0f} s")
        return dict(json.loads(said.splitlines()[-1]))

    def on(self, machine: str, command: str) -> str:
        words = ["ssh", "-F", str(self.folder / "ssh_config"), machine, command]
        return self.inside("-c", f"import subprocess; print(subprocess.check_output({words!r}, text=True))")

    @contextlib.contextmanager
    def ui(self) -> Iterator[str]:
        """`make ui`: what it says, and the ways that it holds open meanwhile."""
        with subprocess.Popen(self.line("ui"), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            said = ""
            for text in process.stdout:
                said += text
                if "until Ctrl-C" in text:
                    break
            try:
                yield said
            finally:
                process.terminate()

    def page_status(self, said: str) -> int:
        """Of MLflow's page, at the address of this host that `make ui` has said."""
        found = re.search(r"MAP (\S+):443 (127\.0\.0\.1:\d+)", said)
        assert found, said
        with requests.Session() as session:
            session.mount("https://", ByName(found[1]))
            session.verify, session.trust_env = str(self.folder / "mlflow-ca.pem"), False
            return session.get(f"https://{found[2]}/", headers={"Host": found[1]}, timeout=30).status_code

    def left_behind(self) -> dict[str, set[str]]:
        """What is on this host that was not before, but for what names another deployment that is there."""
        others = {path.name for path in host.STATE.glob("labs/local-*")} - {self.site.lab.name}
        more = {kind: there - self.before[kind] for kind, there in listing().items()}
        ours = {kind: {each for each in new if not any(name in each for name in others)} for kind, new in more.items()}
        return {kind: new for kind, new in ours.items() if new}

    def remove(self) -> None:
        """What a test that failed midway leaves."""
        if self.site.exists:
            lab = f"--lab={self.site.lab.name}"
            subprocess.run(
                [sys.executable, "-m", "local_cloud.machines", lab, "down", "--all", "--forget"], cwd=ROOT, check=True
            )
            shutil.rmtree(self.folder)
