"""PostgreSQL's data on a disk of their own: another machine, a larger disk, a Debian that cannot read them.

tests/roles/test_data_disk.py looks at the disk itself.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.machines import base, host, layers
from tests.roles.lab import Machines
from tests.support import ROOT
from tests.support.installation import layer_names
from tests.support.machines import TOOLS
from tests.support.playbooks import changed

pytestmark = pytest.mark.verify
NAME = "kept-db"
PLAY = [
    {
        "hosts": NAME,
        "become": True,
        "vars": {
            "data_disk_device": "/dev/disk/by-id/virtio-data",
            "postgresql_hosts": [NAME],
            "postgresql_clients": ["10.231.7.99/32"],
            "postgresql_password": {"value": "lab-database"},
            "postgresql_memory_mb": 512,
        },
        "roles": [{"role": "data_disk"}, {"role": "postgresql"}],
    }
]


class Database:
    """A machine with PostgreSQL by the roles, and a disk that outlives it."""

    def __init__(self, machines: Machines, folder: Path) -> None:
        self.machines, self.folder = machines, folder
        (folder / "play.yml").write_text(json.dumps(PLAY))

    def boot(self, debian: str = base.DEFAULT) -> None:
        """Makes the machine anew; what it has installed may come from a layer."""
        layer = layer_names(debian)["stack-db"]
        begin_with = "" if layers.problem(layer) else layer
        self.machines("down", NAME)
        self.machines("up", NAME, f"--debian={debian}", "--disk=data=1G", f"--layer={begin_with}")
        (self.folder / "inventory.yml").write_text(self.machines("inventory").stdout)

    def play(self, fails: bool = False) -> str:
        """What `ansible-playbook` said, with single spaces."""
        command = [TOOLS / "ansible-playbook", f"--inventory={self.folder}/inventory.yml", self.folder / "play.yml"]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert (done.returncode != 0) == fails, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def ask(self, script: str) -> str:
        return self.machines("ssh", NAME, f"sudo sh -euc '{script}'").stdout.strip()

    def query(self, statement: str) -> str:
        return self.ask(f'runuser -u postgres -- psql -AtqX -c "{statement}"')


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    machines = Machines(f"kept-{os.getpid()}")
    found = Database(machines, tmp_path_factory.mktemp("kept"))
    try:
        found.boot()
        found.play()
        found.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        yield found
    finally:
        machines("down", "--all")
        shutil.rmtree(host.STATE / "labs" / machines.lab)


def test_the_data_are_on_the_disk(database: Database) -> None:
    assert database.ask("findmnt --noheadings --output FSTYPE --target /var/lib/postgresql/17/main") == "xfs"
    assert changed(database.play()) == {NAME: 0}


def test_the_disk_grows_under_a_database_that_runs(database: Database) -> None:
    begun = database.query("SELECT pg_postmaster_start_time()")
    size = "df --output=size -BM /var/lib/postgresql | tail -1"
    before = int(database.ask(size).rstrip("M"))
    database.machines("disk", NAME, "data", "2G")
    assert changed(database.play()) == {NAME: 1}
    assert int(database.ask(size).rstrip("M")) > before + 1000
    assert database.query("SELECT pg_postmaster_start_time()") == begun


def test_another_machine_serves_the_same_database(database: Database) -> None:
    known = database.query("SELECT system_identifier FROM pg_control_system()")
    database.boot()
    database.ask("useradd --system one; useradd --system two; useradd --system three")  # they take numbers
    database.play()
    assert database.query("SELECT count(*) FROM kept") == "1000"
    assert database.query("SELECT system_identifier FROM pg_control_system()") == known
    assert changed(database.play()) == {NAME: 0}


def test_postgresql_waits_for_the_disk_at_a_boot(database: Database) -> None:
    database.machines("stop", NAME)
    database.machines("up", NAME)
    unit = "postgresql@17-main"
    assert "var-lib-postgresql.mount" in database.ask(f"systemctl show --property=Requires,After {unit}")
    database.ask(f'timeout 60 sh -c "until systemctl is-active --quiet {unit}; do sleep .2; done"')
    assert database.query("SELECT count(*) FROM kept") == "1000"


def test_a_debian_that_cannot_read_them_is_refused(database: Database) -> None:
    database.boot("12")
    said = " ".join(database.play(fails=True).split())
    assert "/var/lib/postgresql has data of PostgreSQL 17, but Debian 12 brings PostgreSQL 15" in said
    assert "mv /var/lib/postgresql/17 /var/lib/postgresql/before" in said
    assert database.ask("cat /var/lib/postgresql/17/main/PG_VERSION; ls /var/lib/postgresql") == "17\n17"
