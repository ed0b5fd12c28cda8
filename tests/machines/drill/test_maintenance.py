"""Maintenance as its owner does it, by the playbooks: `make drill-machines`.

In order: a backup, a point in time, a rotation, an upgrade and one that fails, other certificates; and in the end both
machines are destroyed and made anew.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support import machines as lab
from tests.support.machines import (
    ADDRESS,
    DATABASE,
    GATEWAY,
    LAB,
    MLFLOW,
    ROOT,
    TOOLS,
    Done,
    ask,
    healthy,
    inside,
    measured,
    until,
)

OBJECTS = lab.STATE / f"{LAB}-objects"
INVENTORY = ROOT / "molecule" / "stack" / "inventory.yml"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def command(name: str, *more: str) -> tuple[list[str], dict[str, str]]:
    """`ansible-playbook` as a person calls it, with the lab's inventory, and its environment."""
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    return [str(TOOLS / "ansible-playbook"), f"--inventory={INVENTORY}", name, *more], environment


def playbook(name: str, *more: str, check: bool = True) -> Done:
    called, environment = command(name, *more)
    begun = time.monotonic()
    done = subprocess.run(called, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    measured(f"{name} {' '.join(more)[:60]}", f"{time.monotonic() - begun:.0f} s")
    assert not check or done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done


def interrupted(name: str, seconds: float) -> None:
    """The same, killed after a while: nothing of it has a chance to tidy up."""
    called, environment = command(name)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(called, cwd=ROOT, env=environment, start_new_session=True, **quiet)
    time.sleep(seconds)
    assert process.poll() is None, f"{name} has ended within {seconds} s: there is nothing to interrupt"
    # Ansible's workers lead groups of their own, and outlive it.
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(worker), signal.SIGKILL)


def changed(done: Done) -> dict[str, int]:
    return {host: int(count) for host, count, _, _ in RECAP.findall(done.stdout)}


def rows(database: str = "mlflow") -> dict[str, int]:
    """Rows of every table, as PostgreSQL counts them."""
    tables = ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database).split()
    counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM \"{table}\"" for table in tables)
    found = dict(line.split("|") for line in ask(counts, database).splitlines())
    return {table: int(count) for table, count in found.items()}


def archive_is_well() -> None:
    inside(DATABASE).check_output("runuser -u postgres -- pgbackrest --stanza=main --log-level-console=warn check")


def artifact(run: str) -> str:
    """Hash of a run's artifact as a client gets it."""
    return lab.client("hash", run)["sha256"]


@pytest.fixture(autouse=True)
def well() -> Iterator[None]:
    until(healthy, 60, "MLflow answers")
    yield
    until(healthy, 60, "MLflow answers again")


def test_dry_runs_change_nothing() -> None:
    before, passwd = rows(), inside(MLFLOW).check_output("sha256sum /etc/mlflow/* /run/mlflow-secrets/*")
    listed = playbook("ansible/playbooks/backup.yml", "--check")
    shown = playbook("ansible/playbooks/rotate.yml", "--check")
    assert "secrets of mlflow, taken up" in shown.stdout
    assert "/etc/certificates/tls-proxy/server.crt until" in shown.stdout
    assert "none of them" not in listed.stdout
    playbook("ansible/playbooks/upgrade.yml", "--check")
    playbook("ansible/playbooks/backup.yml")
    playbook("ansible/playbooks/restore.yml", "--check", "-e", "restore_backup=latest")
    assert healthy()
    assert rows() == before
    assert inside(MLFLOW).check_output("sha256sum /etc/mlflow/* /run/mlflow-secrets/*") == passwd


@pytest.mark.parametrize("given", [(), ("-e", "restore_backup=latest", "-e", "restore_time=now")])
def test_restore_asks_for_exactly_one(given: tuple[str, ...]) -> None:
    done = playbook("ansible/playbooks/restore.yml", *given, check=False)
    assert done.returncode != 0
    assert "give exactly one" in done.stdout
    assert healthy()


def test_restore_of_a_dump_brings_back_what_it_had() -> None:
    kept = lab.client("upload", 5)
    playbook("ansible/playbooks/backup.yml")
    before, users = rows(), rows("mlflow_auth")
    lab.client("record", 3)
    assert rows() != before
    said = playbook("ansible/playbooks/restore.yml", "-e", "restore_backup=latest").stdout
    assert rows() == before
    assert rows("mlflow_auth") == users
    assert artifact(kept["run"]) == kept["sha256"]
    assert "all as in the manifest" in said
    inside(MLFLOW).check_output("systemctl start mlflow-backup@verify.service")


def test_restore_to_a_moment() -> None:
    kept = lab.client("record", 3)
    then = ask("SELECT now()")
    before = rows()
    time.sleep(2)
    lab.client("record", 3)  # what was a mistake
    ask("SELECT pg_switch_wal()")
    playbook("ansible/playbooks/restore.yml", "-e", json.dumps({"restore_time": then}))
    assert rows() == before
    assert kept["lost"] == 0
    archive_is_well()
    assert lab.client("record", 3)["lost"] == 0


# ------------------------------------------------------------------------------------------------ secrets
def test_rotation_takes_up_every_secret_and_certificate(tmp_path: Path) -> None:
    new = {name: f"lab-password-{name}-2" for name in lab.PASSWORDS}
    values = {
        "mlflow_passwords": {name: {"value": value} for name, value in new.items()},
        "mlflow_database_password": {"value": "lab-database-2"},
        "postgresql_password": {"value": "lab-database-2"},
        "mlflow_session_key": {"value": "lab-session-key-two-of-thirty-two-bytes"},
    }
    (tmp_path / "new.json").write_text(json.dumps(values))
    serial = "openssl x509 -noout -serial -in /etc/certificates/{}/server.crt"
    before = [
        inside(MLFLOW).check_output(serial.format("tls-proxy")),
        inside(DATABASE).check_output(serial.format("postgresql")),
    ]
    old = dict(lab.PASSWORDS)
    try:
        playbook("ansible/playbooks/rotate.yml", "-e", f"@{tmp_path}/new.json")
        lab.PASSWORDS.update(new)
        until(healthy, 60, "the new passwords hold")
        for name in old:
            assert lab.status("/version", name, old[name]) == "401"
            assert lab.status("/version", name) == "200"
        after = [
            inside(MLFLOW).check_output(serial.format("tls-proxy")),
            inside(DATABASE).check_output(serial.format("postgresql")),
        ]
        assert all(one != other for one, other in zip(before, after, strict=True))
        refused = inside(MLFLOW).run(
            f"PGPASSWORD=lab-database psql 'host={DATABASE} user=mlflow dbname=mlflow sslmode=require' -c 'SELECT 1'"
        )
        assert "password authentication failed" in refused.stderr
    finally:
        playbook("ansible/playbooks/rotate.yml")  # what the inventory says
        lab.PASSWORDS.update(old)


# ------------------------------------------------------------------------------------------------ releases
def version() -> str:
    return inside(MLFLOW).check_output("/opt/mlflow/current/bin/python -m pip show mlflow | sed -n 's/^Version: //p'")


def test_an_upgrade_that_fails_leads_back(tmp_path: Path) -> None:
    """A release whose server does not start: what served before serves again, with all that it had."""
    lock = (ROOT / "requirements" / "mlflow.txt").read_text()
    broken = re.sub(r"(?m)^gunicorn==.*(\n {4}.*)*\n", "", lock)
    assert broken != lock
    (tmp_path / "broken.txt").write_text(broken)
    kept = lab.client("upload", 5)
    before, release = rows(), inside(MLFLOW).check_output("readlink /opt/mlflow/current")
    done = playbook("ansible/playbooks/upgrade.yml", "-e", f"upgrade_lock={tmp_path}/broken.txt", check=False)
    assert done.returncode != 0
    assert "The old release serves again" in done.stdout
    assert inside(MLFLOW).check_output("readlink /opt/mlflow/current") == release
    assert rows() == before
    assert artifact(kept["run"]) == kept["sha256"]


EARLIER = "3.17.0"
HASHES = {  # of that release, which needs the same libraries as ours
    "mlflow": "3954eaa998d4dd4ac8772894293a285bb5e3a428f6f9b37cac298e787423eafd",
    "mlflow-skinny": "443c1e8cbf04edc71434754e0dae2846db91814b342c65bbc05b131c2a68b7ba",
    "mlflow-tracing": "8e5cb21bd53720f163098fe12a54e2cc5dff19e5b811889205ef10469248ee9e",
}
SCHEMA_BEFORE = """
import os, sqlalchemy
from alembic import command
from mlflow.store.db import utils
url = os.environ["MLFLOW_BACKEND_STORE_URI"]
config = utils._get_alembic_config(url)
with sqlalchemy.create_engine(url).begin() as connection:
    config.attributes["connection"] = connection
    command.downgrade(config, "-1")
"""


def earlier_lock(folder: Path) -> Path:
    lock = (ROOT / "requirements" / "mlflow.txt").read_text()
    for name, digest in HASHES.items():
        block = f"{name}=={EARLIER} \\\n    --hash=sha256:{digest}\n"
        lock, found = re.subn(rf"(?m)^{name}==\S+ \\\n(    --hash=\S+( \\)?\n)+", lambda _, block=block: block, lock)
        assert found == 1, name
    file = folder / "earlier.txt"
    file.write_text(lock)
    return file


def older_schema() -> None:
    """Stops MLflow and takes the last change of its schema back, with its own tools."""
    encoded = base64.b64encode(SCHEMA_BEFORE.encode()).decode()
    inside(MLFLOW).check_output(
        "systemctl stop mlflow && umask 077 && sed 's/^/*:*:*:*:/' /run/mlflow-secrets/database > /root/pgpass && "
        f"echo {encoded} | base64 -d > /root/before.py && "
        "systemd-run --wait --pipe --quiet -p EnvironmentFile=/etc/mlflow/environment -E PGPASSFILE=/root/pgpass "
        "/opt/mlflow/current/bin/python -W ignore /root/before.py && rm /root/pgpass /root/before.py"
    )


def test_upgrade_from_an_earlier_release_and_schema(tmp_path: Path) -> None:
    """A machine and a schema as an earlier release left them, with their runs, become today's."""
    now = version()
    playbook("site.yml", "--limit=mlflow", "-e", f"mlflow_lock={earlier_lock(tmp_path)}")
    assert version() == EARLIER != now
    kept = lab.client("upload", 5)
    before = rows()
    older_schema()
    refused = playbook("site.yml", "--limit=mlflow", check=False)
    assert refused.returncode != 0
    assert "ansible-playbook ansible/playbooks/upgrade.yml" in " ".join(refused.stdout.split())
    assert version() == EARLIER
    older_schema()  # MLflow migrates by itself where a table is missing, so the release that goes on has done it
    said = playbook("ansible/playbooks/upgrade.yml").stdout
    assert "changed: schema of runs from" in said
    measured("upgrade", f"MLflow {EARLIER} -> {version()}, and the schema")
    assert version() == now
    after = rows()
    assert all(after[table] == before[table] for table in ("runs", "experiments", "metrics", "tags"))
    assert artifact(kept["run"]) == kept["sha256"]


# ------------------------------------------------------------------------------------------ certificates, deletions
def served() -> str:
    """Issuer of the certificate that nginx shows."""
    show = f"openssl s_client -connect {ADDRESS}:443 -servername {MLFLOW} < /dev/null | openssl x509 -noout -issuer"
    return lab.outside("sh", "-c", show).stdout


def test_a_given_certificate_is_served(tmp_path: Path) -> None:
    authority = trustme.CA(organization_name="given")
    mine = authority.issue_cert(MLFLOW, ADDRESS)
    values = {
        "tls_proxy_certificate_source": "given",
        "tls_proxy_certificate": mine.cert_chain_pems[0].bytes().decode(),
        "tls_proxy_certificate_key": {"value": mine.private_key_pem.bytes().decode().strip()},
    }
    (tmp_path / "given.json").write_text(json.dumps(values))
    try:
        playbook("site.yml", "--limit=mlflow", "-e", f"@{tmp_path}/given.json")
        assert "O = given" in served()
    finally:
        playbook("site.yml", "--limit=mlflow")
    assert f"authority of {MLFLOW}" in served()


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[str]:
    """Address of an ACME service in the lab (Let's Encrypt's own test server); its authority is on MLflow's machine."""
    if not shutil.which("pebble"):
        pytest.skip("no ACME server: apt-get install pebble")
    authority = trustme.CA()
    authority.issue_cert(GATEWAY).private_key_and_cert_chain_pem.write_to_path(tmp_path / "pebble.pem")
    endpoints = {"listenAddress": f"{GATEWAY}:14000", "managementListenAddress": f"{GATEWAY}:15000"}
    keys = {"certificate": str(tmp_path / "pebble.pem"), "privateKey": str(tmp_path / "pebble.pem")}
    ports = {"httpPort": 80, "tlsPort": 443, "ocspResponderURL": ""}
    (tmp_path / "pebble.json").write_text(json.dumps({"pebble": endpoints | keys | ports}))
    names = ("pebble-challtestsrv", "-defaultIPv4", ADDRESS, "-defaultIPv6", "", "-dns01", f"{GATEWAY}:8053")
    quiet = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{GATEWAY}:8055")
    services = [(*names, *quiet), ("pebble", "-config", str(tmp_path / "pebble.json"), "-dnsserver", f"{GATEWAY}:8053")]
    with contextlib.ExitStack() as running, open(tmp_path / "log", "wb") as log:
        for service in services:
            process = subprocess.Popen([*lab.ENTER, *service], stdout=log, stderr=log, cwd=ROOT)
            running.callback(process.wait, 10)
            running.callback(process.terminate)
        encoded = base64.b64encode(authority.cert_pem.bytes()).decode()
        inside(MLFLOW).check_output(f"echo {encoded} | base64 -d > /etc/ssl/acme-ca.crt")
        for address in (f"https://{GATEWAY}:14000/dir", f"http://{GATEWAY}:8055"):
            reachable = ("curl", "-sk", "--noproxy", "*", address)
            until(lambda reachable=reachable: lab.outside(*reachable).returncode == 0, 20, f"{address} answers")
        yield f"https://{GATEWAY}:14000/dir"
        # The next service knows nothing of this account.
        inside(MLFLOW).check_output(
            "rm -rf /etc/certificates/tls-proxy-acme /etc/letsencrypt/accounts /etc/letsencrypt/archive "
            "/etc/letsencrypt/live /etc/letsencrypt/renewal"
        )


def test_a_certificate_from_an_acme_service(acme: str) -> None:
    values = {
        "tls_proxy_certificate_source": "acme",
        "tls_proxy_hosts": [MLFLOW],
        "tls_proxy_acme_email": "owner@lab.example",
        "tls_proxy_acme_directory": acme,
        "tls_proxy_acme_ca": "/etc/ssl/acme-ca.crt",
        "baseline_firewall_inbound": [
            {"port": port, "proto": "tcp", "from": [], "comment": "MLflow"} for port in (80, 443)
        ],
    }
    serial = "openssl x509 -noout -serial -in /etc/certificates/tls-proxy-acme/server.crt"
    try:
        playbook("site.yml", "--limit=mlflow", "-e", json.dumps(values))
        assert "Pebble" in served()
        again = playbook("site.yml", "--limit=mlflow", "-e", json.dumps(values))
        assert not any(changed(again).values()), again.stdout[-4000:]
        first = inside(MLFLOW).check_output(serial)
        # As certbot's timer does it when the time has come.
        inside(MLFLOW).check_output(
            "REQUESTS_CA_BUNDLE=/etc/ssl/acme-ca.crt certbot -q renew --force-renewal --no-random-sleep-on-renew"
        )
        assert inside(MLFLOW).check_output(serial) != first
        assert "Pebble" in served()
    finally:
        playbook("site.yml", "--limit=mlflow")
        lab.authority.cache_clear()  # another: it may sign for the machine's names only, and they have changed twice
    assert f"authority of {MLFLOW}" in served()


def test_what_users_deleted_goes_for_good() -> None:
    """`mlflow gc`, as its timer starts it, with nothing to wait for."""
    gone, kept = lab.client("upload", 2), lab.client("upload", 2)
    lab.client("delete", gone["run"], user="admin")
    host, settings = inside(MLFLOW), "/etc/mlflow/environment"
    host.check_output(f"cp -p {settings} /root/kept && sed -i 's/^GC_OLDER_THAN=.*/GC_OLDER_THAN=1s/' {settings}")
    try:
        time.sleep(2)
        host.check_output("systemctl start mlflow-job@gc.service")
    finally:
        host.check_output(f"cp -p /root/kept {settings}")
    left = ask(f"SELECT run_uuid FROM runs WHERE run_uuid IN ('{gone['run']}', '{kept['run']}')", "mlflow")
    assert left == kept["run"]
    objects = OBJECTS / "data" / "artifacts" / "mlflow"
    assert not list(objects.glob(f"*/{gone['run']}/**/model.bin"))
    assert list(objects.glob(f"*/{kept['run']}/**/model.bin"))
    assert artifact(kept["run"]) == kept["sha256"]


# ------------------------------------------------------------------------------------------------ both machines lost
def machines(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", *arguments], cwd=ROOT, check=True)


def replace_machine(name: str, address: str) -> None:
    """Destroys a machine with its disk and makes a bare one of the same name."""
    debian = inside(name).check_output(". /etc/os-release; echo $VERSION_ID")
    machines("down", name)
    machines("up", name, f"--debian={debian}", f"--address={address}")
    lab.inside.cache_clear()
    lab.authority.cache_clear()


def test_the_database_is_lost_and_comes_back_to_its_last_change() -> None:
    """From the archive of the write-ahead log, not from a dump; and not twice."""
    kept = lab.client("record", 5)
    before, users = rows(), rows("mlflow_auth")
    segment = ask("SELECT pg_walfile_name(pg_switch_wal())")  # what would follow by itself within a minute
    archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    until(lambda: ask(archived) == "t", 60, "it is archived")
    begun = time.monotonic()
    replace_machine(DATABASE, "10.231.7.22")
    playbook("site.yml")
    playbook("ansible/playbooks/restore.yml", "--check", "-e", "restore_time=last")
    assert rows()["runs"] == 0
    said = playbook("ansible/playbooks/restore.yml", "-e", "restore_time=last").stdout
    until(healthy, 60, "users log in")
    measured("database destroyed", f"as it was, on a new machine, in {(time.monotonic() - begun) / 60:.1f} minutes")
    assert rows() == before
    assert f"{before['runs']} runs, the newest begun 2" in said
    assert rows("mlflow_auth") == users
    assert kept["lost"] == 0
    archive_is_well()
    refused = playbook("ansible/playbooks/restore.yml", "-e", "restore_time=last", check=False)
    assert refused.returncode != 0
    assert f"this one has {before['runs']} runs" in " ".join(refused.stdout.split())
    assert rows() == before


def test_both_machines_are_lost_and_all_comes_back() -> None:
    """New machines, a playbook that is killed on the way and called again, the backup."""
    kept = lab.client("upload", 20)
    playbook("ansible/playbooks/backup.yml")
    before, users = rows(), rows("mlflow_auth")
    begun = time.monotonic()
    replace_machine(DATABASE, "10.231.7.22")
    replace_machine(MLFLOW, ADDRESS)
    for seconds in (25, 60):
        interrupted("site.yml", seconds)
    playbook("site.yml")
    playbook("ansible/playbooks/restore.yml", "-e", "restore_backup=latest")
    until(healthy, 60, "users log in")
    measured("both machines destroyed", f"all restored on new ones in {(time.monotonic() - begun) / 60:.1f} minutes")
    after = rows()
    assert after == before
    assert rows("mlflow_auth") == users
    assert artifact(kept["run"]) == kept["sha256"]
    for name in lab.PASSWORDS:
        assert lab.status("/version", name) == "200"
    again = playbook("site.yml")
    assert not any(changed(again).values()), again.stdout[-4000:]
    archive_is_well()
