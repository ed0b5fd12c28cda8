"""What clients are told while MLflow is away: nothing is made twice, nothing that was taken is lost.

nginx is real, of the role's template, and so are the clients: image 2.1's, which repeats whatever fails, and the
server's own, the newest. MLflow is a stand-in that counts, where the very moment of its end matters.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stack.common.envs import python_of
from stack.common.mlflow_role import MlflowServer
from tests.support import ROOT, mlflow_server, nginx
from tests.support.mlflow_server import free_port, serving
from tests.support.nginx import Nginx
from tests.support.waiting import wait_until

RUN = {"run": {"info": {"run_id": "0" * 32, "run_uuid": "0" * 32, "experiment_id": "1"}, "data": {}}}
VERSION = {"model_version": {"name": "fraud", "version": "1"}}
ANSWERS = {"runs/create": RUN, "model-versions/create": VERSION, "runs/get": RUN, "runs/log-metric": {}}
CALLS = {
    "runs/create": "client.create_run('1')",
    "model-versions/create": (
        "client.create_model_version('fraud', 'mlflow-artifacts:/1/' + '0' * 32 + '/artifacts/model', "
        "await_creation_for=None)"
    ),
    "runs/log-metric": "client.log_metric('0' * 32, 'ap', 0.7)",
    "runs/get": "client.get_run('0' * 32)",
}
# Calls, one after the other, in one process: only to import MLflow takes as long as all of them.
CALLER = """
import json, os, sys
from mlflow import MlflowClient
for line in sys.stdin:
    environment, call = json.loads(line)
    os.environ.update(environment)
    try:
        exec(call, {"client": MlflowClient()})
        said = ["done", ""]
    except Exception as error:
        said = ["", str(error)]
    print(json.dumps(said), flush=True)
"""
NEWEST, OLDEST = "mlflow", "spark-image-2.1-test"  # environments
CREATIONS, REPEATABLE = ("runs/create", "model-versions/create"), ("runs/log-metric", "runs/get")


class StandIn(ThreadingHTTPServer):
    """MLflow's answers to CALLS. Takes `breaks` requests whole and ends without a word, as a killed process does."""

    def __init__(self, port: int, breaks: int = 0) -> None:
        self.breaks = breaks
        self.taken: list[str] = []
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].partition("/mlflow/")[2]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.taken.append(name)
        if self.server.breaks > 0:
            self.server.breaks -= 1
            self.close_connection = True
            return
        body = json.dumps(ANSWERS[name]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def standing(port: int, breaks: int = 0) -> Iterator[StandIn]:
    server = StandIn(port, breaks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def client_of(environment: str) -> Path:
    """Python of an environment with a client."""
    python = python_of(environment)
    if not python.exists():
        pytest.skip(f"the client is missing ({python}): `python3 -m stack.common.envs {environment}` makes it")
    return python


class Caller:
    """A client that makes one call at a time, of CALLS."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", "-c", CALLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, proxy: Nginx, name: str) -> None:
        assert self.process.stdin
        print(json.dumps([environment(proxy), CALLS[name]]), file=self.process.stdin, flush=True)

    def end(self) -> list[str]:
        """`done` if the call has succeeded, else the words of its error."""
        assert self.process.stdout
        return list(json.loads(self.process.stdout.readline()))

    def call(self, proxy: Nginx, name: str) -> list[str]:
        self.begin(proxy, name)
        return self.end()


@pytest.fixture(scope="module", params=[NEWEST, OLDEST])
def client(request: pytest.FixtureRequest) -> Iterator[Caller]:
    caller = Caller(client_of(request.param))
    yield caller
    caller.process.kill()
    caller.process.wait()


@pytest.fixture
def upstream() -> int:
    """A port where nobody listens."""
    return free_port()


@pytest.fixture
def proxy(programs: Path, upstream: int, tmp_path: Path) -> Iterator[Nginx]:
    program = nginx.program()
    if program is None:
        pytest.skip("nginx is missing: `apt-get install nginx` brings it (its service may be off)")
    with nginx.started(tmp_path, programs / "python", program, free_port(), upstream) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real one, which does not run."""
    server = mlflow_server.described(tmp_path_factory.mktemp("mlflow"), programs, hosts=["127.0.0.1"])
    server.prepare()
    with serving(server, server.folder / "log"):
        server.permit()
    return server


@pytest.fixture
def patient_proxy(programs: Path, server: MlflowServer, tmp_path: Path) -> Iterator[Nginx]:
    """One whose clients wait as long as a server takes to come back on a busy machine: nine times 20 s."""
    program = nginx.program()
    if program is None:
        pytest.skip("nginx is missing: `apt-get install nginx` brings it (its service may be off)")
    with nginx.started(tmp_path, programs / "python", program, free_port(), server.port, wait=20) as proxy:
        yield proxy


def environment(proxy: Nginx, password: str = "x") -> dict[str, str]:
    """What tells a client where to go; how often it tries is its own affair."""
    return os.environ | {
        "MLFLOW_TRACKING_URI": proxy.url,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(proxy.ca),
        "MLFLOW_TRACKING_USERNAME": "trainer",
        "MLFLOW_TRACKING_PASSWORD": password,
        "no_proxy": "*",
    }


@pytest.mark.parametrize("name", [*CREATIONS, *REPEATABLE])
def test_what_never_reached_mlflow_is_repeated(client: Caller, proxy: Nginx, upstream: int, name: str) -> None:
    client.begin(proxy, name)
    wait_until(lambda: proxy.log.exists() and proxy.answered(name), "nginx has answered", 120)
    with standing(upstream) as mlflow:
        assert client.end() == ["done", ""]
    assert mlflow.taken == [name]
    assert set(proxy.answered(name)) == {429, 200}


@pytest.mark.parametrize("name", CREATIONS)
def test_what_may_have_been_made_is_not_made_again(client: Caller, proxy: Nginx, upstream: int, name: str) -> None:
    with standing(upstream, breaks=1) as mlflow:
        done, error = client.call(proxy, name)
    assert mlflow.taken == [name]
    assert done == ""
    assert "may be done or not" in error


@pytest.mark.parametrize("name", REPEATABLE)
def test_what_changes_nothing_the_second_time_is_repeated(
    client: Caller, proxy: Nginx, upstream: int, name: str
) -> None:
    with standing(upstream, breaks=1) as mlflow:
        assert client.call(proxy, name) == ["done", ""]
    assert mlflow.taken == [name, name]
    assert proxy.answered(name) == [503, 200]


def wait_for_line(creating: "subprocess.Popen[str]", beginning: str) -> None:
    """Waits until the client says that."""
    assert creating.stderr
    said = []
    for line in creating.stderr:
        said.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError(f"the client ended before `{beginning}`: {''.join(said)[-3000:]}")


@pytest.mark.parametrize(
    ("environment_of", "how"),
    [
        (NEWEST, "SIGTERM"),
        (OLDEST, "SIGKILL"),
        pytest.param(NEWEST, "SIGKILL", marks=pytest.mark.verify),
        pytest.param(OLDEST, "SIGTERM", marks=pytest.mark.verify),
    ],
)
def test_runs_and_versions_are_there_once(
    server: MlflowServer, patient_proxy: Nginx, environment_of: str, how: str
) -> None:
    """A client creates without a pause while the real server ends and comes back."""
    log = server.folder / "log"
    with serving(server, log) as mlflow:
        creating = subprocess.Popen(
            [client_of(environment_of), "-W", "ignore", ROOT / "tests/support/mlflow_client.py", "create"],
            env=environment(patient_proxy, server.passwords["trainer"]) | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_line(creating, "made 3")
        os.killpg(mlflow.pid, signal.Signals[how])
        mlflow.wait(60)
    with serving(server, log):
        wait_for_line(creating, "made")
        output, errors = creating.communicate("", timeout=300)
    assert creating.returncode == 0, errors[-3000:]
    told = json.loads(output.splitlines()[-1])
    assert (told["lost"], told["doubled"]) == ([], []), told
    # A server that ends closes its listening socket, and with it a connection that waits there with its request sent.
    # nginx cannot know more of it than of a worker that was killed. This client makes one call at a time.
    assert len(told["unknown"]) <= 1, told
