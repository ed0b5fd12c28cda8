"""`make ui` where the cloud is this host: a way from a browser of this host into the lab, and how to log in."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_cloud.core.ports import is_free
from local_cloud.machines import relay
from stack.common import lockbox
from stack.common.console import console, say
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.lab import programs
from stack.lab.site import AIRFLOW, Site
from stack.local import deploy

FIRST_PORT = 19443


def show(folder: Path) -> None:
    """Prints where everything is, and holds the way open until Ctrl-C.

    Raises:
        StackError: nothing was made yet.
    """
    site = Site(folder)
    programs.start(site)
    outputs = read_outputs(folder)
    mlflow, airflow = outputs["mlflow"], outputs["airflow"]
    pages = [("MLflow", mlflow["url"], mlflow["internal_address"], mlflow["secret_ids"]["admin"])]
    if airflow["url"]:
        pages.append(("Airflow", airflow["url"], AIRFLOW, airflow["admin_secret_id"]))
    rules: list[str] = []
    for name, url, address, secret in pages:
        port = free_port(FIRST_PORT + len(rules))
        ends = relay.Endpoint(None, "127.0.0.1", port), relay.Endpoint(site.lab.namespace, address, 443)
        threading.Thread(target=relay.serve, args=ends, daemon=True).start()
        rules.append(f"MAP {urlsplit(url).hostname}:443 127.0.0.1:{port}")
        say(f"{name:9} {url}  user admin, password: {password(site, secret)}")
    say(f"          MLflow's certificate is signed by {folder / 'mlflow-ca.pem'}, Airflow's by {site.state.ca}")
    say("These names are the lab's. A browser of this host gets there while this command runs:")
    options = f"--user-data-dir=/tmp/fraud-ui --host-resolver-rules='{', '.join(rules)}'"
    say(f"  chromium {options} {' '.join(url for _, url, *_ in pages)}")
    say("It is open until Ctrl-C.")
    threading.Event().wait()


def read_outputs(folder: Path) -> dict[str, Any]:
    file = folder / "outputs.json"
    if not file.exists():
        raise StackError(f"{folder} has no outputs of Terraform yet: `make bootstrap TARGET=local` comes first.")
    return dict(json.loads(file.read_text()))


def free_port(first: int) -> int:
    return next(port for port in range(first, first + 100) if is_free(port))


def password(site: Site, secret: str) -> str:
    """The password where a person reads it, else how to see it."""
    inside = ["-m", "local_cloud.machines.inside", site.lab.name, sys.executable, "-m", "stack.lab.ui"]
    command = [sys.executable, *inside, str(site.folder), secret]
    if not console.is_terminal:
        return f"`cd {ROOT} && {' '.join(command)}`"
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    print(lockbox.payload(deploy.sdk(Site(Path(sys.argv[1])).state), sys.argv[2])["password"])
