"""A deployment in the cloud as a running system: MLflow by a tunnel, machines by ssh, the way back by Airflow's API.

ssh is a stand-in that notes what it was called with, forwards one port, and knows two commands. MLflow and Airflow are
small servers that refuse what the real ones refuse: a certificate for another name, a call without the proxy's header.
"""

import io
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console

from stack.cloud import inventory, pause, ui
from stack.cloud import system as cloud_system
from stack.cloud.account import Account
from stack.cloud.airflow_secrets import VARIABLE
from stack.cloud.deployment import Deployment
from stack.cloud.machines import certificate
from stack.cloud.outputs import Outputs
from stack.cloud.settings import Settings
from stack.cloud.system import CloudSystem
from stack.common import lockbox
from stack.common.errors import StackError
from stack.running import asking, logs, questions, screen, serving, shape
from tests.bootstrap.test_inventory import OUTPUTS, PUBLIC
from tests.support.cloud import FOLDER

STATUS = {"jobs": {}, "certificates": {}, "disks": {"/": {"percent": 40, "free_gib": 12.0}}, "problems": ["too hot"]}
SSH = """#!{python}
import json, os, socket, sys, threading
with open(os.environ["FAKE_SSH"] + "/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
words = sys.argv[1:]
if "-L" in words:
    _, local, _, _ = words[words.index("-L") + 1].split(":")
    def pump(one, other):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    with socket.create_server(("127.0.0.1", int(local))) as server:
        while True:
            here, _ = server.accept()
            there = socket.create_connection(("127.0.0.1", int(os.environ["FAKE_PORT"])))
            for pair in ((here, there), (there, here)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
elif "machine-status" in words and "mlflow" in words:
    print(json.dumps({status}))
elif "journalctl" in words:
    print("journal of " + " ".join(word for word in words if word.startswith("--unit")))
elif "-D" not in words:
    sys.exit("ssh: connect to host 10.130.2.11 port 22: Connection timed out")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ssh was called with until now."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(SSH.format(python=sys.executable, status=repr(STATUS)))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("FAKE_SSH", str(folder))
    monkeypatch.setattr(cloud_system, "takes", lambda *_: False)  # this computer is not in the network
    return lambda: [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


@pytest.fixture
def system(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> CloudSystem:
    """A deployment whose machine has no public address. The value of each secret is its id, told backwards."""
    outputs = json.loads(json.dumps(OUTPUTS))
    outputs["mlflow"]["public_address"] = None
    outputs["ssh"]["hosts"]["mlflow"] = "10.130.2.10"
    outputs["buckets"] |= {"lake": f"x-lake-{FOLDER}"}
    outputs["connections"] = {VARIABLE: "id-variable"}
    deployment.save("outputs", outputs)
    inventory.write(deployment, Outputs.parse(outputs), PUBLIC)
    monkeypatch.setattr(Account, "find", classmethod(lambda cls: cls("test", "t1.token")))
    monkeypatch.setattr(lockbox, "payload", lambda _, secret_id: {"password": secret_id[::-1]})
    return CloudSystem(deployment, hurry=True)


# ------------------------------------------------------------------------------------------------ MLflow
def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """(certificate, key) of a server of that name, which is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, private = folder / f"{name}.crt", folder / f"{name}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*encoding))
    return file, private


@pytest.fixture
def mlflow(tmp_path: Path, system: CloudSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's proxy: `asked` are path, Host and log-in of what came; `name` on its certificate."""
    state = SimpleNamespace(asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Host"], self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def show(name: str) -> None:
        file, private = make_certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, private)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        certificate(system.deployment).write_bytes(file.read_bytes())
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    state.show = show
    monkeypatch.setenv("FAKE_PORT", str(server.server_address[1]))
    yield state
    server.shutdown()
    server.server_close()


def test_mlflow_is_asked_by_a_tunnel_under_its_own_name(system: CloudSystem, calls: Any, mlflow: Any) -> None:
    mlflow.show("mlflow.x.internal")
    with system.mlflow() as way:
        assert way.get("health", 5).text == "OK"
    ((path, host, login),) = mlflow.asked
    assert (path, host) == ("/health", "mlflow.x.internal")
    assert login == requests.auth._basic_auth_str("viewer", "reweiv-di")  # who may read, and nothing else
    (words,) = calls()
    assert words[:2] == ["-F", str(system.deployment.ssh_config)]
    assert words[words.index("-L") + 1].endswith(":10.130.2.10:443")
    assert "reweiv-di" not in " ".join(words), "no secret in the list of processes"


def test_another_servers_certificate_is_not_taken(system: CloudSystem, calls: Any, mlflow: Any) -> None:
    mlflow.show("mlflow.another.internal")
    with system.mlflow() as way, pytest.raises(requests.exceptions.SSLError):
        way.get("health", 5)
    assert mlflow.asked == []


# ------------------------------------------------------------------------------------------------ machines
def test_a_machine_tells_how_it_is_and_one_that_is_away_says_why(system: CloudSystem, calls: Any) -> None:
    machines = system.machines()
    assert list(machines) == ["mlflow", "database"]
    assert machines["mlflow"]() == STATUS
    with pytest.raises(StackError, match=r"`machine-status` on database: ssh: connect to host .* timed out"):
        machines["database"]()
    assert all("BatchMode=yes" in words for words in calls()), "nobody is there to answer a question"


def test_another_computer_is_told_what_it_lacks(system: CloudSystem, calls: Any) -> None:
    system.deployment.ssh_config.unlink()
    with pytest.raises(StackError, match="ssh_config is missing: `make bootstrap` writes it; or copy the folder"):
        system.machines()["mlflow"]()


def test_a_journal_is_read_by_its_name(system: CloudSystem, calls: Any, capsys: pytest.CaptureFixture[str]) -> None:
    logs.show(system, "nginx")
    assert "journal of --unit=nginx.service" in capsys.readouterr().out
    words = calls()[-1]
    assert words[words.index("sudo") - 1] == "mlflow"
    with pytest.raises(
        StackError, match=r"OF=ngnix: there is no such log. OF= takes mlflow, nginx, backup, postgresql"
    ):
        logs.show(system, "ngnix")
    logs.show(system, None)
    assert "or one of its tasks, as retrain/cluster.train" in capsys.readouterr().out


def test_the_way_to_the_pages_is_told_without_a_secret(
    system: CloudSystem, calls: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui, "takes", lambda *_: False)
    ui.show(system)
    said = capsys.readouterr().out
    assert "https://airflow  user admin, password: yc lockbox payload get id-airflow-admin --key password" in said
    assert "--proxy-server=socks5://127.0.0.1:" in said
    assert "nimda-" not in said, "no secret"
    (words,) = calls()
    assert words[-2].startswith("127.0.0.1:")
    assert words[-3:][0] == "-D"


def test_who_may_not_log_in_is_told_once_and_still_sees_the_machines(
    system: CloudSystem, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(cls: type[Account]) -> Account:
        tried.append(cls)
        raise StackError("There are no credentials")

    monkeypatch.setattr(Account, "find", classmethod(refuse))
    whole = asking.ask(system)
    assert len(tried) == 1
    assert (whole.serving.why, whole.costs.why) == ("There are no credentials",) * 2
    assert [one.state for one in whole.machines.values()] == ["person", "unknown"]
    assert (whole.exit_status, whole.problems) == (1, ["machine mlflow: too hot"])
    out = io.StringIO()
    screen.show(whole, Console(file=out, width=100))
    assert out.getvalue().count("There are no credentials") == 1
    assert "as said above" in out.getvalue()


def test_what_was_paused_is_seen(system: CloudSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def parts(_: Any, settings: Settings) -> list[pause.Part]:
        seen.append(settings)
        return [pause.Part("machine", "x-mlflow", "id", "STOPPED"), pause.Part("Airflow cluster", "x", "id", "RUNNING")]

    monkeypatch.setattr(pause, "parts", parts)
    found, problems = questions.programs(system)
    assert found == [shape.Component("machine x-mlflow", "STOPPED"), shape.Component("Airflow cluster x", "RUNNING")]
    assert problems == ["machine x-mlflow is STOPPED: `make resume` starts what was paused"]
    assert seen == [Settings(FOLDER, "x")]


# ------------------------------------------------------------------------------------------------ Airflow
@pytest.fixture(params=["3.1", "2.11"])
def airflow(request: pytest.FixtureRequest, system: CloudSystem) -> Iterator[Any]:
    """Airflow behind the vendor's proxy: `made` are the runs that were asked for, with their configuration."""
    version = request.param
    api = "/api/v2" if version == "3.1" else "/api/v1"
    state = SimpleNamespace(made=[], paused=True, ends="success")
    password = "nimda-wolfria-di"

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            path = self.path.partition("?")[0]
            if self.headers["X-Cloud-Authorization"] != "Bearer t1.token":
                return self.give(403, {})
            if path == "/auth/token" and version == "3.1":
                return self.give(
                    201 if body == {"username": "admin", "password": password} else 401, {"access_token": "j"}
                )
            basic = requests.auth._basic_auth_str("admin", password)
            if self.headers["Authorization"] != ("Bearer j" if version == "3.1" else basic):
                return self.give(401, {})
            return self.give(*self.of(path.removeprefix(api), body))

        def of(self, path: str, body: Any) -> tuple[int, Any]:
            run = {"dag_run_id": "manual__1", "state": state.ends, "start_date": "2026-11-27T00:00:00Z"}
            move = {"task_id": "move", "state": state.ends, "try_number": 1, "start_date": "x", "end_date": None}
            if self.command == "PATCH" and path == "/dags/rollback":
                state.paused = body["is_paused"]
                return 200, {}
            if self.command == "POST" and path == "/dags/rollback/dagRuns":
                expected = {"conf", "logical_date"} if version == "3.1" else {"conf"}
                if set(body) != expected or state.paused:
                    return 422, {}
                state.made.append(body["conf"])
                return 200, run
            answers = {
                "/dags/rollback/dagRuns": {"dag_runs": [run] if state.made else []},
                "/dags/rollback/dagRuns/manual__1/taskInstances": {"task_instances": [move]},
                "/dags/rollback/dagRuns/manual__1/taskInstances/move/xcomEntries/return_value": {
                    "value": "moved: 3 -> 2"
                },
                "/dags/rollback/dagRuns/manual__1/taskInstances/move/logs/1": {"content": LOG[version]},
            }
            return (200, answers[path]) if path in answers else (404, {})

        def give(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    told = system.deployment.load("outputs", {})
    told["airflow"] |= {"url": f"http://127.0.0.1:{server.server_address[1]}", "version": version}
    system.deployment.save("outputs", told)
    yield state
    server.shutdown()
    server.server_close()


REFUSED = "Refused: Error, version 9 cannot serve"
LOG = {"3.1": [{"event": "begun"}, {"event": REFUSED}], "2.11": str([("worker", f"begun\n{REFUSED}\n")])}


def test_the_way_back_goes_by_airflow_in_the_cloud_too(
    system: CloudSystem, airflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.trigger(system, "rollback", {"to": None, "why": "it finds nothing"})
    assert airflow.made == [{"to": None, "why": "it finds nothing"}]
    assert "moved: 3 -> 2" in capsys.readouterr().out
    logs.show(system, "rollback")
    assert REFUSED in capsys.readouterr().out


def test_a_refusal_comes_back_with_its_reason(system: CloudSystem, airflow: Any) -> None:
    airflow.ends = "failed"
    with pytest.raises(StackError, match=f"The task move of rollback failed: {REFUSED}"):
        serving.trigger(system, "rollback", {"to": "9", "why": "it finds nothing"})


def test_a_password_that_is_refused_says_where_the_right_one_is(
    system: CloudSystem, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockbox, "payload", lambda *_: {"password": "of yesterday"})
    with pytest.raises(StackError, match=r"refuses the log-in of `admin`; its password is in the secret"):
        system.airflow().runs("rollback")
