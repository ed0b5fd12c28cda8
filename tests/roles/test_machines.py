"""A machine boots, is reached, restarts, and is removed without a trace. Needs root; takes about a minute."""

import contextlib
import json
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from local_cloud.machines import host
from tests.roles.lab import Machines
from tests.support import ROOT

NAMES = ("one", "two")
DOWNLOAD = "import urllib.request as u; print(u.urlopen('{}', timeout=20).status)"


@pytest.fixture(scope="module")
def lab(machines: Machines) -> Machines:
    machines("up", "one", "--debian=12")
    machines("up", "two", "--debian=13")
    return machines


def test_both_releases_boot_with_systemd_as_first_process(lab: Machines) -> None:
    releases = [lab("ssh", name, "cat /proc/1/comm; . /etc/os-release; echo $VERSION_ID").stdout for name in NAMES]
    assert releases == ["systemd\n12\n", "systemd\n13\n"]


def test_bare_means_ssh_and_nothing_else(lab: Machines) -> None:
    listening = lab("ssh", "one", "sudo ss -tulnH | awk '{print $1, $5}'").stdout.split("\n")
    assert sorted(filter(None, listening)) == ["tcp 0.0.0.0:22", "tcp [::]:22"]


def test_machines_know_each_other_by_name(lab: Machines) -> None:
    code = "import socket; print(socket.create_connection(('two', 22), 5).recv(4))"
    assert lab("ssh", "one", f'python3 -c "{code}"').stdout == "b'SSH-'\n"


def test_ansible_keeps_its_connections_by_lab(lab: Machines) -> None:
    assert f"ansible_control_path_dir: {host.STATE}/labs/{lab.lab}/connections" in lab("inventory").stdout


def test_a_command_runs_outside_of_the_machines_in_their_network(lab: Machines) -> None:
    assert "10.231.7.1/24" in lab("exec", "--", "ip", "-brief", "address", "show", "br0").stdout


def test_packages_come_through_the_proxy(lab: Machines) -> None:
    assert lab("ssh", "one", "sudo apt-get update -qq && apt-cache policy lynis | grep -c Candidate").stdout == "1\n"


def test_nothing_else_is_reached(lab: Machines) -> None:
    by_proxy = lab("ssh", "one", f'python3 -c "{DOWNLOAD.format("https://example.com")}"', check=False)
    assert "403 example.com:443 is not on the allow-list" in by_proxy.stderr
    straight = "import socket; socket.create_connection(('192.0.2.1', 443), 3)"
    assert lab("ssh", "one", f'python3 -c "{straight}"', check=False).returncode != 0


def test_reboot_survives(lab: Machines) -> None:
    before = lab("ssh", "one", "echo kept > kept; cat /proc/sys/kernel/random/boot_id").stdout
    lab("ssh", "one", "sudo systemctl reboot", check=False)
    wait_for_another_boot(lab, before)
    assert lab("ssh", "one", "cat kept").stdout == "kept\n"


def wait_for_another_boot(lab: Machines, before: str) -> None:
    for _ in range(60):
        now = lab("ssh", "one", "cat /proc/sys/kernel/random/boot_id", check=False)
        if now.returncode == 0 and now.stdout != before:
            return
    pytest.fail(f"still the boot {before}")


@pytest.mark.parametrize("how", [[], ["--now"]], ids=["shut down", "power cut"])
def test_a_stopped_machine_keeps_its_disk(lab: Machines, how: list[str]) -> None:
    lab("ssh", "two", "echo kept > kept; sync")
    lab("stop", "two", *how)
    assert {m["name"]: m["state"] for m in json.loads(lab("list", "--json").stdout)}["two"] == "stopped"
    control = Path(yaml.safe_load(lab("inventory").stdout)["all"]["vars"]["ansible_control_path_dir"])
    control.mkdir(exist_ok=True)
    (control / "of-the-boot-before").touch()
    lab("up", "two")
    assert lab("ssh", "two", "cat kept").stdout == "kept\n"
    # At the same address Ansible would ask the machine that is no more: unreachable.
    assert not (control / "of-the-boot-before").exists()


def test_up_again_changes_nothing(lab: Machines) -> None:
    boot = lab("ssh", "one", "cat /proc/sys/kernel/random/boot_id").stdout
    lab("up", "one")
    assert lab("ssh", "one", "cat /proc/sys/kernel/random/boot_id").stdout == boot


# A guest asks the address where a cloud's metadata service would be, as soon as somebody listens there.
ASK_METADATA = """
import socket, time
for _ in range(50):
    try:
        connection = socket.create_connection(("169.254.169.254", 80), 5)
        break
    except ConnectionRefusedError:
        time.sleep(.1)
connection.sendall(b"ping")
print(connection.recv(4))
"""


def test_a_service_of_the_host_reaches_machines_by_a_relay(lab: Machines) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as running:
        to = f"host:127.0.0.1:{server.getsockname()[1]}"
        relay = running.enter_context(subprocess.Popen(lab.command("relay", "lab:169.254.169.254:80", to), cwd=ROOT))
        running.callback(relay.terminate)
        guest = subprocess.Popen(
            lab.command("ssh", "one", "python3", "-c", shlex.quote(ASK_METADATA)),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        server.settimeout(20)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(4) == b"ping"
            connection.sendall(b"pong")
        assert guest.communicate(timeout=10)[0] == "b'pong'\n"


@pytest.mark.parametrize("name", ["Two", "../two", "", "a" * 40])
def test_a_name_that_is_none_is_refused(lab: Machines, name: str) -> None:
    done = lab("up", name, check=False)
    assert done.returncode == 1
    assert "is no name; expected is" in done.stderr


def test_down_leaves_nothing(lab: Machines) -> None:
    lab("up", "gone")
    namespace = f"fraud-{lab.lab}-gone"
    assert Path("/run/netns", namespace).exists()
    lab("down", "gone")
    assert not Path("/run/netns", namespace).exists()
    assert namespace not in Path("/proc/self/mounts").read_text()
    assert "gone" not in lab("inventory").stdout
    done = lab("ssh", "one", "cat /etc/hosts")
    assert "gone" not in done.stdout
