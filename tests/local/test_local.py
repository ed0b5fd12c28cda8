"""`make bootstrap TARGET=local`: the whole system on this host, one retrain that promotes, and nothing left of it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local_cloud.machines import host
from stack.cloud.system import ByName
from stack.lab.site import Site
from tests.bootstrap.cloud_fixture import needs
from tests.support import ROOT

pytestmark = pytest.mark.timeout(5400)


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


class Deployed:
    """One deployment, as a person types its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder, Site(folder)

    def run(self, command: str, *options: str) -> str:
        begun = time.monotonic()
        where = "--state" if command in ("bootstrap", "destroy") else "--cloud"
        line = [sys.executable, "-m", "stack", command, where, str(self.folder), *options]
        done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"measured {command}: {time.monotonic() - begun:.0f} s")
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def inside(self, *words: str) -> str:
        """A program of ours in the lab, with what a command of ours is told there."""
        inside = [sys.executable, "-m", "local_cloud.machines.inside", self.site.lab.name, sys.executable]
        done = subprocess.run([*inside, *words], cwd=ROOT, env=self.site.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout

    def on_mlflow(self, command: str) -> str:
        words = ["ssh", "-F", str(self.folder / "ssh_config"), "mlflow", command]
        return self.inside("-c", f"import subprocess; print(subprocess.check_output({words!r}, text=True))")

    def ui(self) -> int:
        """The status of MLflow's page at the address of this host that `make ui` holds open."""
        line = [sys.executable, "-m", "stack", "ui", "--cloud", str(self.folder)]
        with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            said = ""
            for text in process.stdout:
                said += text
                if "until Ctrl-C" in text:
                    break
            found = re.search(r"MAP (\S+):443 (127\.0\.0\.1:\d+)", said)
            assert found, said
            session = requests.Session()
            session.mount("https://", ByName(found[1]))
            session.verify, session.trust_env = str(self.folder / "mlflow-ca.pem"), False
            status = session.get(f"https://{found[2]}/", headers={"Host": found[1]}, timeout=30).status_code
            process.terminate()
        return status


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if missing := host.missing() + [each for each in [needs()] if each]:
        pytest.skip("a deployment cannot be made here: " + "; ".join(missing))
    made = Deployed(tmp_path_factory.mktemp("local") / "deployment")
    yield made
    if made.site.exists:  # a test failed midway
        subprocess.run(
            [sys.executable, "-m", "local_cloud.machines", f"--lab={made.site.lab.name}", "down", "--all", "--forget"],
            cwd=ROOT,
            check=True,
        )
        shutil.rmtree(made.folder)


def test_one_life(deployed: Deployed) -> None:
    before = listing()
    said = deployed.run("bootstrap", "--target", "local", "--yes")
    print("\n".join(line for line in said.splitlines() if line[2:3] == ":" and line.endswith(" s")))

    outputs = json.loads((deployed.folder / "outputs.json").read_text())
    assert outputs["mlflow"]["internal_address"] == "10.231.7.10"
    facts = deployed.on_mlflow("id -un; systemctl is-active nginx mlflow; systemd-detect-virt").split()
    assert facts == ["ops", "active", "active", "systemd-nspawn"]
    server = deployed.on_mlflow(f"getent hosts {outputs['database']['host']}").split()[0]
    assert server == "10.231.7.240", "PostgreSQL is another machine, at the name that the API gives"
    assert deployed.ui() == 401, "MLflow's page asks this host's browser for a password"

    assert "13 files" in deployed.run("upload", "--customers", "1500")
    found = json.loads(deployed.inside("-m", "tests.local.retrain", str(deployed.folder)).splitlines()[-1])
    assert (found["decision"]["action"], found["champion"]) == ("promote", "1"), found
    screen = json.loads(deployed.run("status", "--json"))
    assert screen["champion"], "MLflow is asked on its machine, through nginx"

    again = deployed.run("bootstrap", "--yes")
    assert "everything is as the settings say" in again
    assert "machines: skipped" in again.replace("[bold]", "").replace("[/]", "")

    deployed.run("destroy", "--yes")
    assert not deployed.folder.exists()
    assert processes_of(deployed.site) == set()
    assert listing() == before


def test_it_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FRAUD_TERRAFORM_SCHEMA"}
    folder = tmp_path / "deployment"
    line = [sys.executable, "-m", "stack", "bootstrap", "--state", str(folder), "--target", "local"]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the folder with the schema of Terraform's provider" in done.stderr
    assert not folder.exists()
