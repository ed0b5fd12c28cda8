"""The MLflow that is probed: a machine that a file describes, or a server started here as the role starts it."""

import base64
import http.client
import json
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_cloud.core.ports import free_ports
from stack.common.mlflow_role import USERS, MlflowServer

SLOWEST_START = 300  # seconds, on a machine that does much else
LONGEST_WAIT = 60  # seconds


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
    waited: float = 0  # seconds, for an MLflow that nginx did not reach

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
            sent |= self.credentials(user, password)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        while True:
            try:
                connection.request(method, path, content, sent | (headers or {}))
                answer = connection.getresponse()
                given = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            finally:
                connection.close()
            if not self.behind_proxy or given.status not in (429, 503) or "retry-after" not in given.headers:
                return given
            # On a busy machine nginx may find that MLflow does not answer in time, on a fast one that probes come too
            # fast. All probes together wait a minute: of a server that is away each is to fail at once.
            if self.waited >= LONGEST_WAIT:
                return given
            print(f"{method} {path}: {given.text}, trying again")
            time.sleep(2)
            self.waited += 2

    def credentials(self, user: str, password: str | None = None) -> dict[str, str]:
        """The header that logs a user in."""
        pair = f"{user}:{password or self.passwords[user]}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

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
    return free_ports(1)[0]


def described(folder: Path, bin: Path, hosts: Iterable[str] = (), **more: Any) -> MlflowServer:
    """MLflow as the role starts it, over SQLite and a folder of artifacts.

    `hosts`: further names that it is called by; `more`: other fields of MlflowServer.
    """
    port = more.pop("port", None) or free_port()
    if hosts:
        names = [f"127.0.0.1:{port}", *hosts]
        more["settings"] = more.get("settings", {}) | {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names)}
    return MlflowServer(
        folder=folder,
        port=port,
        bin=bin,
        passwords={name: secrets.token_urlsafe(16) for name in ("admin", *USERS)},
        session_key=secrets.token_hex(),
        experiment="fraud-retraining",
        model="fraud",
        **{"artifacts": str(folder / "artifacts")} | more,
    )


@contextmanager
def serving(
    server: MlflowServer, log: Path, first: Callable[[], None] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The server, `prepare`d before, in a process group of its own, as systemd has it in a control group.

    `first`: what its process does before it becomes the server.
    """
    with open(log, "ab") as file:
        process = subprocess.Popen(
            server.command("serve"),
            env=server.environment("serve"),
            stdout=file,
            stderr=file,
            cwd=server.folder,
            start_new_session=True,
            preexec_fn=first,
        )
    try:
        wait_for(asked(server), process, log)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def asked(server: MlflowServer) -> Server:
    """The same server, as clients know it."""
    url = f"http://127.0.0.1:{server.port}"
    return Server(url, server.passwords, server.experiment, server.model, hosts=["127.0.0.1"])


@contextmanager
def started(folder: Path, bin: Path, **more: Any) -> Iterator[Server]:
    """A server as `described` has it."""
    server = described(folder, bin, **more)
    server.prepare()
    with serving(server, folder / "log"):
        server.permit()
        yield asked(server)


def wait_for(server: Server, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + SLOWEST_START
    while process.poll() is None and time.monotonic() < end:
        try:
            if server.call("GET", "/health").status == 200:
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"MLflow did not start within {SLOWEST_START} s; the end of its log:\n{log.read_text()[-2000:]}")
