"""PostgreSQL on the lab's machine: as its owner sees it, and as MLflow's machine does."""

import shlex

from tests.support.machines import inside
from tests.support.mlflow_machine import MLFLOW

DATABASE, DATABASE_ADDRESS = "stack-db", "10.231.7.22"


def ask(statement: str, database: str = "postgres") -> str:
    """What PostgreSQL's owner is answered on the database's machine."""
    psql = f"runuser -u postgres -- psql -AtqX -d {database} -c"
    return inside(DATABASE).check_output(f"{psql} {shlex.quote(statement)}")


def rows(database: str = "mlflow") -> dict[str, int]:
    """Rows of every table, as PostgreSQL counts them."""
    tables = ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database).split()
    counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM \"{table}\"" for table in tables)
    found = dict(line.split("|") for line in ask(counts, database).splitlines())
    return {table: int(count) for table, count in found.items()}


def connect(sslmode: str = "verify-full", password: str = "lab-database", database: str = "mlflow") -> str:
    """What psql answers or is refused with on MLflow's machine, the only one that may connect."""
    server = f"host={DATABASE_ADDRESS} user=mlflow dbname={database} connect_timeout=5"
    tls = f"sslmode={sslmode} sslrootcert=/etc/mlflow/database-ca.crt"
    done = inside(MLFLOW).run(f"PGPASSWORD={password} psql -AtqX '{server} {tls}' -c 'SELECT 1'")
    return done.stdout.strip() or done.stderr


def archive_is_well() -> None:
    inside(DATABASE).check_output("runuser -u postgres -- pgbackrest --stanza=main --log-level-console=warn check")
