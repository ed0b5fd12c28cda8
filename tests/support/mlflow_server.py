"""The MLflow that is probed: a machine that a file describes, or a server started here as the role starts it."""

import base64
import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support import ROOT

ROLE = ROOT / "roles" / "mlflow" / "files"
USERS = ("admin", "trainer", "airflow", "viewer")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """`behind_proxy`: requests pass nginx of role tls_proxy; otherwise they reach gunicorn itself."""

    url: str
    passwords: dict[str, str]
    experiment: str
    model: str
    ca: str | None = None
    behind_proxy: bool = False
    hosts: list[str] = field(default_factory=list)

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca) if self.url.startswith("https:") else None

    def call(
        self,
        method: str,
        path: str,
        user: str | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        password: str | None = None,
    ) -> Answer:
        """One request; the path goes out as given (http.client resolves no dots), a body that is no bytes as JSON."""
        place = urlsplit(self.url)
        assert place.hostname
        if self.context:
            connection = http.client.HTTPSConnection(place.hostname, place.port, timeout=30, context=self.context)
        else:
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if user:
            pair = f"{user}:{password or self.passwords[user]}"
            sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, content, sent | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def api(self, user: str | None, path: str, body: Any = None, method: str = "", version: str = "2.0") -> Answer:
        """A call of MLflow's REST API: POST where there is a body, else GET."""
        return self.call(method or ("GET" if body is None else "POST"), f"/api/{version}/mlflow/{path}", user, body)

    def made(self, user: str, path: str, body: Any, version: str = "2.0") -> Any:
        """What a call that must succeed answers."""
        answer = self.api(user, path, body, version=version)
        assert answer.status == 200, f"{path} as {user}: status {answer.status}, {answer.text[:300]}"
        return json.loads(answer.body or b"{}")


def from_file(file: Path) -> Server:
    """The server that a JSON file with the fields of `Server` describes."""
    return Server(**json.loads(file.read_text()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(folder: Path, python: Path) -> Iterator[Server]:
    """gunicorn with the role's own access rules and settings; SQLite and a folder stand for database and bucket."""
    port, passwords = free_port(), {name: secrets.token_urlsafe(16) for name in USERS}
    users = {"trainer": {"create_models": True}, "airflow": {}, "viewer": {}}
    (folder / "accounts.json").write_text(json.dumps({"users": users}))
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\nauth_cache_ttl_seconds = 10\n"
        f"database_uri = sqlite:///{folder}/auth.db\nauthorization_function = access:authenticate\n"
    )
    hosts = f"127.0.0.1:{port},localhost:{port}"
    environment = {
        **{
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROLE),
            "ACCOUNTS": f"{folder}/accounts.json",
        },
        **{"MLFLOW_AUTH_CONFIG_PATH": f"{folder}/auth.ini", "MLFLOW_AUTH_ADMIN_PASSWORD": passwords["admin"]},
        **{"MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(), "MLFLOW_SERVER_ALLOWED_HOSTS": hosts},
        **{"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}", "PYTHONDONTWRITEBYTECODE": "1"},
        **{"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
    }
    command = [
        *(str(python), "-W", "ignore::FutureWarning", "-m", "mlflow", "server", "--app-name", "basic-auth"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--serve-artifacts"),
        *("--gunicorn-opts", "--worker-class gthread --threads 4 --no-control-socket"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"),
    ]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    server = Server(f"http://127.0.0.1:{port}", passwords, "fraud-retraining", "fraud", hosts=["127.0.0.1"])
    try:
        wait_for(server, process, folder / "log")
        make_accounts(server)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def wait_for(server: Server, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            if server.call("GET", "/health").status == 200:
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"MLflow did not start within 120 s; the end of its log:\n{log.read_text()[-2000:]}")


def make_accounts(server: Server) -> None:
    """The same users and permissions that the role's accounts.py and permissions.py make."""
    experiment = server.made("admin", "experiments/create", {"name": server.experiment})["experiment_id"]
    server.made("admin", "registered-models/create", {"name": server.model})
    for user in USERS[1:]:
        server.made("admin", "users/create", {"username": user, "password": server.passwords[user]})
        for kind, name in (("experiment", experiment), ("registered_model", server.model)):
            permission = "READ" if user == "viewer" else "EDIT"
            grant = {"username": user, "resource_type": kind, "resource_id": name, "permission": permission}
            server.made("admin", "users/permissions/grant", grant, version="3.0")
