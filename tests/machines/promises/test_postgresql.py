"""What the roles `postgresql` and `backup` promise of the database's machine."""

from testinfra.host import Host

from tests.support import machines as lab
from tests.support.machines import ask, measured

ADDRESS = "10.231.7.22"


def connect(sslmode: str, password: str = "lab-database", database: str = "mlflow") -> str:
    """What psql says on MLflow's machine, the only one that may connect."""
    where = f"host={ADDRESS} user=mlflow dbname={database} sslmode={sslmode} sslrootcert=/etc/mlflow/database-ca.crt"
    done = lab.inside(lab.MLFLOW).run(f"PGPASSWORD={password} psql -AtqX '{where} connect_timeout=5' -c 'SELECT 1'")
    return done.stdout.strip() or done.stderr


def test_only_tls_and_only_the_password() -> None:
    assert connect("verify-full") == "1"
    assert "no encryption" in connect("disable")
    assert "password authentication failed" in connect("verify-full", password="wrong")
    assert "no pg_hba.conf entry" in connect("verify-full", database="postgres")


def test_passwords_are_kept_as_scram() -> None:
    assert ask("SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = 'mlflow'") == "SCRAM-SHA-256$"
    assert ask("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'mlflow'") == "f"


def test_nobody_else_reaches_it() -> None:
    done = lab.outside("timeout", "5", "bash", "-c", f"</dev/tcp/{ADDRESS}/5432")
    assert done.returncode != 0


def test_users_of_mlflow_are_in_it() -> None:
    assert ask("SELECT count(*) FROM users", "mlflow_auth") == "4"


def test_archive_is_whole_and_encrypted(machine: Host) -> None:
    machine.check_output("runuser -u postgres -- pgbackrest --stanza=main --log-level-console=warn check")
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
