"""MLflow on the lab's machine, as its users see it: over TLS, with an account, from outside."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.machines import ENTER, inside, outside, scratch

MLFLOW, ADDRESS = "stack-mlflow", "10.231.7.21"
PASSWORDS = {name: f"lab-password-{name}" for name in ("admin", "trainer", "airflow", "viewer")}


@cache
def authority() -> Path:
    """MLflow's authority in a file on this host."""
    file = Path(scratch().name, "ca.crt")
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
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def recording(seconds: int) -> "subprocess.Popen[str]":
    """A client that has begun to log."""
    process = start_client("record", seconds)
    wait_for_line(process, "begun")
    return process


def wait_for_line(process: "subprocess.Popen[str]", beginning: str) -> None:
    """Returns when the client has said that."""
    assert process.stderr
    assert any(line.startswith(beginning) for line in process.stderr), f"the client ended before `{beginning}`"


def creating() -> "subprocess.Popen[str]":
    """A client that creates runs and versions without a pause; `finish` ends it."""
    process = start_client("create")
    wait_for_line(process, "made 3")
    return process


def finish(process: "subprocess.Popen[str]", timeout: int = 400) -> dict[str, Any]:
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, f"the client failed:\n{(output + errors)[-4000:]}"
    return json.loads(output.splitlines()[-1])


def artifact(run: str) -> str:
    """Hash of a run's artifact as a client gets it."""
    return client("hash", run)["sha256"]


def status(path: str, user: str | None = None, password: str | None = None, source: str | None = None) -> str:
    """The status that nginx answers, `000` if nothing does."""
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "30"]
    command += ["--cacert", str(authority())] + (["--interface", source] if source else [])
    command += ["--user", f"{user}:{password or PASSWORDS[user]}"] if user else []
    return outside(*command, f"https://{ADDRESS}{path}", no_proxy="*").stdout


def healthy() -> bool:
    return status("/api/2.0/mlflow/experiments/search?max_results=1", "viewer") == "200"
