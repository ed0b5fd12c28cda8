"""What happens to a training run, and to the server, when something breaks under them: `make drill-machines`.

A client logs a metric five times a second, with MLflow's own retries and nothing else. The service must come back by
itself, the client must end well or with a clear error, and whatever it was told was taken must be there.
"""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.support.database_machine import DATABASE
from tests.support.machines import (
    inside,
    measured,
    outside,
)
from tests.support.mlflow_machine import (
    ADDRESS,
    MLFLOW,
    authority,
    client,
    client_command,
    creating,
    finish,
    healthy,
    recording,
    start_client,
    status,
    wait_for_line,
)
from tests.support.waiting import seconds_until, wait_until

OUTAGE = 60  # seconds that the database is unreachable
BACK = 120  # seconds within which the service must be back


@contextmanager
def unreachable(machine: str, hook: str, rule: str) -> Iterator[None]:
    """Drops packets silently, as a broken network does."""
    chain = f"add chain inet fault {hook} {{ type filter hook {hook} priority -50; }}"
    inside(machine).check_output(
        f"nft add table inet fault && nft '{chain}' && nft add rule inet fault {hook} {rule} drop"
    )
    try:
        yield
    finally:
        inside(machine).check_output("nft delete table inet fault")


def kill(machine: str, who: str) -> Callable[[], None]:
    return lambda: inside(machine).check_output(f"pkill -9 {who}") and None


def reboot(machine: str) -> Callable[[], None]:
    """Returns when another boot answers."""

    def boot() -> str:
        """Empty while it does not answer."""
        try:
            return inside(machine).run("systemctl show -P UserspaceTimestamp").stdout
        except RuntimeError:  # ssh's own failure
            return ""

    def work() -> None:
        before = boot()
        inside(machine).run("systemd-run --on-active=1 systemctl reboot")
        wait_until(lambda: (now := boot()) and now != before, f"{machine} boots again", BACK)

    return work


def database_away() -> None:
    with unreachable(DATABASE, "input", "tcp dport 5432"):
        time.sleep(OUTAGE)


FAULTS: dict[str, Callable[[], None]] = {
    "kill -9 gunicorn": kill(MLFLOW, "-u mlflow"),
    "kill -9 nginx": kill(MLFLOW, "nginx"),
    "kill -9 PostgreSQL": kill(DATABASE, "-u postgres"),
    f"database unreachable for {OUTAGE} s": database_away,
    "reboot of MLflow's machine": reboot(MLFLOW),
    "reboot of the database's machine": reboot(DATABASE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_run_survives(fault: str) -> None:
    process = recording(20 + (OUTAGE if "unreachable" in fault else 0))
    time.sleep(2)
    begun = time.monotonic()
    FAULTS[fault]()
    away = seconds_until(healthy, "MLflow answers again", BACK)
    measured(fault, f"answered {time.monotonic() - begun:.0f} s after it began, {away:.0f} s after its end")
    told = finish(process)
    measured(fault, f"{told['taken']} calls taken, {told['lost']} lost, the longest took {told['longest']} s")
    assert told["lost"] == 0
    # How many depends on how busy this host is: the client went on to its end, before the fault and after it.
    assert told["taken"] >= 2


def restart() -> None:
    inside(MLFLOW).check_output("systemctl restart mlflow")


# The client's own connection ends with nginx, and clients before 3.18 repeat whatever was on it.
CREATING: dict[str, Callable[[], None]] = {
    "restart of MLflow": restart,
    "kill -9 gunicorn": FAULTS["kill -9 gunicorn"],
    "restart of nginx": lambda: inside(MLFLOW).check_output("systemctl restart nginx") and None,
}


@pytest.mark.parametrize("fault", CREATING)
def test_what_is_created_is_there_once(fault: str) -> None:
    process = creating()
    CREATING[fault]()
    wait_until(healthy, "MLflow answers again", BACK)
    wait_for_line(process, "made")
    told = finish(process)
    measured(f"{fault}, creating", f"{told['created']} runs and versions, {len(told['unknown'])} in doubt, none twice")
    assert (told["lost"], told["doubled"]) == ([], []), told
    # Of what was under way: a worker whose master is killed works on for a moment.
    assert fault == "kill -9 gunicorn" or not told["unknown"], "only a kill leaves a doubt"


def test_an_upload_survives_a_silent_object_store() -> None:
    with unreachable(MLFLOW, "output", "ip daddr 10.231.7.1 tcp dport 9443"):
        process = start_client("upload", 200)
        time.sleep(25)
    told = finish(process)
    measured("object store unreachable for 25 s", f"200 MiB up {told['up']} s, equal {told['equal']}")
    assert told["equal"]
    assert told["up"] > 10, "the upload did not meet the outage"


@contextmanager
def full(machine: str, folder: str) -> Iterator[None]:
    """No byte is left where `folder` lies (a file system in memory, never this host's disk)."""
    host = inside(machine)
    assert host.check_output(f"findmnt -no FSTYPE --target {folder}") == "tmpfs"
    free = host.check_output(f"df --output=avail -B1 {folder} | tail -1").strip()
    host.check_output(
        f"fallocate -l {free} {folder}/fill || true; dd if=/dev/zero of={folder}/fill2 2>/dev/null || true"
    )
    try:
        yield
    finally:
        host.check_output(f"rm -f {folder}/fill {folder}/fill2")


@contextmanager
def small_cache() -> Iterator[str]:
    """What artifacts pass through is a small file system."""
    host, folder = inside(MLFLOW), "/var/cache/mlflow"
    host.check_output(
        f"systemctl stop mlflow && mount -t tmpfs -o size=300m,mode=700 none {folder} && "
        f"chown mlflow: {folder} && systemctl start mlflow"
    )
    try:
        wait_until(healthy, "MLflow answers with the small disk", BACK)
        yield folder
    finally:
        host.check_output(f"systemctl stop mlflow; umount {folder}; systemctl start mlflow")


def test_a_full_disk_at_mlflow_is_said_and_metrics_go_on() -> None:
    """An artifact passes through the cache; metrics do not."""
    with small_cache() as folder, full(MLFLOW, folder):
        command, environment = client_command("upload", 20)
        done = outside(*command, timeout=300, **environment)
        assert done.returncode != 0
        said = done.stderr.strip().splitlines()[-1]
        measured("disk full at MLflow", f"the client is told: {said[-200:]}")
        assert "no space left" in said, said
        assert client("record", 3)["lost"] == 0
    assert client("upload", 20)["equal"]


@contextmanager
def small_disk() -> Iterator[str]:
    """PostgreSQL's data on a small file system, and back to where they were."""
    host, data = inside(DATABASE), "/var/lib/postgresql"
    unit = host.check_output("systemctl list-units --plain --no-legend 'postgresql@*.service' | cut -d' ' -f1")
    host.check_output(
        f"systemctl stop {unit} && mkdir -p /mnt/small && mount -t tmpfs -o size=300m,mode=755 none /mnt/small && "
        f"cp -a {data}/. /mnt/small/ && mount --bind /mnt/small {data} && systemctl start {unit}"
    )
    try:
        yield data
    finally:
        host.check_output(
            f"systemctl stop {unit}; umount {data} && find {data} -mindepth 1 -delete; cp -a /mnt/small/. {data}/ && "
            f"umount /mnt/small && systemctl start {unit}"
        )


def test_a_full_disk_at_the_database_loses_nothing() -> None:
    with small_disk() as data:
        wait_until(healthy, "MLflow answers with the small disk", BACK)
        process = recording(45)
        with full(DATABASE, data):
            time.sleep(20)
        wait_until(healthy, "MLflow answers again", BACK)
        told = finish(process)
        measured(
            "disk full at PostgreSQL for 20 s",
            f"{told['taken']} calls taken, {told['lost']} lost, the longest {told['longest']} s",
        )
        assert told["lost"] == 0


def expired(certificate: x509.Certificate, issuer: x509.Certificate, key: str) -> str:
    """The same certificate, but over since yesterday."""
    over = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=certificate.subject,
        public_key=certificate.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=over - timedelta(days=90),
        not_valid_after=over,
        extensions=list(certificate.extensions),
    )
    signed = builder.sign(load_pem_private_key(key.encode(), None), hashes.SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(Encoding.PEM).decode()


def test_an_expired_certificate_is_refused_and_renewed_by_the_timer() -> None:
    host, folder = inside(MLFLOW), "/etc/certificates/tls-proxy"
    read = {name: host.file(f"{folder}/{name}").content_string for name in ("server.crt", "ca.crt", "ca.key")}
    certificate, issuer = (x509.load_pem_x509_certificate(read[name].encode()) for name in ("server.crt", "ca.crt"))
    bad = base64.b64encode(expired(certificate, issuer, read["ca.key"]).encode()).decode()
    host.check_output(f"echo {bad} | base64 -d > {folder}/server.crt && systemctl reload nginx")
    wait_until(lambda: status("/health") == "000", "clients refuse the expired certificate", 300)
    said = outside(
        "curl", "--silent", "--show-error", "--cacert", str(authority()), f"https://{ADDRESS}/health", no_proxy="*"
    )
    assert "expired" in said.stderr, said.stderr
    host.check_output("systemctl start certificate-tls-proxy.service")
    took = seconds_until(lambda: status("/health") == "200", "the timer's job has renewed it", 300)
    measured("expired certificate", f"renewed and served after {took:.0f} s")


def test_a_minute_of_kills() -> None:
    """Whatever is killed at whatever moment: the run ends well."""
    stop, killed = threading.Event(), []

    def killer() -> None:
        while not stop.wait(20):
            for who in ("-u mlflow", "nginx"):
                inside(MLFLOW).run(f"kill -9 $(pgrep {who} | shuf -n 1)")
                killed.append(who)

    thread = threading.Thread(target=killer)
    process = recording(90)
    thread.start()
    try:
        told = finish(process)
    finally:
        stop.set()
        thread.join()
    measured(
        "two processes killed every 20 s", f"{len(killed)} kills, {told['taken']} calls taken, {told['lost']} lost"
    )
    assert told["lost"] == 0
    assert told["taken"] >= 2, "the client went on to its end"
