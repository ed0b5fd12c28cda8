"""The lab of machines that a test run uses: inside of a machine, beside it, and outside of all of them."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host

from tests.support import ROOT

TOOLS = Path(sys.executable).parent
LAB = os.environ.get("MACHINES_LAB", "molecule-stack")
STATE = Path(os.environ.get("MACHINES_STATE", "/var/lib/fraud-machines"))
SSH_CONFIG = STATE / "labs" / LAB / "ssh_config"
ATTACKER = "10.231.7.9"
Done = subprocess.CompletedProcess[str]
# What puts a command into the lab's network.
ENTER = (sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", "exec", "--")


@cache
def inside(name: str) -> Host:
    """A machine as root, over ssh."""
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(SSH_CONFIG), sudo=True)


def outside(*command: str | Path, timeout: int = 300, **environment: str) -> Done:
    """Runs a command in the lab's network, where an attacker or a client would stand."""
    return run([*ENTER, *map(str, command)], timeout, environment)


def beside(name: str, *command: str | Path, timeout: int = 300, **environment: str) -> Done:
    """Runs a command of this host in a machine's own network: its loopback is the command's."""
    enter = ["nsenter", f"--net=/run/netns/fraud-{LAB}-{name}", "--"]
    return run([*enter, *map(str, command)], timeout, environment)


def run(command: list[str], timeout: int, environment: dict[str, str]) -> Done:
    everything = {**os.environ, **environment}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, errors="replace", cwd=ROOT, env=everything
    )


def ask(statement: str, database: str = "postgres") -> str:
    """What PostgreSQL's owner is answered on the database's machine."""
    psql = f"runuser -u postgres -- psql -AtqX -d {database} -c"
    return inside(DATABASE).check_output(f"{psql} {shlex.quote(statement)}")


def attacker() -> str:
    """An address of its own: the one that the tests come from must not be banned."""
    outside("ip", "addr", "add", f"{ATTACKER}/24", "dev", "br0")
    return ATTACKER


def measured(name: str, value: object) -> None:
    """Shown by the scenario's verify, whether or not the test passes."""
    print(f"measured {os.environ.get('MACHINE', LAB)}: {name} {value}")


def until(true: Callable[[], Any], seconds: float, what: str) -> float:
    """Waits for it and returns the seconds that it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - begun


# ------------------------------------------------------------------------------------------ MLflow, as users see it
MLFLOW, ADDRESS = "stack-mlflow", "10.231.7.21"
GATEWAY = "10.231.7.1"  # the lab itself
DATABASE = "stack-db"
PASSWORDS = {name: f"lab-password-{name}" for name in ("admin", "trainer", "airflow", "viewer")}


@cache
def authority() -> Path:
    """MLflow's authority in a file on this host."""
    file = Path(tempfile.mkdtemp(prefix="lab-")) / "ca.crt"
    file.write_text(inside(MLFLOW).file("/etc/certificates/tls-proxy/ca.crt").content_string)
    return file


def client_command(verb: str, *arguments: object, user: str = "trainer") -> tuple[list[str], dict[str, str]]:
    """Command and environment of mlflow_client.py as a user, in the environment that has MLflow."""
    environment = {
        "MLFLOW_TRACKING_URI": f"https://{ADDRESS}",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority()),
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": PASSWORDS[user],
        # Through the server, whatever the size: the object store is none of a client's business.
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "no_proxy": "*",
    }
    python, script = ROOT / ".envs" / "mlflow" / "bin" / "python", Path(__file__).parent / "mlflow_client.py"
    return [str(python), str(script), verb, *map(str, arguments)], environment


def client(verb: str, *arguments: object, user: str = "trainer", timeout: int = 600) -> dict[str, Any]:
    """What mlflow_client.py reports."""
    command, environment = client_command(verb, *arguments, user=user)
    done = outside(*command, timeout=timeout, **environment)
    assert done.returncode == 0, f"{verb} failed:\n{(done.stdout + done.stderr)[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def start_client(verb: str, *arguments: object) -> "subprocess.Popen[str]":
    """The same, while the test goes on; `finish` waits for it."""
    command, environment = client_command(verb, *arguments)
    return subprocess.Popen(
        [*ENTER, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def recording(seconds: int) -> "subprocess.Popen[str]":
    """A client that has begun to log."""
    process = start_client("record", seconds)
    assert process.stderr
    assert any(line.startswith("begun") for line in process.stderr), "the client has not begun"
    return process


def finish(process: "subprocess.Popen[str]", timeout: int = 400) -> dict[str, Any]:
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, f"the client failed:\n{(output + errors)[-4000:]}"
    return json.loads(output.splitlines()[-1])


def status(path: str, user: str | None = None, password: str | None = None, source: str | None = None) -> str:
    """The status that nginx answers, `000` where nothing does."""
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "30"]
    command += ["--cacert", str(authority())] + (["--interface", source] if source else [])
    command += ["--user", f"{user}:{password or PASSWORDS[user]}"] if user else []
    return outside(*command, f"https://{ADDRESS}{path}", no_proxy="*").stdout


def healthy() -> bool:
    return status("/api/2.0/mlflow/experiments/search?max_results=1", "viewer") == "200"
