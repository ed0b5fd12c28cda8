"""Whether this computer will reach the machines is asked before they are paid for; ssh goes by the jump host."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from stack.cloud import card, inventory, way_in
from stack.cloud.deployment import Deployment
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import JumpHost, read_way_in, require_way_in
from stack.common.envs import ROOT
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import CloudFixture
from tests.bootstrap.test_inventory import OUTPUTS, ssh_option

INSIDE, OUTSIDE = "10.130.2.0/24", "8.8.8.8/32"
pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not on PATH")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the module's variables."""
    folder = tmp_path / "project"
    (folder / "terraform").mkdir(parents=True)
    shutil.copy(ROOT / "terraform" / "variables.tf", folder / "terraform")
    return folder


def declared(project: Path, ssh: str = "", more: str = "", cidrs: str = INSIDE) -> Deployment:
    """A deployment whose settings say this of the way in."""
    (project / "key.pub").write_text("ssh-ed25519 AAAA of a test\n")
    (project / "terraform" / "terraform.tfvars").write_text(
        f'folder_id = "b1gfolder00000000001"\noperator_cidrs = ["{cidrs}"]\n'
        f'ssh = {{ public_key_file = "{project / "key.pub"}", user = "ops", {ssh} }}\n{more}'
    )
    folder = project / "deployment"
    folder.mkdir(exist_ok=True)
    return Deployment(folder, project)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_private_machine_that_nobody_reaches_is_refused_before_anything_is_made(untouched: CloudFixture) -> None:
    file = untouched.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    file.write_text(kept.replace(", neighbour", ' }\nlabels = { x = "y" }\n#'))
    status, printed = untouched.run("bootstrap", "--yes")
    file.write_text(kept)
    assert status == 1
    assert "FAIL  the way to the machines: mlflow.public is false" in printed
    for way in ("mlflow = { public = true }", "jump_host", "neighbour", "make bootstrap ONLY=network"):
        assert way in printed
    assert untouched.calls() == []


def test_a_public_machine_is_reached_from_the_operators_addresses(project: Path) -> None:
    told = require_way_in(declared(project, more="mlflow = { public = true }\n", cidrs=OUTSIDE))
    assert told == f"MLflow's machine has a public address, and ssh is open for {OUTSIDE}"


def test_a_neighbour_that_answers_shows_that_this_computer_is_inside(project: Path, listener: int) -> None:
    told = require_way_in(declared(project, f'neighbour = "127.0.0.1:{listener}"'))
    assert told == f"from inside: 127.0.0.1:{listener} answers this computer"


def test_a_network_that_takes_every_connection_proves_nothing(
    project: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_in, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(way_in, "NOBODYS", other.getsockname()[1])
        with pytest.raises(StackError, match="does not answer"):
            require_way_in(declared(project, f'neighbour = "127.0.0.1:{listener}"'))
        with socket.create_server(("127.0.0.1", 0)) as ssh:
            Thread(target=lambda: ssh.accept()[0].sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), daemon=True).start()
            port = ssh.getsockname()[1]
            assert "answers this computer" in require_way_in(declared(project, f'neighbour = "127.0.0.1:{port}"'))


def test_a_neighbour_that_does_not_answer_is_refused(project: Path) -> None:
    with pytest.raises(StackError, match=r"ssh.neighbour 127\.0\.0\.1:1 does not answer .* Switch the VPN on"):
        require_way_in(declared(project, 'neighbour = "127.0.0.1:1"'))


def test_a_neighbour_outside_the_network_is_none(project: Path) -> None:
    with pytest.raises(StackError, match=r'"8\.8\.8\.8:53": an address of the network'):
        require_way_in(declared(project, 'neighbour = "8.8.8.8:53"'))


def test_a_machine_that_is_there_and_answers_needs_no_declaration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(way_in, "answers", lambda host, port: asked.append((host, port)) or True)
    assert require_way_in(declared(project)) == "MLflow's machine answers at 10.130.2.10"
    assert asked == [("10.130.2.10", 22)]


@pytest.mark.parametrize("ssh", ['neighbour = "127.0.0.1:1"', 'jump_host = "bastion.example.com"'])
def test_a_firewall_that_would_refuse_the_way_is_said(project: Path, ssh: str) -> None:
    with pytest.raises(StackError, match=r"operator_cidrs is 8\.8\.8\.8/32, public addresses only.*10\.130\.2\.0/24"):
        require_way_in(declared(project, ssh, cidrs=OUTSIDE))


# ------------------------------------------------------------------------------------------------ the jump host
LET_IN = 'Authenticated to bastion.example.com ([203.0.113.5]:2222) using "publickey".'
AS_SSH_SAYS = {  # what OpenSSH prints with -v -W, and whether it comes to an end
    "lets in and on, nobody is there yet": (f"{LET_IN}\nchannel 0: open failed: connect failed: No route to host", 255),
    "lets in and on, looks for long": (LET_IN, None),
    "forbids to go on": (f"{LET_IN}\nchannel 0: open failed: administratively prohibited: open failed", 255),
    "knows no such key": (
        "OpenSSH_9.2p1 Debian-2\ndebug1: Offering\nops@bastion.example.com: Permission denied (publickey).",
        255,
    ),
    "is not there": ("ssh: Could not resolve hostname bastion.example.com: Name or service not known", 255),
}


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` that says what `said` has, keeps its arguments and its configuration, and waits if it is told to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncp "$2" {tmp_path}/config\ncat {tmp_path}/said >&2\n'
        f"[ -s {tmp_path}/status ] && exit $(cat {tmp_path}/status)\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(way_in, "SECONDS", 1)
    return tmp_path


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("lets in and on, nobody is there yet", "by the jump host ops@bastion.example.com:2222, which lets"),
        ("lets in and on, looks for long", "by the jump host ops@bastion.example.com:2222, which lets"),
        ("forbids to go on", "forbids to go on to 10.130.2.10:22. Its sshd needs AllowTcpForwarding yes"),
        ("knows no such key", "does not let this computer in: ops@bastion.example.com: Permission denied (publickey)."),
        ("is not there", "Name or service not known. Try `ssh -p 2222 ops@bastion.example.com` until"),
    ],
)
def test_the_jump_host_is_asked(project: Path, fake_ssh: Path, case: str, outcome: str) -> None:
    said, status = AS_SSH_SAYS[case]
    (fake_ssh / "said").write_text(f"{said}\n")
    (fake_ssh / "status").write_text("" if status is None else str(status))
    deployment = declared(project, 'jump_host = "ops@bastion.example.com:2222"')
    try:
        told = require_way_in(deployment)
    except StackError as problem:
        told = str(problem)
    assert outcome in told
    arguments = (fake_ssh / "arguments").read_text()
    assert "BatchMode=yes" in arguments
    assert arguments.endswith("-W 10.130.2.10:22 jump\n")
    config = (fake_ssh / "config").read_text()
    assert "HostName bastion.example.com" in config
    assert f'IdentityFile "{project / "key"}"' in config


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_ssh_goes_by_the_jump_host(project: Path) -> None:
    """What ssh itself makes of the configuration: to MLflow's machine by the jump host, to the database's by both."""
    deployment = declared(project, 'jump_host = "alice@bastion.example.com:2222"')
    hosts = {"mlflow": "10.130.2.10", "database": "10.130.2.11"}
    outputs = OUTPUTS | {"ssh": {"user": "ops", "hosts": hosts}}
    outputs["mlflow"] = OUTPUTS["mlflow"] | {"public_address": None}
    inventory.write(deployment, Outputs.parse(outputs), read_way_in(deployment))
    mlflow, database, jump = (ssh_option(deployment.ssh_config, name) for name in ("mlflow", "database", "jump"))
    assert (mlflow["hostname"], mlflow["proxyjump"], mlflow["user"]) == ("10.130.2.10", "jump", "ops")
    assert (database["hostname"], database["proxyjump"]) == ("10.130.2.11", "mlflow")
    assert (jump["hostname"], jump["port"], jump["user"]) == ("bastion.example.com", "2222", "alice")
    assert "proxyjump" not in jump
    assert mlflow["identityfile"] == jump["identityfile"] == str(project / "key")
    # The jump host is somebody else's: it may want another key of the agent.
    assert (mlflow["identitiesonly"], database["identitiesonly"], jump["identitiesonly"]) == ("yes", "yes", "no")
    assert f"-F '{deployment.ssh_config}'" in deployment.inventory.read_text(), "Ansible goes the same way"


def test_the_card_names_the_jump_host(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = declared(project, 'jump_host = "alice@bastion.example.com:2222"')
    outputs = OUTPUTS | {"mlflow": OUTPUTS["mlflow"] | {"public_address": None}}
    card.show(deployment, Outputs.parse(outputs), read_way_in(deployment), 1)
    assert "by the jump host alice@bastion.example.com:2222" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_a_public_machine_needs_no_jump_host(project: Path) -> None:
    deployment = declared(project, 'jump_host = "bastion.example.com"', "mlflow = { public = true }\n")
    inventory.write(deployment, Outputs.parse(OUTPUTS), read_way_in(deployment))
    assert "proxyjump" not in ssh_option(deployment.ssh_config, "mlflow")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bastion", ("bastion", None, None)),
        ("ops@203.0.113.5", ("203.0.113.5", "ops", None)),
        ("ops@[2001:db8::5]:2222", ("2001:db8::5", "ops", "2222")),
    ],
)
def test_a_jump_host_is_written_as_for_ssh(text: str, parts: tuple[str, str | None, str | None]) -> None:
    jump = JumpHost.parse(text)
    assert (jump.host, jump.user, jump.port) == parts


def test_a_jump_host_that_is_none_is_refused_by_terraform(project: Path) -> None:
    with pytest.raises(StackError, match=r'ssh.jump_host is "two words"'):
        read_way_in(declared(project, 'jump_host = "two words"'))
