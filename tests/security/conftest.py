"""Where the probes go: FRAUD_SECURITY_TARGET names a JSON file (fields of server.Server) for a running server."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stack.common.envs import python_of
from tests.support.mlflow_server import Server, from_file, started

# What starts servers of its own has no part in the probing of another.
collect_ignore = (
    ["test_postgresql.py", "test_restarts.py", "test_deletions.py", "test_memory.py", "test_outbound.py"]
    if "FRAUD_SECURITY_TARGET" in os.environ
    else []
)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of programs of MLflow's environment; FRAUD_MLFLOW_PYTHON names the Python of another MLflow."""
    programs = Path(os.environ.get("FRAUD_MLFLOW_PYTHON") or python_of("mlflow")).parent
    if not programs.exists():
        pytest.skip(f"MLflow's environment is missing ({programs}): `python3 -m stack.common.envs mlflow` makes it")
    return programs


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if target := os.environ.get("FRAUD_SECURITY_TARGET"):
        yield from_file(Path(target))
        return
    proxy, _ = request.getfixturevalue("way_out")
    by = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
    with started(tmp_path_factory.mktemp("mlflow"), request.getfixturevalue("programs"), settings=by) as server:
        yield server


@pytest.fixture(scope="session")
def experiment(server: Server) -> str:
    """Id of the experiment that the users have their permissions on."""
    found = server.api("admin", f"experiments/get-by-name?experiment_name={server.experiment}")
    assert found.status == 200, found.text
    return found.json()["experiment"]["experiment_id"]


@pytest.fixture(scope="session")
def run(server: Server, experiment: str) -> str:
    """Id of a run of the trainer's with one artifact, `note.txt`."""
    run = server.made("trainer", "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/note.txt"
    sent = server.call("PUT", path, "trainer", b"a note")
    assert sent.status == 200, sent.text
    return run


@pytest.fixture(scope="session")
def hidden(server: Server) -> Iterator[tuple[str, str]]:
    """Ids of an experiment that `viewer` is denied, and of a run in it."""
    name = f"hidden-{os.urandom(4).hex()}"
    experiment = server.made("admin", "experiments/create", {"name": name})["experiment_id"]
    grant = {"username": "viewer", "resource_type": "experiment", "resource_id": experiment, "permission": "DENY"}
    server.made("admin", "users/permissions/grant", grant, version="3.0")
    run = server.made("admin", "runs/create", {"experiment_id": experiment, "run_name": "hidden-run"})
    yield experiment, run["run"]["info"]["run_id"]
    server.made("admin", "experiments/delete", {"experiment_id": experiment})


@pytest.fixture(scope="session")
def way_out() -> Iterator[tuple[str, list[str]]]:
    """The proxy by which the server's own requests to others would come; nobody is to call it."""
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    with listening() as found:
        yield found


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Address of a listener on loopback, and the paths that somebody asked it for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_CONNECT = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}", asked
    listener.shutdown()
    listener.server_close()
