"""The programs that are the cloud of a deployment on this host, in its lab."""

import contextlib
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from local_cloud.machines import host
from local_cloud.machines.lab import GATEWAY
from local_cloud.machines.machine import introduce
from stack.common import envs
from stack.common.console import say_indented, step
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.common.files import write_private
from stack.common.waiting import wait_until
from stack.lab.site import AIRFLOW, API, LOCKBOX, STORAGE, ZONE, Site
from stack.local.programs.cloud import common_config, deployer
from stack.local.programs.object_store import object_store
from stack.local.programs.program import Program, base_environment, object_store_client, script

SECONDS = 120  # until a program must be ready


def cloud_config(site: Site) -> dict[str, Any]:
    """The endpoint's: a folder with nothing in it but its deployer, and instances that are machines of the lab."""
    return common_config(site.state) | {
        "zone": ZONE,
        "service_accounts": {"deployer": deployer(site.state)},
        "lab": site.lab.name,
        "engine": site.state.engine,
        "airflow": {"bin": str(envs.ENVS / "airflow" / "bin"), "version": airflow_version(), "address": AIRFLOW},
        "tls_names": [LOCKBOX, STORAGE, "*.rw.mdb.yandexcloud.net", "*.airflow.yandexcloud.net"],
    }


def airflow_version() -> str:
    """Of the environment `airflow`, as the service says it: 3.1."""
    found = re.search(r"^apache-airflow==(\d+\.\d+)", (envs.LOCKS / "airflow.txt").read_text(), re.M)
    assert found is not None
    return found[1]


def endpoint(site: Site) -> Program:
    config = site.state.folder / "cloud.json"
    write_private(config, json.dumps(cloud_config(site), indent=1))
    return Program([script("stack", "python"), "-m", "local_cloud", "--config", str(config)], base_environment())


def storage(site: Site) -> Program:
    """Object Storage as its clients meet it, in front of the store."""
    folder = site.state.folder
    options = [f"--store={site.state.url('object_store')}", f"--settings={folder / 'buckets.json'}"]
    options += [f"--cloud={folder / 'cloud'}", f"--host={GATEWAY}", "--port=80", f"--authority={site.state.ca}"]
    options += ["--tls-port=443", f"--certificate={folder / 'cloud' / 'server.pem'}"]  # pgBackRest speaks TLS only
    command = [script("stack", "python"), "-m", "local_cloud.object_storage", *options]
    return Program(command, base_environment() | object_store_client(site.state))


def api(site: Site) -> Program:
    """The API's REST form where machines ask for it, at the cloud's own name and port."""
    ends = [f"host:{API}:443", f"host:127.0.0.1:{site.state.ports['cloud_rest']}"]
    return Program([script("stack", "python"), "-m", "local_cloud.machines", "relay", *ends], base_environment())


def provider(site: Site) -> Program:
    """Terraform's; it says where it listens."""
    site.lab.log("provider").unlink(missing_ok=True)
    command = [script("stack", "python"), "-m", "stack.provider", str(site.state.folder)]
    return Program(command, base_environment() | {"PYTHONPATH": str(ROOT), "YC_METADATA_ADDR": "127.0.0.1:1"})


def start(site: Site) -> None:
    """Makes the lab and starts every program that does not run, each when those before it are ready.

    What it says is no part of the answer of the command that needs them: it goes to stderr, and is nothing if all run.

    Raises:
        StackError: a program does not get ready; with the end of its log.
    """
    lab, ports = site.lab, site.state.ports
    programs: list[tuple[str, Callable[[Site], Program], Callable[[], bool]]] = [
        (
            "object-store",
            lambda site: object_store(site.state),
            lambda: lab.answers("127.0.0.1", ports["object_store"]),
        ),
        ("cloud", endpoint, lambda: serves_api(site)),
        ("storage", storage, lambda: lab.answers(GATEWAY, 80) and lab.answers(GATEWAY, 443)),
        ("api", api, lambda: lab.answers(API, 443)),
        ("provider", provider, lambda: bool(site.provider_entry())),
    ]
    if all(lab.serves(name) and is_ready() for name, _, is_ready in programs):
        return
    with contextlib.redirect_stdout(sys.stderr), step("the lab and the cloud's programs"):
        with host.exclusive(f"lab-{lab.name}"):
            lab.ensure()
            for address in (API, AIRFLOW):
                lab.have(address)
            lab.know("cloud", {STORAGE: GATEWAY, LOCKBOX: API})
            introduce(lab)
        for name, make, is_ready in programs:
            if not lab.serves(name):
                program = make(site)
                lab.serve(name, program.command, program.environment)
            await_ready(site, name, is_ready)
        say_indented(f"their logs are in {lab.folder}")


def serves_api(site: Site) -> bool:
    """The file is there from the endpoint's first answer on until it ends in order; the port is taken before that."""
    written = (site.state.folder / "cloud" / "endpoint.json").exists()
    return written and site.lab.answers("127.0.0.1", site.state.ports["cloud"])


def await_ready(site: Site, name: str, is_ready: Callable[[], bool]) -> None:
    wait_until(lambda: is_ready() or not site.lab.serves(name), SECONDS, 0.2)
    if not is_ready():
        tail = "\n".join(site.lab.log(name).read_text(errors="replace").splitlines()[-15:])
        raise StackError(
            f"The program {name} of the lab {site.lab.name} does not get ready within {SECONDS} s:\n{tail}"
        )
