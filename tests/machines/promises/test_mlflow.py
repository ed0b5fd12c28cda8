"""What the roles `mlflow`, `tls_proxy` and `backup` promise, measured on their machine and from outside."""

import json
import os
import re
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.support.machines import (
    TOOLS,
    attacker,
    beside,
    measured,
    outside,
)
from tests.support.mlflow_machine import ADDRESS, MLFLOW, PASSWORDS, authority, client, status
from tests.support.waiting import wait_until

BAN_AFTER = 10
MEMORY = 700  # MiB, with two workers
HSTS = 63_072_000  # seconds: two years
BIG, CLIENTS = int(os.environ.get("TRANSFER_MIB", "1024")), 10  # MiB; clients that log meanwhile


def test_tls_is_mozillas_intermediate() -> None:
    done = outside(
        TOOLS / "sslyze",
        "--mozilla_config=intermediate",
        f"--certinfo_ca_file={authority()}",
        f"{ADDRESS}:443",
        no_proxy="*",
    )
    verdict = [line.strip() for line in done.stdout.splitlines() if ADDRESS in line][-1]
    measured("sslyze", verdict)
    assert done.returncode == 0, done.stdout[-3000:]


def headers(path: str, *more: str) -> dict[str, str]:
    done = outside(
        "curl",
        "--silent",
        "--include",
        "--cacert",
        str(authority()),
        *more,
        f"https://{ADDRESS}{path}",
        no_proxy="*",
    )
    lines = done.stdout.split("\r\n\r\n")[0].splitlines()
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return {"status": lines[0].split()[1], **found}


def test_answers_carry_the_security_headers() -> None:
    for path, more in (("/", ()), ("/", ("--user", f"viewer:{PASSWORDS['viewer']}"))):
        found = headers(path, *more)
        assert int(found["strict-transport-security"].partition("=")[2].split(";")[0]) >= HSTS
        assert found["x-content-type-options"] == "nosniff"
        assert found["x-frame-options"] == "SAMEORIGIN"
        assert "object-src 'none'" in found["content-security-policy"]
        assert found.get("server") == "nginx"  # and no version


def test_health_is_all_that_is_open() -> None:
    assert status("/health") == "200"
    assert headers("/")["status"] == "401"
    assert headers("/health", "--header", "Host: evil.example")["status"] == "200"  # a load balancer comes by address
    assert headers("/", "--header", "Host: evil.example")["status"] == "421"


def test_log_is_json_without_secrets(machine: Host) -> None:
    status("/api/2.0/mlflow/experiments/search?max_results=1&token=lab-password-query", "viewer")
    lines = machine.check_output("journalctl --no-pager --output=cat -t mlflow_access -n 50").splitlines()
    entries = [json.loads(line) for line in lines]
    assert {"address", "status", "path", "seconds", "id"} <= entries[-1].keys()
    assert "lab-password" not in "\n".join(lines)


@pytest.mark.parametrize("name", ["mlflow", "nginx", "mlflow-gc.timer", "mlflow-backup@make.timer"])
def test_service_runs_now_and_after_a_reboot(machine: Host, name: str) -> None:
    assert machine.service(name).is_running, machine.run(f"journalctl -n 30 -u {name}").stdout
    assert machine.service(name).is_enabled


def test_limits_are_set(machine: Host) -> None:
    """A guest's cgroup has no controllers: only the value can be looked at (docs/security.md)."""
    said = machine.check_output("systemctl show mlflow -p MemoryMax -p IPAddressDeny -p TasksMax")
    assert "MemoryMax=1572864000" in said
    assert "IPAddressDeny=::/0 0.0.0.0/0" in said or "IPAddressDeny=0.0.0.0/0 ::/0" in said


def test_what_passes_through_lies_on_the_disk(machine: Host) -> None:
    """/tmp may be memory; the service's own folder is where the system's disk is, and only its user's."""
    environment = machine.check_output("tr '\\0' '\\n' < /proc/$(pgrep -o -u mlflow -f gunicorn)/environ")
    assert "TMPDIR=/var/cache/mlflow" in environment.splitlines()
    assert machine.check_output("findmnt -no FSTYPE --target /var/cache/mlflow") != "tmpfs"
    assert (machine.file("/var/cache/mlflow").mode, machine.file("/var/cache/mlflow").user) == (0o700, "mlflow")


def test_secrets_are_for_the_service_alone(machine: Host) -> None:
    assert machine.file("/run/mlflow-secrets").mode == 0o700
    assert machine.run("runuser -u www-data -- ls /run/mlflow-secrets").rc != 0
    assert machine.file("/etc/secrets/mlflow.json").mode == 0o600
    environment = machine.check_output("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID mlflow)/environ")
    # The session key is read from the environment by MLflow; no other secret is there.
    assert not re.search("lab-(password|database|secret)", environment)


def memory(machine: Host) -> int:
    """MiB of the server's processes; what they share counts once."""
    sums = "for p in $(pgrep -u mlflow); do awk '/^Pss:/ {print $2}' /proc/$p/smaps_rollup; done"
    return sum(map(int, machine.check_output(sums).split())) // 1024


def test_a_gibibyte_up_and_down_while_ten_clients_log(machine: Host) -> None:
    before = memory(machine)
    told = client("transfer", BIG, CLIENTS, timeout=900)
    after = memory(machine)
    calls = sum(told["logged"])
    measured(f"{BIG} MiB", f"up {told['up']} s, down {told['down']} s, {CLIENTS} clients made {calls} calls meanwhile")
    measured("memory", f"{before} MiB before, {after} MiB after")
    assert told["equal"]
    assert not told["errors"]
    assert min(told["logged"]) >= 5, told["logged"]
    assert after < MEMORY


def test_failed_logins_are_banned(machine: Host) -> None:
    intruder = attacker()
    machine.check_output(f"fail2ban-client unban {intruder}")
    try:
        tried = [status("/version", "admin", "guess", intruder) for _ in range(BAN_AFTER)]
        assert tried[0] == "401", tried
        banned = "fail2ban-client get mlflow banned"
        wait_until(lambda: intruder in machine.check_output(banned), f"{intruder} is banned", 300)
        # fail2ban lists an address a moment before the firewall knows it.
        wait_until(lambda: status("/health", source=intruder) == "000", f"{intruder} gets no answer", 60)
        assert status("/health") == "200"
        measured("banned after", f"{BAN_AFTER} failed log-ins")
    finally:
        machine.check_output(f"fail2ban-client unban {intruder}")


@pytest.fixture
def unbanned(machine: Host) -> None:
    """The probes come from the machine itself and fail to log in hundreds of times."""
    machine.check_output(f"fail2ban-client set mlflow addignoreip {ADDRESS}")


@pytest.mark.parametrize("port", ["nginx", "inner"])
def test_no_published_advisory_is_open(unbanned: None, tmp_path: Path, port: str) -> None:
    """tests/security, from the machine's own network: its loopback is where a forged request would go."""
    inner = {"url": "http://127.0.0.1:5000", "hosts": ["127.0.0.1"]}
    nginx = {"url": f"https://{ADDRESS}", "hosts": [ADDRESS], "ca": str(authority()), "behind_proxy": True}
    target = {"passwords": PASSWORDS, "experiment": "fraud-retraining", "model": "fraud"}
    (tmp_path / "target.json").write_text(json.dumps(target | (inner if port == "inner" else nginx)))
    probes = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests/security")
    done = beside(
        MLFLOW,
        TOOLS / "python",
        *probes,
        timeout=900,
        FRAUD_SECURITY_TARGET=str(tmp_path / "target.json"),
        no_proxy="*",
    )
    measured(f"probes by {port}", done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
