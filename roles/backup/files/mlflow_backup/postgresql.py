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

# Debian's place for them, and that of PostgreSQL's own archive: a folder for each version.
PROGRAMS = Path("/usr/lib/postgresql")
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


def version_of(connection: Connection) -> int:
    """The server's: 17."""
    return (connection.dialect.server_version_info or (0,))[0]


def server_versions() -> dict[str, int]:
    """Database -> version of the server that has it."""
    found = {}
    for name, url in databases().items():
        with connect(url) as connection:
            found[name] = version_of(connection)
    return found


def installed() -> list[int]:
    """The versions whose programs this machine has, the newest last."""
    return sorted(int(path.parent.name) for path in PROGRAMS.glob("[0-9]*/bin"))


def programs_for(server: int) -> Path:
    """The folder of the programs of exactly that version.

    An older pg_dump refuses the server; what a newer one writes has settings that the server refuses on the way back.
    """
    if server not in installed():
        sys.exit(
            f"PostgreSQL {server} serves, and this machine has the programs of {installed() or 'no version'}. "
            "`ansible-playbook site.yml` (`make bootstrap FORCE=1`) installs the server's, or says which setting that "
            "takes."
        )
    return PROGRAMS / str(server) / "bin"


def program(path: Path, *arguments: str, **more: Any) -> None:
    done = subprocess.run([path, *arguments], stderr=subprocess.PIPE, text=True, **more)
    name = path.name
    if done.returncode:
        sys.exit(f"{name} failed with status {done.returncode}:\n{done.stderr.strip()[-2000:]}")


def dump(url: str, file: Path) -> dict[str, Any]:
    """Dumps a database; rows are counted in the very snapshot that is dumped."""
    with connect(url) as connection:
        pg_dump = programs_for(version_of(connection)) / "pg_dump"
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        tables = count_rows(connection)
        program(pg_dump, "--format=custom", f"--snapshot={snapshot}", f"--file={file}", for_libpq(url))
        return {"schema": schema_of(connection), "tables": tables, "bytes": file.stat().st_size}


def load(url: str, file: Path) -> None:
    """Replaces all that a database holds, in one transaction."""
    with connect(url) as connection:
        bin = programs_for(version_of(connection))
    with tempfile.NamedTemporaryFile("w", suffix=".sql", dir=file.parent) as clear:
        clear.write("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        clear.flush()
        statements = file.with_suffix(".sql")
        program(
            bin / "pg_restore", "--no-owner", "--no-privileges", "--schema=public", f"--file={statements}", str(file)
        )
        # The dump makes the schema too if that was made by other than PostgreSQL itself.
        statements.write_text(statements.read_text().replace("CREATE SCHEMA public;", ""))
        options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        files = (f"--file={clear.name}", f"--file={statements}")
        program(bin / "psql", *options, *files, for_libpq(url), stdout=subprocess.DEVNULL)
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
    """A PostgreSQL on a Unix socket; `folder` has the socket, `bin` its programs."""

    folder: str
    bin: Path

    def create(self, name: str) -> str:
        """Makes an empty database; returns its address."""
        program(self.bin / "createdb", f"--host={self.folder}", "--username=test", name)
        return f"{driver()}://test@/{name}?host={self.folder}"


@contextlib.contextmanager
def throwaway_server() -> Iterator[Server]:
    """An empty PostgreSQL of the newest version here, with nothing to remember."""
    bin = programs_for(installed()[-1] if installed() else 0)
    with tempfile.TemporaryDirectory() as folder:
        data, quiet = f"--pgdata={folder}/data", {"stdout": subprocess.DEVNULL}
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c jit=off"
        program(bin / "initdb", "--auth=trust", "--username=test", "--encoding=UTF8", data, **quiet)
        program(bin / "pg_ctl", "start", "-w", data, f"--log={folder}/log", f"--options={options}", **quiet)
        try:
            yield Server(folder, bin)
        finally:
            program(bin / "pg_ctl", "stop", "-m", "immediate", data, **quiet)
