"""What the role `baseline` promises, measured on a machine that it has configured."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.support.machines import GATEWAY, OPERATOR, SSH_CONFIG, TOOLS, attacker, come_from, measured, outside
from tests.support.waiting import wait_until

BAN_AFTER = 5


def test_ssh_audit_finds_no_failure(address: str) -> None:
    done = outside(TOOLS / "ssh-audit", "--no-colors", "--skip-rate-test", address)
    meaning = {0: "no warnings", 2: "warnings", 3: "failures"}.get(done.returncode, "did not run")
    measured("ssh-audit", f"{done.returncode} ({meaning})")
    accepted = {0, 2} if os.environ["EXPECTED_SSH_WARNINGS"] == "yes" else {0}
    assert done.returncode in accepted, f"status {done.returncode}, expected {accepted}:\n{done.stdout[-3000:]}"


def test_nothing_else_is_open(address: str) -> None:
    command = ("nmap", "-sS", "-Pn", "-n", "-p-", "--min-rate=20000", "--max-retries=1", "-oG", "-", address)
    done = outside(*command)
    found = {int(port) for port in re.findall(r"(\d+)/open/", done.stdout)}
    measured("open ports", sorted(found))
    assert found == {int(port) for port in os.environ["EXPECTED_PORTS"].split(",")}, done.stdout + done.stderr


def test_only_keys_let_in(address: str) -> None:
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes")
    done = outside("ssh", "-F", "none", *options, "-o", "PubkeyAuthentication=no", f"deploy@{address}", "true")
    assert "Permission denied (publickey)." in done.stderr, done.stderr
    done = outside("ssh", "-F", str(SSH_CONFIG), "-o", "ProxyCommand=none", f"root@{address}", "true")
    assert "Permission denied (publickey)." in done.stderr, done.stderr


def test_lynis_gains_twenty_points(machine: Host) -> None:
    bare = int(machine.file("/var/lib/lynis-bare").content_string)
    machine.check_output("lynis audit system --quick --quiet --no-colors > /dev/null; true")
    report = machine.file("/var/log/lynis-report.dat").content_string
    now = int(re.findall(r"^hardening_index=(\d+)", report, re.MULTILINE)[0])
    measured("lynis", f"{bare} bare, {now} now")
    left = "\n".join(line for line in report.splitlines() if line.startswith(("suggestion", "warning")))
    assert now >= bare + 20, f"{now}, expected is at least {bare} + 20; what is left:\n{left}"


@pytest.mark.parametrize("name", ["ssh", "nftables", "fail2ban", "systemd-journald", "sysstat"])
def test_service_runs_now_and_after_a_reboot(machine: Host, name: str) -> None:
    service = machine.service(name)
    assert service.is_running, machine.run(f"journalctl -n 30 -u {name}").stdout
    assert machine.run(f"systemctl is-enabled {name}").stdout.strip() in {"enabled", "static"}


# The kernel is the host's: these cannot run here, so only that they will is looked at (docs/security.md).
@pytest.mark.parametrize("name", ["systemd-timesyncd", "auditd", "acct", "apparmor"])
def test_service_of_the_kernel_is_enabled(machine: Host, name: str) -> None:
    assert machine.check_output(f"systemctl is-enabled {name}") == "enabled"
    assert machine.check_output(f"systemctl show -P ConditionResult {name}") == "no"


def test_no_unit_has_failed(machine: Host) -> None:
    assert machine.check_output("systemctl list-units --state=failed --plain --no-legend") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("net.ipv4.conf.all.accept_redirects", 0),
        ("net.ipv4.conf.all.rp_filter", 1),
        ("net.ipv4.conf.all.log_martians", 1),
        ("net.ipv6.conf.all.accept_ra", 0),
        ("net.ipv4.tcp_syncookies", 1),
    ],
)
def test_kernel_setting_of_the_network_holds(machine: Host, name: str, value: int) -> None:
    assert machine.sysctl(name) == value


@pytest.mark.parametrize("setting", ["kernel.kptr_restrict = 2", "fs.suid_dumpable = 0", "kernel.dmesg_restrict = 1"])
def test_kernel_setting_of_the_host_is_written(machine: Host, setting: str) -> None:
    lines = machine.file("/etc/sysctl.d/60-baseline.conf").content_string.splitlines()
    assert f"-{setting}" in lines  # "-": only a container may ignore it


def test_security_updates_install_themselves(machine: Host) -> None:
    dump = machine.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in dump
    assert 'Unattended-Upgrade::Automatic-Reboot "true";' in dump
    done = machine.run("unattended-upgrade --dry-run --debug")
    assert done.rc == 0, done.stderr
    assert "label=Debian-Security" in done.stdout + done.stderr


def test_journal_is_bounded_and_survives(machine: Host) -> None:
    settings = machine.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "\nSystemMaxUse=500M" in settings
    assert "\nStorage=persistent" in settings
    assert machine.check_output("journalctl --header | grep -c /var/log/journal") != "0"


def test_clock_asks_debians_servers(machine: Host) -> None:
    assert machine.file("/etc/systemd/timesyncd.conf.d/baseline.conf").exists
    assert "debian.pool.ntp.org" in machine.check_output("systemd-analyze cat-config systemd/timesyncd.conf")


def test_audit_rules_are_valid(machine: Host) -> None:
    """The kernel takes no rules from a container; the tool that loads them checks their words before."""
    rules = machine.check_output("augenrules --check && grep -c '^-[wa]' /etc/audit/rules.d/baseline.rules")
    assert int(rules.splitlines()[-1]) >= 18
    bad = machine.run("auditctl -R /etc/audit/rules.d/baseline.rules").stderr
    assert "Unknown" not in bad
    assert "syntax" not in bad.lower()


def test_users_are_those_of_the_inventory(machine: Host) -> None:
    """`auditor` logs in by key and may not become root (only on the machine whose inventory has that user)."""
    if os.environ["MACHINE"] != "baseline-13":
        assert not machine.user("auditor").exists
        return
    assert machine.check_output("passwd --status auditor").split()[1] in {"L", "P"}
    assert "ssh-ed25519" in machine.file("/home/auditor/.ssh/authorized_keys").content_string
    assert "NOPASSWD" not in machine.run("sudo -l -U auditor").stdout


# Whoever asks anew each time: neither a kept connection, nor a known host, nor this host's own settings.
SSH = ("ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
SSH += ("-o", "BatchMode=yes", "-o", "ConnectTimeout=3")


@pytest.fixture
def full_agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment of an ssh agent that has five other keys before the right one."""
    with subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL) as agent:
        environment = {"SSH_AUTH_SOCK": str(tmp_path / "agent")}
        wait_until((tmp_path / "agent").exists, "the agent listens")
        for number in range(5):
            key = str(tmp_path / f"key{number}")
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
            subprocess.run(["ssh-add", "-q", key], env=os.environ | environment, check=True)
        right = SSH_CONFIG.parent / "id_ed25519"
        subprocess.run(["ssh-add", "-q", right], env=os.environ | environment, check=True)
        yield environment
        agent.terminate()


def test_the_right_key_as_sixth_of_the_agent_lets_in(machine: Host, address: str, full_agent: dict[str, str]) -> None:
    """Time and again: what is refused before it counts towards no ban."""
    stranger = attacker()
    machine.check_output(f"fail2ban-client unban {stranger}")
    for _ in range(BAN_AFTER + 1):
        done = outside("timeout", "10", *SSH, "-b", stranger, f"deploy@{address}", "true", **full_agent)
        assert done.returncode == 0, done.stderr
    assert stranger not in machine.check_output("fail2ban-client get sshd banned")


def shut(answer: str) -> str | None:
    """What ssh says, unless a server has answered it."""
    return None if "Permission denied" in answer else answer


def test_a_stranger_is_banned_for_failed_logins_and_an_operator_is_not(machine: Host, address: str) -> None:
    """The operators of the inventory, and the address from which Ansible came."""
    intruder, operator = attacker(), come_from(OPERATOR)
    machine.check_output(f"fail2ban-client unban {intruder}")

    def log_in(source: str) -> subprocess.CompletedProcess[str]:
        # A ban in the middle of a log-in leaves the client waiting for an answer that the firewall drops.
        return outside("timeout", "10", *SSH, "-b", source, f"intruder@{address}", "true")

    def banned() -> str:
        return machine.check_output("fail2ban-client get sshd banned")

    for friend in (operator, GATEWAY):
        answers = [log_in(friend).stderr for _ in range(BAN_AFTER + 1)]
        assert "Permission denied" in answers[0], answers[0]
    answers = [log_in(intruder).stderr for _ in range(BAN_AFTER)]
    assert "Permission denied" in answers[0], answers[0]
    # fail2ban reads the journal in its order: when the last one is banned, all before have been counted.
    wait_until(lambda: intruder in banned(), f"{intruder} is banned", 60)
    # It lists an address a moment before the firewall knows it.
    blocked = wait_until(lambda: shut(log_in(intruder).stderr), f"{intruder} gets no answer", 60)
    machine.check_output(f"fail2ban-client unban {intruder}")
    assert "refused" in blocked or "timed out" in blocked, blocked
    for friend in (operator, GATEWAY):
        assert friend not in banned()
        assert "Permission denied" in log_in(friend).stderr
    measured("banned after", f"{BAN_AFTER} failed log-ins: {blocked.strip().splitlines()[-1]}")
