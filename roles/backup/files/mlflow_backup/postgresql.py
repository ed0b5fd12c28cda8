"""MLflow's databases: dumped, loaded and counted, by PostgreSQL's own programs and the driver of MLflow's addresses.

The password comes from PGPASSFILE.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, func, inspect, select, table, text

BIN = Path(os.environ["POSTGRESQL_BIN"])
VERSION_TABLES = ("alembic_version", "alembic_version_auth")


def databases() -> dict[str, str]:
    """Name in a backup -> its address."""
    return {"mlflow": os.environ["MLFLOW_BACKEND_STORE_URI"], "mlflow_auth": os.environ["AUTH_DATABASE_URI"]}


def driver() -> str:
    """What MLflow's addresses begin with, for example `postgresql+psycopg2`."""
    return databases()["mlflow"].partition(":")[0]


def for_libpq(url: str) -> str:
    """The address as PostgreSQL's programs read it: without the driver."""
    return "postgresql:" + url.partition(":")[2]


@contextlib.contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection that reads, and sees one moment all the time."""
    engine = sqlalchemy.create_engine(url, isolation_level="REPEATABLE READ", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        yield connection.execution_options(postgresql_readonly=True)


def count_rows(connection: Connection) -> dict[str, int]:
    """Rows of every table of the schema `public`."""
    names = sorted(inspect(connection).get_table_names(schema="public"))
    return {name: connection.scalar(select(func.count()).select_from(table(name, schema="public"))) for name in names}


def schema_of(connection: Connection) -> str:
    """The revision that MLflow's migrations have left."""
    for name in VERSION_TABLES:
        if inspect(connection).has_table(name, schema="public"):
            return connection.scalar(text(f"SELECT version_num FROM public.{name}")) or ""
    return ""


def program(name: str, *arguments: str, **more: Any) -> None:
    done = subprocess.run([BIN / name, *arguments], stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        sys.exit(f"{name} failed with status {done.returncode}:\n{done.stderr.strip()[-2000:]}")


def dump(url: str, file: Path) -> dict[str, Any]:
    """Dumps a database; rows are counted in the very snapshot that is dumped."""
    with connect(url) as connection:
        server, ours = connection.dialect.server_version_info[0], int(BIN.parent.name)
        if server > ours:
            sys.exit(
                f"PostgreSQL {server} cannot be dumped by pg_dump {ours}: put MLflow on a Debian that brings "
                f"PostgreSQL {server} (Debian 13 has 17), or use a server of version {ours}."
            )
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        tables = count_rows(connection)
        program("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={file}", for_libpq(url))
        return {"schema": schema_of(connection), "tables": tables, "bytes": file.stat().st_size}


def load(url: str, file: Path) -> None:
    """Replaces all that a database holds, in one transaction."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", dir=file.parent) as clear:
        clear.write("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        clear.flush()
        statements = file.with_suffix(".sql")
        program("pg_restore", "--no-owner", "--no-privileges", "--schema=public", f"--file={statements}", str(file))
        # The dump makes the schema too if that was made by other than PostgreSQL itself.
        statements.write_text(statements.read_text().replace("CREATE SCHEMA public;", ""))
        options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        files = (f"--file={clear.name}", f"--file={statements}")
        program("psql", *options, *files, for_libpq(url), stdout=subprocess.DEVNULL)
        statements.unlink()


def compare(url: str, name: str, tables: dict[str, int]) -> None:
    """Fails unless a database has exactly the rows that the manifest counted."""
    with connect(url) as connection:
        rows = count_rows(connection)
    wrong = {table: (rows.get(table), n) for table, n in tables.items() if rows.get(table) != n}
    if wrong:
        sys.exit(f"{name} restored: rows (got, expected) differ in {wrong}")
    print(f"{name}: {sum(rows.values())} rows in {len(rows)} tables, all as in the manifest")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL on a Unix socket; `folder` has the socket."""

    folder: str

    def create(self, name: str) -> str:
        """Makes an empty database; returns its address."""
        program("createdb", f"--host={self.folder}", "--username=test", name)
        return f"{driver()}://test@/{name}?host={self.folder}"


@contextlib.contextmanager
def throwaway_server() -> Iterator[Server]:
    """An empty PostgreSQL with nothing to remember."""
    with tempfile.TemporaryDirectory() as folder:
        data, quiet = f"--pgdata={folder}/data", {"stdout": subprocess.DEVNULL}
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c jit=off"
        program("initdb", "--auth=trust", "--username=test", "--encoding=UTF8", data, **quiet)
        program("pg_ctl", "start", "-w", data, f"--log={folder}/log", f"--options={options}", **quiet)
        try:
            yield Server(folder)
        finally:
            program("pg_ctl", "stop", "-m", "immediate", data, **quiet)
