"""What the roles `postgresql` and `backup` promise of the database's machine."""

from testinfra.host import Host

from tests.support.database_machine import DATABASE_ADDRESS, archive_is_well, ask, connect
from tests.support.machines import measured, outside


def test_only_tls_and_only_the_password() -> None:
    assert connect("verify-full") == "1"
    assert "no encryption" in connect("disable")
    assert "password authentication failed" in connect("verify-full", password="wrong")
    assert "no pg_hba.conf entry" in connect("verify-full", database="postgres")


def test_passwords_are_kept_as_scram() -> None:
    assert ask("SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = 'mlflow'") == "SCRAM-SHA-256$"
    assert ask("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'mlflow'") == "f"


def test_nobody_else_reaches_it() -> None:
    done = outside("timeout", "5", "bash", "-c", f"</dev/tcp/{DATABASE_ADDRESS}/5432")
    assert done.returncode != 0


def test_users_of_mlflow_are_in_it() -> None:
    assert ask("SELECT count(*) FROM users", "mlflow_auth") == "4"


def test_archive_is_whole_and_encrypted(machine: Host) -> None:
    archive_is_well()
    info = machine.check_output("runuser -u postgres -- pgbackrest --stanza=main info")
    assert "status: ok" in info
    assert "cipher: aes-256-cbc" in info


def test_archive_restores(machine: Host) -> None:
    machine.check_output("systemctl start pgbackrest-verify.service")
    said = machine.file("/run/pgbackrest-verify.out").content_string
    measured("archive", said.splitlines()[-1])
    rows = {tuple(line.split()[:2]): line.split()[3::2] for line in said.splitlines() if " live " in line}
    restored, live = rows[("mlflow_auth", "users")]
    assert restored == live == "4"
