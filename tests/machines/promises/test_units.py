"""Every unit that a role has made, by systemd's own measure."""

import re

from testinfra.host import Host

from tests.support.machines import measured

MOST = {"mlflow.service": 1.2}  # of 10; every other unit of ours: 2.5


def own_units(machine: Host) -> list[str]:
    """Service units that lie in /etc, and PostgreSQL's, whose sandbox lies there as a drop-in."""
    names = machine.check_output(
        "cd /etc/systemd/system && find . -maxdepth 1 -type f -name '*.service' -printf '%f\\n'"
    )
    running = machine.run("systemctl list-units --plain --no-legend 'postgresql@*.service'").stdout
    return [name.replace("@.", "@x.") for name in names.split()] + re.findall(r"postgresql@\S+\.service", running)


def test_exposure_of_every_unit(machine: Host) -> None:
    exposed = {}
    for unit in own_units(machine):
        said = machine.run(f"systemd-analyze security --no-pager {unit}").stdout
        level = re.search(r"exposure level for \S+: ([0-9.]+)", said)
        assert level, f"{unit}: {said[-300:]}"
        exposed[unit] = float(level[1])
    measured("exposure", ", ".join(f"{unit} {level}" for unit, level in sorted(exposed.items())))
    assert exposed
    over = {unit: level for unit, level in exposed.items() if level > MOST.get(unit, 2.5)}
    assert not over, f"too exposed (most: mlflow 1.2, others 2.5): {over}"


def test_no_secret_is_in_a_log_or_an_argument(machine: Host) -> None:
    """The lab's secrets all begin alike."""
    processes = machine.check_output("ps axww -o args= | grep -v grep").splitlines()
    assert not [line for line in processes if re.search("lab-(password|database|session|cipher|secret)", line)]
    journal = machine.check_output(
        "journalctl --no-pager --output=cat | grep -cE 'lab-(password|session|cipher|secret)' || true"
    )
    assert journal.strip() == "0", machine.check_output(
        "journalctl --no-pager | grep -E 'lab-(password|session|cipher|secret)' | head -5"
    )
